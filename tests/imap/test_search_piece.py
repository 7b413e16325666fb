"""Pieces of a search: the numbers of the rows that were found, however many they are among the others."""

from __future__ import annotations

from array import array

from hypothesis import example, given
from hypothesis import strategies as st

from fedaemon.imap.search.piece import SPARSE, Hits, Piece

BEFORE = 70

Rows = list[tuple[bool, bool]]
"""Whether a row is counted, and whether it was found."""

rows = st.one_of(
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40),
    st.lists(st.sampled_from([(True, True), *[(True, False)] * 11]), max_size=40),
)


def hits(of: Rows) -> Hits:
    uids = array("I", range(1000, 1000 + 3 * len(of), 3))
    modseqs = array("Q", range(len(of)))
    shown = bytes(shown for shown, _ in of)
    mask = bytes(shown and found for shown, found in of)
    return Hits(Piece(1000, uids, modseqs, bytes(len(of)), {}, shown, BEFORE), mask)


@given(rows)
@example([(True, True)] + [(True, False)] * (SPARSE - 1))
@example([(False, False), (True, True)] + [(True, False)] * (SPARSE - 1))
def test_the_numbers_of_what_was_found(of: Rows) -> None:
    """RFC 9051 2.3.1.2: rows that the session does not count have no number."""
    uids, numbers, number = [], [], BEFORE
    for place, (shown, found) in enumerate(of):
        number += shown
        if shown and found:
            uids.append(1000 + 3 * place)
            numbers.append(number)
    assert hits(of).numbers(uid=True) == array("I", uids)
    assert hits(of).numbers(uid=False) == array("I", numbers)
