"""SEARCH, SORT and THREAD find what Dovecot finds, but for what docs/imap-differences.md explains.

Standards: RFC 9051 6.4.4, RFC 3501 6.4.4 (SEARCH), RFC 5256 (SORT, THREAD), RFC 5957 (DISPLAYFROM), RFC 4731
(ESEARCH).
Limits: DIFFERENTIAL_EXAMPLES in the environment says how many commands are made up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.imap.lab import Lab
from tests.imap.mail import seal
from tests.interop.imap_differences import documented
from tests.interop.imap_search_mails import COUNT, FLAGS, fill
from tests.interop.imap_sides import EngineSide, Side, ok
from tests.lab.dovecot import Dovecot, dovecot
from tests.lab.imap_client import Literal
from tests.lab.imap_tokens import Token

__all__ = ["dovecot"]

EXAMPLES: Final = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "100"))
SEALED: Final = 25
"""Rows that lie in a chunk; the others are still rows of their own."""
NEEDLES: Final = (
    "kiwi", "KIWI", "Äpfel", "äpf", "ann", "x.test", "pear", "quince q", "100%", "a=b", "grüße", "e", "",
    "ANN <", "Carl, Jr", "hidden", "<b>", "nobody", "Änne", "friends", "text/plain", "inner", "in.test",
    "within", "A\u0308pfel",
)  # fmt: skip
DAYS: Final = ("13-Nov-2023", "14-Nov-2023", "15-Nov-2023", "1-Jan-2001", "2-Jan-2030")
FIELDS: Final = ("Subject", "From", "X-Word", "References", "Message-ID", "Date", "Content-Type", "X-None")

FLAG_KEYS: Final = (
    "ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN", "UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED",
    "UNSEEN",
)  # fmt: skip
EVERY: Final = frozenset(range(1, COUNT + 1))

Key = tuple[bytes | Literal, ...]


def key(*words: str | bytes) -> Key:
    """Return words of a command with spaces between them; octets are a literal."""
    pieces: list[bytes | Literal] = []
    for number, word in enumerate(words):
        if number:
            pieces.append(b" ")
        pieces.append(word.encode() if isinstance(word, str) else Literal(word))
    return tuple(pieces)


def joined(first: Key, *others: Key) -> Key:
    """Return keys in a row, with spaces between them."""
    pieces = [*first]
    for each in others:
        pieces += [b" ", *each]
    return tuple(pieces)


def sets_of(numbers: st.SearchStrategy[str], ends: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return sets of *numbers*, and of ranges between *ends*."""
    return st.lists(st.one_of(numbers, st.tuples(ends, ends).map(":".join)), min_size=1, max_size=3).map(
        ",".join
    )


beyond = st.integers(1, COUNT + 5).map(str)
within = st.integers(1, COUNT).map(str) | st.just("*")
needles = st.sampled_from(NEEDLES).map(str.encode)
flag_keys = st.sampled_from(
    [
        "ALL",
        "ANSWERED",
        "DELETED",
        "DRAFT",
        "FLAGGED",
        "SEEN",
        "UNANSWERED",
        "UNDELETED",
        "UNDRAFT",
        "UNFLAGGED",
        "UNSEEN",
    ]
).map(key)
keywords = st.sampled_from([flag for flag in FLAGS if flag.isalnum() or flag[0] == "$"] + ["NEVER", "WORD"])
simple = st.one_of(
    flag_keys,
    st.builds(key, st.sampled_from(("KEYWORD", "UNKEYWORD")), keywords),
    sets_of(beyond, within).map(key),
    sets_of(beyond, beyond | st.just("*")).map(lambda numbers: key("UID", numbers)),
    st.builds(
        key,
        st.sampled_from(("BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE")),
        st.sampled_from(DAYS),
    ),
    st.builds(key, st.sampled_from(("LARGER", "SMALLER")), st.integers(0, 900).map(str)),
    st.builds(key, st.sampled_from(("SUBJECT", "FROM", "TO", "CC", "BCC", "BODY", "TEXT")), needles),
    st.builds(key, st.just("HEADER"), st.sampled_from(FIELDS), needles),
)


@dataclass(frozen=True, slots=True)
class Tree:
    """Keys put together: *word* is "", "NOT", "OR" or "(" for one that is not, of *parts*."""

    word: str
    parts: tuple[Tree, ...] = ()
    leaf: Key = ()

    def written(self) -> Key:
        """Return it as it is in a command."""
        parts = [part.written() for part in self.parts]
        match self.word:
            case "":
                return self.leaf
            case "(":
                return (b"(", *joined(parts[0], *parts[1:]), b")")
        return joined((self.word.encode(),), *parts)

    def answer(self, leaves: Callable[[Key], frozenset[int]]) -> frozenset[int]:
        """Return what it finds, when *leaves* tells what single keys find."""
        found = [part.answer(leaves) for part in self.parts]
        match self.word:
            case "":
                return leaves(self.leaf)
            case "NOT":
                return EVERY - found[0]
            case "OR":
                return found[0] | found[1]
        return frozenset.intersection(*found)


leaves = simple.map(lambda leaf: Tree("", (), leaf))
trees = st.recursive(
    leaves,
    lambda children: st.one_of(
        st.tuples(children).map(partial(Tree, "NOT")),
        st.tuples(children, children).map(partial(Tree, "OR")),
        st.lists(children, min_size=1, max_size=3).map(tuple).map(partial(Tree, "(")),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def sides(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    """The engine and Dovecot, each with the same INBOX selected."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    with dovecot.imap("search") as client:
        ours = EngineSide(lab)
        for side in (ours, client):
            fill(side)
        assert seal(lab, SEALED)
        yield ours, client
    lab.close()


def found(side: Side, name: str, *pieces: bytes | Literal) -> list[Token]:
    """Return the tokens of the only answer of that name."""
    (answer,) = ok(side, *pieces).named(name)
    return answer.tokens


def searched(side: Side, wanted: Key) -> frozenset[int]:
    """Return which messages there are."""
    return frozenset(int(str(number)) for number in found(side, "SEARCH", b"SEARCH CHARSET UTF-8 ", *wanted))


def dovecots(side: Side, wanted: Key) -> frozenset[int]:
    """Return what Dovecot finds, without the messages that have no date and are of 1970 there."""
    numbers = searched(side, wanted)
    return (
        numbers - searched(side, key("SENTBEFORE", "1-Jan-1990")) if wanted[0] == b"SENTBEFORE" else numbers
    )


@given(simple)
@settings(max_examples=4 * EXAMPLES, derandomize=True, deadline=None, database=None)
def test_one_key(sides: tuple[Side, Side], wanted: Key) -> None:
    """It finds the same."""
    ours, theirs = sides
    assert searched(ours, wanted) == dovecots(theirs, wanted)


@given(trees)
@settings(max_examples=2 * EXAMPLES, derandomize=True, deadline=None, database=None)
def test_keys_together(sides: tuple[Side, Side], tree: Tree) -> None:
    """They find what Dovecot's answers to the single ones make together: it forgets some keys behind NOT."""
    ours, theirs = sides
    assert searched(ours, tree.written()) == tree.answer(partial(dovecots, theirs))


@given(leaves, st.sets(st.sampled_from(("MIN", "MAX", "ALL", "COUNT"))).map(sorted), st.booleans())
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
def test_extended_search(sides: tuple[Side, Side], wanted: Tree, returns: list[str], uid: bool) -> None:
    """RFC 4731: what is to be returned, by UID too."""
    name = b"UID SEARCH RETURN (%b) CHARSET UTF-8 " if uid else b"SEARCH RETURN (%b) CHARSET UTF-8 "
    pieces = joined((name % " ".join(returns).encode() + b"SENTSINCE 1-Jan-1990",), wanted.written())
    # What follows the tag of the command.
    ours, theirs = (found(side, "ESEARCH", *pieces)[1:] for side in sides)
    assert _values(ours) == _values(theirs)


def _values(tokens: list[Token]) -> dict[str, Token]:
    """Return what ESEARCH tells, in whatever order."""
    uid = tokens[:1] == ["UID"]
    rest = tokens[1:] if uid else tokens
    values = dict(zip(map(str, rest[::2]), rest[1::2], strict=True))
    return values | {"UID": uid}


SORT_KEYS: Final = ("ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO")
criteria = st.lists(
    st.tuples(st.sampled_from(("", "REVERSE ")), st.sampled_from(SORT_KEYS)),
    min_size=1,
    max_size=3,
    unique_by=lambda pair: pair[1],
).map(lambda pairs: " ".join(map("".join, pairs)))


@given(criteria, flag_keys)
@settings(max_examples=2 * EXAMPLES, derandomize=True, deadline=None, database=None)
def test_sort(sides: tuple[Side, Side], order: str, wanted: Key) -> None:
    """Any order of all, and the same of some: Dovecot's depends on what it has sorted before."""
    ours, theirs = sides
    command = f"SORT ({order}) UTF-8 ".encode()
    whole = found(theirs, "SORT", command, b"ALL")
    some = searched(theirs, wanted)
    assert found(ours, "SORT", command, *wanted) == [number for number in whole if number in some]


@given(st.sampled_from(("REFERENCES", "ORDEREDSUBJECT")), flag_keys)
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
def test_thread(sides: tuple[Side, Side], algorithm: str, wanted: Key) -> None:
    """Of all and of some of the messages."""
    command = f"THREAD {algorithm} UTF-8 ".encode()
    ours, theirs = (found(side, "THREAD", command, *wanted) for side in sides)
    assert ours == theirs


PECULIAR: Final[dict[str, tuple[Key, tuple[int, int]]]] = {
    "set-beyond-the-end": (key("41:*"), (1, 0)),
    "no-sent-date": (key("SENTBEFORE", "1-Jan-1990"), (0, 10)),
    "across-addresses": (key("FROM", b"bob@y.test, ann"), (5, 0)),
    "line-end-in-needle": (key("BODY", b"ear\r\nki"), (9, 4)),
    "keys-behind-not": (key("OR NOT (ALL) (ALL)"), (COUNT, 0)),
}
"""By their names in docs/imap-differences.md: keys, and how many messages they find here and there."""


@pytest.mark.parametrize("name", PECULIAR)
def test_peculiar_keys(sides: tuple[Side, Side], name: str) -> None:
    """Each finds something else, as the document says."""
    wanted, counts = PECULIAR[name]
    ours, theirs = (len(searched(side, wanted)) for side in sides)
    assert (ours, theirs) == counts


def test_a_criterion_that_comes_again(sides: tuple[Side, Side]) -> None:
    """Dovecot forgets the order of those behind it."""
    ours, theirs = (found(side, "SORT", b"SORT (TO REVERSE TO REVERSE SIZE) UTF-8 ALL") for side in sides)
    assert ours == found(sides[1], "SORT", b"SORT (TO REVERSE SIZE) UTF-8 ALL") != theirs


def test_the_document_has_each_difference() -> None:
    """And none that is not tried here."""
    assert documented("search") == {*PECULIAR, "criterion-again"}
