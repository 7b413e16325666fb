"""A mailbox as one session sees it.

Theory of operation: a session keeps the chunks that it was told of, and beside each the mask of the rows that it
counts, so what it has to be told is the difference between its list and the mailbox's: chunks that are the same
object cost nothing, those with the same rows are compared by place, and where sealing or compaction moved rows
they are matched by UID.

Standards: RFC 9051 2.3.1.2 (sequence numbers), 5.5 and 7.5.1 (when EXPUNGE may be sent), RFC 2180 4.1.
Invariants: a sequence number means the same message until the session is told otherwise; a session that may not
be told of expunges keeps counting the messages; each change is told once.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, compress

from fedaemon.mailbox import columns as c
from fedaemon.mailbox.opened import TAIL, Chunk, OpenMailbox


@dataclass(slots=True)
class Difference:
    """What a session is to be told.

    :ivar expunged: (sequence number before, UID), ascending.
    :ivar changed: (sequence number after, UID, flags, mod-sequence), ascending.
    :ivar added: how many messages are new at the end.
    """

    expunged: list[tuple[int, int]] = field(default_factory=list)
    changed: list[tuple[int, int, int, int]] = field(default_factory=list)
    added: int = 0


class View:
    """What one session sees of a mailbox; *chunks*, and for each the mask of the rows it counts (None: all)."""

    __slots__ = ("_ends", "chunks", "shown")

    def __init__(self, mailbox: OpenMailbox) -> None:
        self._set(mailbox.chunks, [chunk.live for chunk in mailbox.chunks])

    def _set(self, chunks: tuple[Chunk, ...], shown: list[bytes | None]) -> None:
        self.chunks = chunks
        self.shown = shown
        counts = [
            len(chunk.uids) if mask is None else mask.count(1)
            for chunk, mask in zip(chunks, shown, strict=True)
        ]
        self._ends = list(accumulate(counts))

    @property
    def exists(self) -> int:
        """How many messages there are."""
        return self._ends[-1] if self._ends else 0

    def changed_since(self, modseq: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (sequence number, UID, flags, mod-sequence) of messages with a higher mod-sequence, ascending."""
        before = 0
        for chunk, mask, end in zip(self.chunks, self.shown, self._ends, strict=True):
            number = before
            for row in range(len(chunk.uids)) if mask is None else compress(range(len(chunk.uids)), mask):
                number += 1
                if chunk.modseqs[row] > modseq:
                    yield number, chunk.uids[row], chunk.flags_at(row), chunk.modseqs[row]
            before = end

    def first_unseen(self) -> int | None:
        """Return the sequence number of the first message without \\Seen, None without one."""
        before = 0
        for chunk, mask, end in zip(self.chunks, self.shown, self._ends, strict=True):
            flags = chunk.flags if mask is None else bytes(compress(chunk.flags, mask))
            place = flags.translate(c.UNSEEN).find(1)
            if place >= 0:
                return before + place + 1
            before = end
        return None

    def uids(self) -> array[int]:
        """Return the UIDs by sequence number, that of message 1 first."""
        uids = array("I")
        for chunk, mask in zip(self.chunks, self.shown, strict=True):
            uids.extend(chunk.uids if mask is None else array("I", compress(chunk.uids, mask)))
        return uids

    def uid(self, number: int) -> int:
        """Return the UID of a message; *number* is 1..exists."""
        place = bisect_left(self._ends, number)
        index = number - 1 - (self._ends[place - 1] if place else 0)
        chunk, mask = self.chunks[place], self.shown[place]
        if mask is None:
            return chunk.uids[index]
        return next(uid for count, uid in enumerate(compress(chunk.uids, mask)) if count == index)

    def number(self, uid: int) -> int | None:
        """Return the sequence number of a message, None when there is no such UID here."""
        place = bisect_right(self.chunks, uid, key=_first) - 1
        if place < 0:
            return None
        chunk, mask = self.chunks[place], self.shown[place]
        index = bisect_left(chunk.uids, uid)
        if index == len(chunk.uids) or chunk.uids[index] != uid or (mask is not None and not mask[index]):
            return None
        before = self._ends[place - 1] if place else 0
        return before + 1 + (index if mask is None else mask.count(1, 0, index))

    def sync(self, mailbox: OpenMailbox, *, may_expunge: bool) -> Difference:
        """See the mailbox as it is now, and return what the session is to be told.

        :param may_expunge: False while EXPUNGE may not be sent: then expunged messages go on being counted.

        Spec: RFC 9051 7.5.1
        """
        same = 0
        for mine, now in zip(self.chunks, mailbox.chunks, strict=False):
            if mine is not now and not _has_rows_of(now, mine):
                break
            same += 1
        if not may_expunge and self._misses(same, mailbox.chunks[same:]):
            # Rows that the session still counts are gone for good: nothing can be told before they are.
            return Difference()
        difference = Difference()
        shown = list(self._compare_same(mailbox.chunks[:same], difference, may_expunge=may_expunge))
        shown += self._compare_moved(same, mailbox.chunks[same:], difference, may_expunge=may_expunge)
        before = self.exists
        self._set(mailbox.chunks, shown)
        difference.added = self.exists - before + len(difference.expunged)
        return difference

    def _misses(self, same: int, chunks: Sequence[Chunk]) -> bool:
        """Tell whether a message that is counted, from chunk *same* on, is in none of *chunks*."""
        there = {uid for chunk in chunks for uid in chunk.uids}
        return any(
            not there.issuperset(chunk.uids if mask is None else compress(chunk.uids, mask))
            for chunk, mask in zip(self.chunks[same:], self.shown[same:], strict=True)
        )

    def _compare_same(
        self, chunks: Sequence[Chunk], difference: Difference, *, may_expunge: bool
    ) -> Iterator[bytes | None]:
        """Compare chunks whose rows are the same, by place; yield the masks of what is counted then."""
        number = removed = 0
        for place, now in enumerate(chunks):
            mine, mask = self.chunks[place], self.shown[place]
            if mine is now and (mask == now.live or not may_expunge):
                number = self._ends[place]
                yield mask
                continue
            every: Sequence[int] = range(len(mine.uids))
            if mine.modseqs == now.modseqs[: len(mine.uids)] and not (may_expunge and mask != mine.live):
                # Nothing of what was there is different: only rows behind it are new.
                every = ()
                number += len(mine.uids) if mask is None else mask.count(1)
            for row in every if mask is None else compress(every, mask):
                number += 1
                if may_expunge and now.flags[row] & c.GONE:
                    difference.expunged.append((number, now.uids[row]))
                    removed += 1
                elif now.modseqs[row] != mine.modseqs[row] and not now.flags[row] & c.GONE:
                    difference.changed.append(
                        (number - removed, now.uids[row], now.flags_at(row), now.modseqs[row])
                    )
            yield now.live if may_expunge else _with_new(mask, mine, now)

    def _compare_moved(
        self,
        same: int,
        chunks: Sequence[Chunk],
        difference: Difference,
        *,
        may_expunge: bool,
    ) -> Iterator[bytes | None]:
        """Compare the chunks from *same* on by UID; yield the masks of what is counted then."""
        number, removed = self._ends[same - 1] if same else 0, len(difference.expunged)
        before: dict[int, int] = {}
        for chunk, mask in zip(self.chunks[same:], self.shown[same:], strict=True):
            pairs = zip(chunk.uids, chunk.modseqs, strict=True)
            before.update(pairs if mask is None else compress(pairs, mask))
        ordered = iter(before)
        due = next(ordered, None)
        for now in chunks:
            kept = bytearray(len(now.uids))
            for row, uid in enumerate(now.uids):
                while due is not None and due < uid:
                    number += 1
                    removed += 1
                    difference.expunged.append((number, due))
                    due = next(ordered, None)
                gone = now.flags[row] & c.GONE
                if due != uid:
                    kept[row] = not gone
                    continue
                number += 1
                due = next(ordered, None)
                if gone and may_expunge:
                    removed += 1
                    difference.expunged.append((number, uid))
                    continue
                kept[row] = 1
                if not gone and now.modseqs[row] != before[uid]:
                    difference.changed.append((number - removed, uid, now.flags_at(row), now.modseqs[row]))
            yield None if kept.count(1) == len(kept) else bytes(kept)
        while due is not None:
            number += 1
            difference.expunged.append((number, due))
            due = next(ordered, None)


def _has_rows_of(now: Chunk, mine: Chunk) -> bool:
    """Tell whether a chunk has the same rows as the one that a session knows, or is the tail with new ones."""
    if mine.first_uid != now.first_uid:
        return False
    # Where two chunks became one, what comes behind the first is not new.
    uids = now.uids[: len(mine.uids)] if now.first_uid == TAIL else now.uids
    return mine.uids == uids


def _with_new(mask: bytes | None, mine: Chunk, now: Chunk) -> bytes | None:
    """Return the mask of the rows that are counted, and of the live ones behind them."""
    rows_before = len(mine.uids)
    if len(now.uids) == rows_before:
        return mask
    if mask is None and now.live is None:
        return None
    new = now.live[rows_before:] if now.live is not None else b"\x01" * (len(now.uids) - rows_before)
    return (mask if mask is not None else b"\x01" * rows_before) + new


def _first(chunk: Chunk) -> int:
    """Return the lowest UID of a chunk, which its name need not be."""
    return chunk.uids[0]
