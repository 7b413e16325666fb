"""Patterns of LIST: RFC 9051 6.3.9."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fedaemon.imap.list_pattern import Pattern


def naive(pattern: str, name: str) -> bool:
    """Match by trying everything."""
    if not pattern:
        return not name
    if pattern[0] in "*%":
        if naive(pattern[1:], name):
            return True
        return bool(name) and not (pattern[0] == "%" and name[0] == "/") and naive(pattern, name[1:])
    return bool(name) and name[0] == pattern[0] and naive(pattern[1:], name[1:])


@given(st.text("ab/*%", max_size=7), st.text("ab/", max_size=8), st.integers(0, 7))
@example("a%*%b", "aa/b/ab", 2)
def test_equals_trying_everything(pattern: str, name: str, split: int) -> None:
    """Wherever the reference ends, a name matches as it does by the definition."""
    assert Pattern(pattern[:split], pattern[split:]).matches(name) == naive(pattern, name)


@pytest.mark.parametrize("pattern", ["INBOX", "inbox", "In*", "%x", "*", "iNb%X"])
def test_inbox_in_any_case(pattern: str) -> None:
    """RFC 9051 5.1: INBOX is the same in any case, also in front of its children."""
    assert Pattern("", pattern).matches("INBOX")
    assert Pattern("in", "b%").matches("INBOX")
    assert not Pattern("", "inbox/%").matches("INBOX")
    assert Pattern("inbox/", "%").matches("INBOX/lists")
    assert not Pattern("", "inbox/%").matches("INBOX/Lists/x")
    assert not Pattern("", "inboxe%").matches("INBOX")


def test_only_inbox_in_any_case() -> None:
    """Other names are told apart by case, and no other letter passes for the I."""
    assert not Pattern("", "sent").matches("Sent")
    assert not Pattern("", "\u0131nbox").matches("INBOX")


def test_hostile_patterns_take_one_pass() -> None:
    """A name that nearly matches is read once: with a matcher that goes back this would never end."""
    assert not Pattern("", "*a" * 400 + "b").matches("a" * 900)
    assert not Pattern("", "%a*" * 300 + "b").matches("a" * 900)
    assert Pattern("", "*a" * 400).matches("a" * 900)


@pytest.mark.parametrize(("pattern", "expected"), [("%", True), ("a/%", True), ("%/a", False), ("*", False)])
def test_only_a_percent_at_the_end_shows_levels(pattern: str, expected: bool) -> None:
    """RFC 9051 6.3.9: the last character decides."""
    assert Pattern("%", pattern).shows_levels is expected
