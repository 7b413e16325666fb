"""A mailbox in memory: the columns of its chunks, shared by all sessions that have it open.

Invariants: a chunk in memory never changes; after a change the mailbox has another one in its place, and what is
as it was is the same object.
Limits: some 15 octets of memory a message.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading, rows
from fedaemon.mailbox import state as states
from fedaemon.store.interface import Snapshot
from fedaemon.store.spaces import MAIL_CHUNK

TAIL: Final = 0
"""Stands for the first UID of the rows that are in no chunk: no message has it."""


class Chunk:
    """Consecutive messages; *live* is None when no row is gone."""

    __slots__ = ("first_uid", "flags", "live", "modseqs", "planes", "uids")

    planes: tuple[tuple[int, bytes], ...]

    def __init__(self, first_uid: int, columns: c.Columns, before: Chunk | None = None) -> None:
        """Take rows from *columns*, behind those of *before*."""
        self.first_uid = first_uid
        self.uids = c.unpack(c.UID, columns[c.UID])
        self.modseqs = c.unpack(c.MODSEQ, columns[c.MODSEQ])
        self.flags = columns[c.FLAGS]
        planes = {number: data for number, data in columns.items() if number >= c.KEYWORDS}
        if before is not None:
            rows_before, rows_here = len(before.uids), len(self.uids)
            self.uids = before.uids + self.uids
            self.modseqs = before.modseqs + self.modseqs
            self.flags = before.flags + self.flags
            known = dict(before.planes)
            planes = {
                number: known.get(number, bytes(rows_before)) + planes.get(number, bytes(rows_here))
                for number in sorted(known.keys() | planes.keys())
            }
        self.planes = tuple(planes.items())
        live = self.flags.translate(c.LIVE)
        self.live = None if live.count(1) == len(live) else live

    def flags_at(self, place: int) -> int:
        """Return the flags of a row, as ``words.flag_names`` takes them."""
        flags = self.flags[place]
        for number, data in self.planes:
            flags |= data[place] << 8 + 8 * (number - c.KEYWORDS)
        return flags


@dataclass(frozen=True, slots=True)
class OpenMailbox:
    """A mailbox as it is now."""

    id: str
    state: states.State
    chunks: tuple[Chunk, ...]

    @classmethod
    def load(cls, snapshot: Snapshot, mailbox_id: str, before: OpenMailbox | None = None) -> OpenMailbox:
        """Read what SELECT needs; chunks that are as *before* stay the same objects.

        :raises StoreError: the mailbox is gone.
        """
        state = states.load(snapshot, mailbox_id)
        if before is not None and before.state == state:
            return before
        known = {chunk.first_uid: chunk for chunk in before.chunks} if before is not None else {}
        chunks = []
        for key, value in snapshot.scan((MAIL_CHUNK, mailbox_id, c.STATE_GROUP)):
            assert isinstance(key[3], int)
            chunks.append(_renewed(Chunk(key[3], c.decode(value)), known))
        tail = list(reading.tail(snapshot, mailbox_id, reading.EVERY))
        if tail:
            chunks.append(_renewed(Chunk(TAIL, rows.state_columns(tail)), known))
        return cls(mailbox_id, state, tuple(chunks))

    def renewed(self, snapshot: Snapshot, changed: Set[int], *, tail: bool) -> OpenMailbox:
        """Read what is different now; the same chunks are there, and perhaps a tail.

        :param changed: the first UIDs of chunks that are.
        :param tail: whether rows outside chunks are, beside new ones behind them.
        :raises StoreError: the mailbox is gone.
        """
        state = states.load(snapshot, self.id)
        chunks = [
            self._read(snapshot, chunk.first_uid) if chunk.first_uid in changed else chunk
            for chunk in self.chunks
        ]
        last = chunks.pop() if chunks and chunks[-1].first_uid == TAIL else None
        known = None if tail else last
        first = known.uids[-1] + 1 if known is not None else 1
        new = list(reading.tail(snapshot, self.id, ((first, reading.UID_END - 1),)))
        if new:
            chunks.append(Chunk(TAIL, rows.state_columns(new), known))
        elif known is not None:
            chunks.append(known)
        return OpenMailbox(self.id, state, tuple(chunks))

    def _read(self, snapshot: Snapshot, first_uid: int) -> Chunk:
        return Chunk(first_uid, reading.group(snapshot, self.id, c.STATE_GROUP, first_uid))


def _renewed(chunk: Chunk, known: dict[int, Chunk]) -> Chunk:
    """Return the chunk that was known if this one is equal to it."""
    old = known.get(chunk.first_uid)
    if old is None or old.uids != chunk.uids or old.modseqs != chunk.modseqs:
        return chunk
    return old if (old.flags, old.planes) == (chunk.flags, chunk.planes) else chunk
