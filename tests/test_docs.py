"""The pages for people name what there is: commands, settings, other pages; and quote what the server says.

The replies themselves are compared with the code by ``test_replies``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.manual.settings import read_sample
from tests.test_man import TREE
from tests.test_replies import DOCS, PLACEHOLDER, documented, pattern

ENGLISH, RUSSIAN = DOCS / "troubleshooting.md", DOCS / "ru/troubleshooting.md"
QUOTING = (ENGLISH, RUSSIAN, *sorted(DOCS.glob("integrations/**/*.md")))
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md")))
SAMPLE = DOCS.parent / "etc/fedaemon.toml"

_FENCED = re.compile(r"^```.*?^```", re.M | re.S)
_SPAN = re.compile(r"`([^`\n]+)`")
_QUOTED = re.compile(r"(?:\d{3} (?:\d\.\d+\.\d+|\{status\})|-ERR|NO|BAD|BYE) ")
_LINK = re.compile(r"\]\(([^):#]*)(?:#([^)]+))?\)")
_HEADING = re.compile(r"^#+ (.*)$", re.M)
_SETTING = re.compile(r"`([a-z_]+)\.((?!py\b)[a-z_]+)`")
_COMMAND = re.compile(r"\bfedaemonctl((?: [a-z][a-z-]*)+)")


def _name(page: Path) -> str:
    return str(page.relative_to(DOCS.parent))


def quoted(text: str) -> list[str]:
    """Return the replies that a page quotes."""
    return [span for span in _SPAN.findall(_FENCED.sub("", text)) if _QUOTED.match(span)]


def is_said(quote: str) -> bool:
    """Tell whether the server may say *quote*; words may be left out of it (…), real ones stand for {}."""
    start, *more = (re.escape(part) for part in re.split(" ?(?:…|[.]{3}) ?", quote))
    elided = re.compile(".*".join((start, *more)) + r"(?!\w)")
    for reply in documented():
        if elided.match(pattern(reply)):
            return True
        if re.match(re.escape(PLACEHOLDER.sub("\0", reply)).replace("\0", ".+"), quote):
            return True
    return False


@pytest.mark.parametrize("page", QUOTING, ids=_name)
def test_each_reply_quoted_is_one(page: Path) -> None:
    text = page.read_text()
    assert quoted(text) or page not in (ENGLISH, RUSSIAN)
    assert not [quote for quote in quoted(text) if not is_said(pattern(quote)) and not is_said(quote)]


def test_both_languages_say_the_same() -> None:
    english, russian = ENGLISH.read_text(), RUSSIAN.read_text()
    assert quoted(english) == quoted(russian)
    for line in (r"^## \d", r"^\| ", r"^- "):
        assert len(re.findall(line, english, re.M)) == len(re.findall(line, russian, re.M)), line
    assert sorted(_COMMAND.findall(english)) == sorted(_COMMAND.findall(russian))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_each_command_named_is_one(page: Path) -> None:
    """Also those in the server's own words, which replies.md repeats."""
    known = {command.path: command for command in TREE.everything()}
    text = page.read_text()
    for words in _COMMAND.findall("\n".join(_FENCED.findall(text) + _SPAN.findall(_FENCED.sub("", text)))):
        command = TREE
        for word in words.split():
            if not command.commands:
                break
            path = (*command.path, word)
            assert path in known, f"fedaemonctl{words}"
            command = known[path]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for name, fragment in _LINK.findall(_FENCED.sub("", page.read_text())):
        target = page.parent / name if name else page
        assert target.is_file(), name
        assert not fragment or fragment in places(target.read_text()), fragment


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_each_setting_named_is_one(page: Path) -> None:
    keys = {header.strip("[]"): set(table.keys) for header, table in read_sample(SAMPLE.read_text()).items()}
    for table, key in _SETTING.findall(page.read_text()):
        assert table not in keys or key in keys[table], f"{table}.{key}"


def places(text: str) -> set[str]:
    """Return what a page can be linked at: its headings, as web pages name them, and its anchors."""
    headings = {re.sub(r"[^\w -]", "", line).replace(" ", "-") for line in _HEADING.findall(text.lower())}
    return headings | set(re.findall(r'<a id="([^"]+)">', text))
