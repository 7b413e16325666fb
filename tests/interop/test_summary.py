"""The line for each integration, and the index of the pages: neither may leave one out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.interop.pages import INTEGRATIONS as PAGES
from tests.interop.summary import INTEGRATIONS, Tried, integration, upstream

LINK = re.compile(r"\]\(([^)]+)\)")
ROW = re.compile(r"^\| \[[^]]+\]\(([a-z-]+)\.md\) \| .*tests/interop/(\w+\.py)\)", re.MULTILINE)


@pytest.mark.parametrize(
    ("nodeid", "page"),
    [
        ("tests/interop/test_integration_ruby_mail.py::TestRubyMail::test_starttls", "ruby-mail"),
        ("tests/interop/test_integration_profiles.py::test_the_settings_of_the_table[outlook]", "outlook"),
        ("tests/interop/test_integration_profiles.py::test_apple_profile[993]", "apple-mail"),
        ("tests/interop/test_integration_exim.py::test_it_sends[debian-465]", "exim"),
        ("tests/interop/test_integration_pages.py::test_links_lead_somewhere[en-exim]", None),
        ("tests/interop/test_pop3_clients.py::test_thunderbird[995]", None),
        ("tests/interop/test_summary.py::test_it[tests/interop/test_integration_exim.py::test]", None),
    ],
)
def test_a_test_belongs_to_one_page(nodeid: str, page: str | None) -> None:
    assert integration(nodeid) == page


@pytest.mark.parametrize(
    ("outcomes", "line"),
    [
        (["passed", "passed"], "passed (2 tests)"),
        (["passed", "skipped"], "passed (1 tests, 1 skipped)"),
        (["passed", "failed", "skipped"], "FAILED (1 of 3 tests)"),
        (["skipped"], "skipped: exim is not installed"),
    ],
)
def test_how_it_ended(outcomes: list[str], line: str) -> None:
    """One failure is what the line tells, whatever else went well."""
    tried = Tried(outcomes={str(number): outcome for number, outcome in enumerate(outcomes)})
    tried.reason = "exim is not installed"
    assert tried.line() == line


@pytest.mark.parametrize(
    ("version", "shown"),
    [("1:153.7.0esr-1~deb12u1", "153.7.0esr"), ("8.83.26+dfsg-2", "8.83.26"), ("20201014.0-2", "20201014.0")],
)
def test_versions_are_those_of_the_authors(version: str, shown: str) -> None:
    assert upstream(version) == shown


@pytest.mark.parametrize("index", [PAGES / "README.md", PAGES / "ru" / "README.md"], ids=["en", "ru"])
def test_the_index_names_every_page_and_its_test(index: Path) -> None:
    """What the index, the summary and the folder know are the same pages, and each link leads somewhere."""
    text = index.read_text()
    rows = ROW.findall(text)
    assert [page for page, _ in rows] == list(INTEGRATIONS)
    assert {page for page, _ in rows} == {path.stem for path in index.parent.glob("*.md")} - {"README"}
    for page, test in rows:
        named = integration(f"tests/interop/{test}::test_sends")
        assert named == page or page in (PAGES.parent.parent / "tests" / "interop" / test).read_text()
    assert [link for link in LINK.findall(text) if not (index.parent / link).exists()] == []
