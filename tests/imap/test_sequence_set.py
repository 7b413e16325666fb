"""Sets of numbers: RFC 9051 4.1.1, 9 (sequence-set)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.imap.sequence_set import Ranges, read_sequence_set

NUMBERS = st.sets(st.integers(1, 60), max_size=40)


@pytest.mark.parametrize(
    ("text", "largest", "pairs"),
    [
        (b"2,4:7,9,12:*", 15, [(2, 2), (4, 7), (9, 9), (12, 15)]),
        (b"*:4,7:5", 7, [(4, 7)]),
        (b"559:*", 10, [(10, 559)]),
        (b"*", 0, []),
        (b"1:*", 0, [(1, 1)]),
        (b"1:2,3:4", 9, [(1, 4)]),
        (b"1:4294967295", 9, [(1, 4294967295)]),
    ],
)
def test_examples(text: bytes, largest: int, pairs: list[tuple[int, int]]) -> None:
    """RFC 9051 9: order does not matter, and * is the largest number even below the other one."""
    assert list(read_sequence_set(text).resolve(largest).pairs()) == pairs


@given(NUMBERS)
def test_a_set_is_its_numbers(numbers: set[int]) -> None:
    """Membership, iteration, length, writing and reading agree."""
    ranges = Ranges.of(sorted(numbers))
    assert list(ranges) == sorted(numbers)
    assert len(ranges) == len(numbers)
    assert bool(ranges) == bool(numbers)
    assert {number for number in range(62) if number in ranges} == numbers
    assert Ranges((number, number) for number in numbers) == ranges
    if numbers:
        assert read_sequence_set(ranges.encode()).resolve(99) == ranges


@given(NUMBERS, NUMBERS)
def test_slices_cut_the_common_numbers(numbers: set[int], column: set[int]) -> None:
    """Each slice is a run of the column that is in the set."""
    uids = sorted(column)
    slices = list(Ranges.of(sorted(numbers)).slices(uids))
    assert [uid for start, stop in slices for uid in uids[start:stop]] == sorted(numbers & column)
    assert all(start < stop for start, stop in slices)


def test_the_largest_number_written_is_known() -> None:
    """Beyond EXISTS it is a bad message number."""
    assert read_sequence_set(b"3,9:*").largest_written() == 9
    assert read_sequence_set(b"$").largest_written() == 0
