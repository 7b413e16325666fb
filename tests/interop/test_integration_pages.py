"""The pages of docs/integrations as pages: two languages with the same code, and marks that mean what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.interop.pages import INTEGRATIONS, Page, replaced, says

NAMES = sorted(path.stem for path in INTEGRATIONS.glob("*.md") if path.stem != "README")
LANGUAGES = ("en", "ru")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
PAGE = """\
<!-- file: a.conf -->
```
host = mail.example.org
```

<!-- file: a.conf (587) -->

```ini
port = 587
```

<!-- command: send -->
```sh
send bob@example.net
```

<!-- error: refused -->
```text
refused: …
```

```text
nothing special
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setattr("tests.interop.pages.INTEGRATIONS", tmp_path)
    (tmp_path / "sample.md").write_text(PAGE)
    return Page("sample")


def test_files_commands_and_errors_are_told_apart(page: Page) -> None:
    assert page.files() == {"a.conf": "host = mail.example.org\n"}
    assert page.commands() == {"send": "send bob@example.net\n"}
    assert page.errors() == {"refused": "refused: …\n"}


def test_a_variant_takes_the_place_of_its_file_and_leaves_the_rest(page: Page) -> None:
    assert page.files("587") == {"a.conf": "port = 587\n"}
    assert page.commands("587") == page.commands()
    with pytest.raises(AssertionError, match="sample"):
        page.files("588")


def test_a_mark_without_a_block_is_an_error(page: Page, tmp_path: Path) -> None:
    (tmp_path / "sample.md").write_text("<!-- file: a.conf -->\n\nNo block.\n")
    with pytest.raises(AssertionError, match="a mark has no block behind it"):
        Page("sample")


def test_only_whole_placeholders_are_replaced(tmp_path: Path, page: Page) -> None:
    page.write(tmp_path, {"mail.example.org": "localhost"})
    assert (tmp_path / "a.conf").read_text() == "host = localhost\n"
    text = "mail.example.org:465 webmail.example.org 1465 alice@example.org"
    assert replaced(text, {"mail.example.org": "localhost", "465": "10465"}) == (
        "localhost:10465 webmail.example.org 1465 alice@example.org"
    )
    with pytest.raises(AssertionError):
        replaced(text, {"webmail": "anything"})


@pytest.mark.parametrize(
    ("output", "quoted", "expected"),
    [
        ("Error: 550 no such\nuser here", "550 no such user …", True),
        ("535 5.7.8 Wrong password: see below", "535 5.7.8 … see", True),
        ("535 5.7.8 Wrong password", "535 5.7.9", False),
        ("first second", "second … first", False),
    ],
)
def test_what_is_quoted_is_found_however_lines_break(output: str, quoted: str, expected: bool) -> None:
    assert says(output, quoted) is expected


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_code(name: str) -> None:
    """People who read Russian copy what was tested, too."""
    english, russian = (Page(name, language).blocks for language in LANGUAGES)
    assert russian == english
    assert any(block.kind == "file" for block in english) or not any(block.kind for block in english)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_links_lead_somewhere(name: str, language: str) -> None:
    page = Page(name, language)
    links = LINK.findall(page.text)
    assert (f"ru/{name}.md" if language == "en" else f"../{name}.md") in links
    assert [link for link in links if not (page.path.parent / link).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_page_has_a_password(name: str) -> None:
    """Where a program wants one it reads MAIL_PASSWORD, or the page says PASSWORD."""
    for block in Page(name).blocks:
        for quoted in re.findall(r"(?i)pass(?:word)?['\"]?\s*(?:=>|[:=])\s*['\"]([^'\"]+)['\"]", block.text):
            assert quoted in ("MAIL_PASSWORD", "PASSWORD"), (name, quoted)
