"""docs/standards.md tells the truth: each RFC cited is listed, and each one marked done is cited in code and
tests."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| (done|partial|referred) \| ([^|]+) \|$", re.MULTILINE)


def cited_in(folder: str) -> dict[str, set[str]]:
    """Return {RFC number: files} of what is cited in the Python files below *folder*."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text()
        for match in re.finditer(r"RFC ?(\d{3,5})\b", text):
            found.setdefault(match[1], set()).add(str(path.relative_to(ROOT)))
    return found


def listed() -> dict[str, tuple[str, str, str]]:
    """Return {number: (title, status, files)} of the table."""
    rows = ROW.findall((ROOT / "docs/standards.md").read_text())
    assert rows, "docs/standards.md has no table"
    return {number: (title, status, files) for number, title, status, files in rows}


def test_each_rfc_cited_in_the_code_is_listed() -> None:
    """Whoever cites a standard says in docs/standards.md how much of it is done."""
    missing = {number: files for number, files in cited_in("fedaemon").items() if number not in listed()}
    assert missing == {}


def test_each_rfc_marked_done_is_cited_in_code_and_tests() -> None:
    """A standard is done only where the code names it and a test names it."""
    code, tests = cited_in("fedaemon"), cited_in("tests")
    done = {number for number, (_, status, _) in listed().items() if status == "done"}
    assert done, "nothing is done?"
    assert {number for number in done if number not in code} == set()
    assert {number for number in done if number not in tests} == set()


def test_the_files_named_exist() -> None:
    """The table points at files that are there."""
    for number, (_, _, files) in listed().items():
        for name in re.findall(r"`([^`]+)`", files):
            assert (ROOT / "fedaemon" / name).exists(), f"RFC {number}: {name}"
