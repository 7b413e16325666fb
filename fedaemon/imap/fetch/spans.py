"""Which rows of which chunk a FETCH is about: messages are read and written a span at a time.

Standards: RFC 7162 3.1.4.1 (CHANGEDSINCE), RFC 9394 3.3 (PARTIAL).
Invariants: a span is of one chunk; its rows ascend.
Limits: SPAN rows; choosing among messages takes a turn for each TURN_ROWS of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final

from fedaemon.imap.addressing import Addressed
from fedaemon.imap.operations import Turn
from fedaemon.mailbox.changing import runs
from fedaemon.mailbox.opened import Chunk
from fedaemon.mailbox.view import View

SPAN: Final = 500
TURN_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Span:
    """Messages of one chunk: their *rows* in it, and their sequence numbers."""

    chunk: Chunk
    rows: Sequence[int]
    numbers: Sequence[int]

    def only(self, places: Sequence[int]) -> Span:
        """Return the span of those at *places* of this one."""
        rows, numbers = [self.rows[at] for at in places], [self.numbers[at] for at in places]
        return Span(self.chunk, rows, numbers)

    def uids(self) -> list[int]:
        """Return the UIDs."""
        return list(map(self.chunk.uids.__getitem__, self.rows))


def spans(view: View, parts: Sequence[tuple[int, int]]) -> Iterator[Span]:
    """Yield the messages of a view in order.

    :param parts: first place and the one after the last, ascending, as ``Addressed`` has them.
    """
    before, at = 0, 0
    for chunk, mask in zip(view.chunks, view.shown, strict=True):
        shown: Sequence[int] = range(len(chunk.uids))
        if mask is not None:
            shown = list(compress(shown, mask))
        rows: list[int] = []
        numbers: list[int] = []
        end = before + len(shown)
        while at < len(parts) and parts[at][0] < end:
            start, stop = max(parts[at][0], before), min(parts[at][1], end)
            rows += shown[start - before : stop - before]
            numbers += range(start + 1, stop + 1)
            if parts[at][1] > end:
                break
            at += 1
        for first in range(0, len(rows), SPAN):
            yield Span(chunk, rows[first : first + SPAN], numbers[first : first + SPAN])
        before = end


async def changed_since(view: View, messages: Addressed, modseq: int) -> Addressed:
    """Return those of *messages* with a mod-sequence above *modseq*. Spec: RFC 7162 3.1.4.1"""
    parts: list[tuple[int, int]] = []
    looked_at = 0
    for span in spans(view, messages.parts):
        modseqs = map(span.chunk.modseqs.__getitem__, span.rows)
        changed = compress(span.numbers, map(modseq.__lt__, modseqs))
        parts += ((first - 1, last) for first, last in runs(changed))
        looked_at += len(span.rows)
        if looked_at >= TURN_ROWS:
            looked_at = 0
            await Turn()
    return Addressed(messages.uids, tuple(parts))


def partial_of(messages: Addressed, first: int, last: int) -> Addressed:
    """Return the messages from the *first* to the *last* of *messages*, negative ones counted from the end.

    Spec: RFC 9394 3.3
    """
    count = len(messages)
    start, stop = (first - 1, last) if first > 0 else (max(count + last, 0), max(count + first + 1, 0))
    parts: list[tuple[int, int]] = []
    before = 0
    for low, high in messages.parts:
        begin, end = max(low, low + start - before), min(high, low + stop - before)
        if begin < end:
            parts.append((begin, end))
        before += high - low
    return Addressed(messages.uids, tuple(parts))
