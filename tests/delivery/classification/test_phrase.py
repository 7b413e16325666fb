"""Phrases: where they are found, where not, and that no text makes them slow."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.delivery.classification.phrase import GAP, Phrase
from fedaemon.delivery.classification.reply import MAX_TEXT


class Counted(str):
    """A text that counts how often it is searched, and how many characters each search passes over."""

    passed = 0
    searches = 0

    def find(self, piece: str, start: int = 0) -> int:  # type: ignore[override]
        found = super().find(piece, start)
        type(self).searches += 1
        type(self).passed += (found if found >= 0 else len(self)) - start + 1
        return found


def cost(phrase: Phrase, text: str) -> int:
    """Return how many characters are passed over in looking for *phrase*."""
    Counted.passed = 0
    phrase.occurs(Counted(text))
    return Counted.passed


@pytest.mark.parametrize(
    ("phrase", "found", "missed"),
    [
        (
            "mailbox full",
            ["mailbox full", "x: mailbox full.", "(mailbox full)"],
            ["mailbox fullness", "gmailbox full"],
        ),
        ("block*", ["blocked", "is blocking", "block"], ["unblocked", "bloc"]),
        ("*list", ["blocklist", "a list"], ["listed", "blocklists"]),
        ("*lock*", ["blocked", "lock"], ["loc k"]),
        (
            "host * blocked",
            ["host [192.0.2.1] blocked", "host is blocked"],
            ["host blocked", "blocked host * x"],
        ),
        ("[tss*", ["see [tss04]"], ["see (tss04)", "tss04"]),
        ("#5.1.1", ["(#5.1.1)"], ["#5.1.12"]),
        ("User  Unknown", ["user unknown"], ["user is unknown"]),
        ("später", ["bitte später noch einmal"], ["spät er"]),
        ("aaa*aab", ["aaaaaab"], ["aaaaaaa"]),
    ],
)
def test_where_a_phrase_is_found(phrase: str, found: list[str], missed: list[str]) -> None:
    """Word borders, open ends, gaps, signs."""
    assert [text for text in found if not Phrase(phrase).occurs(text)] == []
    assert [text for text in missed if Phrase(phrase).occurs(text)] == []


def test_a_gap_has_a_limit() -> None:
    """What stands far apart does not belong together."""
    phrase = Phrase("first*last")
    assert phrase.occurs("first" + "-" * GAP + "last")
    assert not phrase.occurs("first" + "-" * (GAP + 1) + "last")


def test_the_nearest_beginning_counts_for_a_gap() -> None:
    """An earlier beginning too far away hides no later one."""
    assert Phrase("first*last").occurs("first" + "-" * 200 + "first last")


@given(
    pieces=st.lists(st.text("abc ", min_size=1, max_size=3), min_size=1, max_size=3),
    text=st.text("abc ", max_size=60),
)
def test_a_phrase_finds_what_the_equal_expression_finds(pieces: list[str], text: str) -> None:
    """The linear search and a regular expression of the same meaning agree on every text."""
    source = "*" + "*".join(pieces) + "*"
    if sum(letter.isalnum() for letter in source) < 3 or source != " ".join(source.split()):
        return
    parts = [re.escape(part) for part in source.split("*") if part]
    expected = re.search(f".{{0,{GAP}}}".join(parts), text) is not None
    assert Phrase(source).occurs(text) == expected


@pytest.mark.parametrize("phrase", ["aaa", "a*a*a*a", "aaa*aaa*aab", "*aaa*b", "aaa b"])
@pytest.mark.parametrize("unit", ["a", "ab", "aaa ", "aab a"])
def test_hostile_texts_cost_linear_time(phrase: str, unit: str) -> None:
    """Twice the text costs about twice the steps, up to the limit; a backtracking search would not."""
    short, long = (unit * (size // len(unit)) for size in (MAX_TEXT // 4, MAX_TEXT))
    looked_for = Phrase(phrase)
    assert cost(looked_for, long) <= 4.5 * cost(looked_for, short) + 64
    pieces = phrase.count("*") + 1
    assert cost(looked_for, long) <= pieces * 2 * (len(long) + 1)
