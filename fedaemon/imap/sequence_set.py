"""Sets of message numbers and UIDs, as clients write them and as sorted ranges.

A set of "1:*" is two numbers whatever the size of the mailbox; asking for members and cutting sorted columns
costs a search for each range, never a step for each message.

Standards: RFC 9051 4.1.1, 9 (sequence-set), RFC 5182 2.1 ($).
Invariants: ranges are sorted, apart from each other, and not empty.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fedaemon.errors import BadSyntax

STAR: Final = 2**32
"""Stands for ``*`` until the largest number is known; beyond each that can be written."""

_NUMBER: Final = rb"(?:[1-9][0-9]{0,9}+(?![0-9])|\*)"
SEQUENCE_SET: Final = re.compile(rb"\$|%s(?::%s)?+(?:,%s(?::%s)?+)*+" % ((_NUMBER,) * 4)).match


class Ranges:
    """A set of numbers from 1 on, as sorted ranges."""

    __slots__ = ("highs", "lows")

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self.lows: list[int] = []
        self.highs: list[int] = []
        for low, high in sorted(pairs):
            if self.highs and low <= self.highs[-1] + 1:
                self.highs[-1] = max(high, self.highs[-1])
            else:
                self.lows.append(low)
                self.highs.append(high)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Ranges:
        """Return the set of *numbers*, which are sorted."""
        ranges = cls()
        lows, highs = ranges.lows, ranges.highs
        last = -1
        for number in numbers:
            if number != last + 1 or not lows:
                lows.append(number)
                highs.append(number)
            else:
                highs[-1] = number
            last = number
        return ranges

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Give the lowest and the highest number of each range."""
        return zip(self.lows, self.highs, strict=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and (self.lows, self.highs) == (other.lows, other.highs)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self.lows)

    def __len__(self) -> int:
        return sum(self.highs) - sum(self.lows) + len(self.lows)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self.lows, number) - 1
        return place >= 0 and number <= self.highs[place]

    def __iter__(self) -> Iterator[int]:
        for low, high in self.pairs():
            yield from range(low, high + 1)

    def __repr__(self) -> str:
        return f"Ranges({list(self.pairs())})"

    def slices(self, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Give the parts ``numbers[start:stop]`` of a sorted column whose numbers are in the set.

        :param numbers: sorted, each once: the UIDs of a mailbox or of a chunk of it.
        """
        stop = 0
        for place in range(bisect_left(self.highs, numbers[0]) if len(numbers) else 0, len(self.lows)):
            if stop == len(numbers) or self.lows[place] > numbers[-1]:
                return
            start = bisect_left(numbers, self.lows[place], stop)
            stop = bisect_right(numbers, self.highs[place], start)
            if start < stop:
                yield start, stop

    def encode(self) -> bytes:
        """Return the set as it is written in a response: ``1:3,5``; an empty set cannot be written.

        Spec: RFC 9051 9 (sequence-set)
        """
        return b",".join(
            [b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in self.pairs()]
        )


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """What a client wrote; *saved* is ``$``, the result of the last SEARCH.

    *pairs* are as written, ``*`` as STAR.
    """

    pairs: tuple[tuple[int, int], ...]
    saved: bool = False

    def resolve(self, largest: int) -> Ranges:
        """Return the set of numbers when ``*`` is *largest*; empty when *largest* is 0 and only ``*`` is asked.

        ``559:*`` has the largest number even if that is below 559.

        Spec: RFC 9051 9 (seq-range)
        """
        found: list[tuple[int, int]] = []
        for first, second in self.pairs:
            one = largest if first == STAR else first
            other = largest if second == STAR else second
            low, high = (one, other) if one <= other else (other, one)
            if high:
                found.append((max(low, 1), high))
        return Ranges(found)

    def largest_written(self) -> int:
        """Return the largest number that is written, 0 without one: beyond EXISTS it is a bad number."""
        return max((n for pair in self.pairs for n in pair if n != STAR), default=0)


def read_sequence_set(text: bytes) -> SequenceSet:
    """Return the set that *text*, which SEQUENCE_SET matched, stands for.

    :raises BadSyntax: for numbers of more than 32 bits.

    Spec: RFC 9051 9 (sequence-set)
    """
    if text == b"$":
        return SequenceSet((), saved=True)
    pairs: list[tuple[int, int]] = []
    for item in text.split(b","):
        first, _, second = item.partition(b":")
        pairs.append((_number(first), _number(second or first)))
    return SequenceSet(tuple(pairs))


def _number(digits: bytes) -> int:
    if digits == b"*":
        return STAR
    number = int(digits)
    if number >= STAR:
        raise BadSyntax("a message number of more than 32 bits")
    return number
