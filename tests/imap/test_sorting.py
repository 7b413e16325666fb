"""SORT: RFC 5256 3 and RFC 5957 3."""

from __future__ import annotations

from functools import cmp_to_key

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.imap.parse.search import SortField
from fedaemon.imap.sorting import Sortable, collated, sort

NAMES = {
    SortField.ARRIVAL: "arrival_s",
    SortField.CC: "cc",
    SortField.DATE: "sent_s",
    SortField.DISPLAYFROM: "display_from",
    SortField.DISPLAYTO: "display_to",
    SortField.FROM: "from_",
    SortField.SIZE: "size",
    SortField.SUBJECT: "base_subject",
    SortField.TO: "to",
}
TEXTS = st.sampled_from([b"", b"a", b"ab", b"b", "é".encode()])
SMALL = st.integers(0, 3)
ROWS = st.lists(
    st.builds(Sortable, st.integers(1, 99), SMALL, TEXTS, SMALL, SMALL, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS),
    max_size=15,
    unique_by=lambda row: row.number,
)
ORDERS = st.lists(st.tuples(st.sampled_from(SortField), st.booleans()), min_size=1, max_size=5).map(tuple)


def differing(**values: object) -> Sortable:
    """Return a row that is empty but for *values*."""
    empty: dict[str, object] = dict.fromkeys(NAMES.values(), b"") | {"arrival_s": 0, "sent_s": 0, "size": 0}
    return Sortable(**(empty | values))  # type: ignore[arg-type]


@given(ROWS, ORDERS)
def test_is_a_comparison_by_each_criterion_in_turn(
    rows: list[Sortable], order: tuple[tuple[SortField, bool], ...]
) -> None:
    """RFC 5256 3: the first criterion that differs decides, and the number if none does."""

    def compare(one: Sortable, other: Sortable) -> int:
        for field, reverse in order:
            left, right = getattr(one, NAMES[field]), getattr(other, NAMES[field])
            if left != right:
                return -1 if (left < right) != reverse else 1
        return one.number - other.number

    assert sort(rows, order) == [row.number for row in sorted(rows, key=cmp_to_key(compare))]


@pytest.mark.parametrize("field", SortField)
def test_reverse_leaves_equal_messages_in_their_order(field: SortField) -> None:
    """RFC 5256 3: REVERSE does not reverse the numbers."""
    text = field not in (SortField.ARRIVAL, SortField.DATE, SortField.SIZE)
    rows = [
        differing(number=1, **{NAMES[field]: b"a" if text else 1}),
        differing(number=2, **{NAMES[field]: b"b" if text else 2}),
        differing(number=3, **{NAMES[field]: b"a" if text else 1}),
        differing(number=4),
    ]
    assert sort(rows, ((field, False),)) == [4, 1, 3, 2]
    assert sort(rows, ((field, True),)) == [2, 1, 3, 4]


def test_letters_with_accents_stand_beside_those_without() -> None:
    """RFC 5051 2: what has no case is behind the letters in upper case, as Dovecot has it; rows stay rows."""
    texts = ["", "1", "a", "az", "ä", "b", "z", "[x]", "ж"]
    keys = [collated(text.encode()) for text in texts]
    assert keys == sorted(keys) and len(set(keys)) == len(keys)
    assert collated("\n".join(texts).encode()).split(b"\n") == keys
