"""A mailbox as sessions see it: the columns of its chunks in memory, shared by all of them.

Theory of operation: a chunk in memory never changes; after a change the mailbox has another one in its place,
which shares the columns that are the same. What a session sees is its list of chunks, so a session that has not
been told of a change yet keeps the old chunk, and the difference between the two is what it has to be told.
Columns of sizes and dates are loaded when first asked for and stay; texts are read from the map each time.

Invariants: rows that are gone count nowhere.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from itertools import compress, count

from bench.layout.columns import LIVE, TEXT_COLUMNS, Column, Columns, decode, having, unpack
from bench.layout.design import CHUNK, MAILBOX, ROW, SHAPE, Design, Row, shape_of, texts_of
from bench.layout.messages import ANSWERED, DELETED, DRAFT, FLAGGED, GONE, SEEN
from bench.layout.writing import columns_of
from fedaemon.mailbox.columns import both, containing
from fedaemon.store.interface import Snapshot

_UNSEEN = having(SEEN, absent=True)
_NAMES = {
    ANSWERED: b"\\Answered",
    FLAGGED: b"\\Flagged",
    DELETED: b"\\Deleted",
    SEEN: b"\\Seen",
    DRAFT: b"\\Draft",
}
_FLAG_LISTS = [b" ".join(name for bit, name in _NAMES.items() if octet & bit) for octet in range(256)]


class Chunk:
    """Consecutive messages; the tail of rows that are in no chunk yet is one, too (*first_uid* None)."""

    __slots__ = ("facts", "first_uid", "flags", "live", "modseqs", "uids")

    def __init__(self, first_uid: int | None, columns: Columns) -> None:
        self.first_uid = first_uid
        self.uids = unpack(Column.UID, columns[Column.UID])
        self.modseqs = unpack(Column.MODSEQ, columns[Column.MODSEQ])
        self.flags = columns[Column.FLAGS]
        live = self.flags.translate(LIVE)
        self.live = None if live.count(1) == len(live) else live
        self.facts: dict[Column, array[int]] = {}

    def live_uids(self) -> array[int]:
        """Return the UIDs of the messages that are there."""
        return self.uids if self.live is None else array("I", list(compress(self.uids, self.live)))

    def visible(self, mask: bytes) -> bytes:
        """Return *mask* without rows that are gone."""
        return mask if self.live is None else both(mask, self.live)


class View:
    """What one session sees of the mailbox."""

    def __init__(self, design: Design, chunks: tuple[Chunk, ...]) -> None:
        self.chunks = chunks
        self._group_of = {column: number for number, group in enumerate(design.groups) for column in group}

    @classmethod
    def open(cls, design: Design, snapshot: Snapshot) -> View:
        """Read what SELECT needs: UIDs, mod-sequences and flags of every message."""
        group_of = {column: number for number, group in enumerate(design.groups) for column in group}
        found: dict[int, Columns] = {}
        for group in sorted({group_of[each] for each in (Column.UID, Column.MODSEQ, Column.FLAGS)}):
            for key, value in snapshot.scan((CHUNK, MAILBOX, group)):
                found.setdefault(int(key[3]), {}).update(decode(value))
        chunks = [Chunk(first_uid, columns) for first_uid, columns in sorted(found.items())]
        tail = [Row.from_record(value) for _, value in snapshot.scan((ROW, MAILBOX))]
        if tail:
            columns = columns_of(tail, [(b"",) * len(TEXT_COLUMNS)] * len(tail))
            chunks.append(Chunk(None, columns))
            chunks[-1].facts = {each: unpack(each, columns[each]) for each in (Column.SIZE, Column.INTERNAL)}
        return cls(design, tuple(chunks))

    def uids(self) -> array[int]:
        """Return the UIDs by sequence number, the first at 0."""
        uids = array("I")
        for chunk in self.chunks:
            uids += chunk.live_uids()
        return uids

    def counts(self) -> tuple[int, int, int | None]:
        """Return the number of messages, of unseen ones, and the sequence number of the first unseen one."""
        exists = unseen = 0
        first = None
        for chunk in self.chunks:
            mask = chunk.flags.translate(_UNSEEN)
            here = mask.count(1)
            if here and first is None:
                index = mask.index(1)
                before = index if chunk.live is None else chunk.live.count(1, 0, index)
                first = exists + before + 1
            unseen += here
            exists += len(chunk.uids) if chunk.live is None else chunk.live.count(1)
        return exists, unseen, first

    def fetch_flags(self) -> Iterator[bytes]:
        """Yield the answers to FETCH 1:* (UID FLAGS MODSEQ), a chunk at a time."""
        number = 1
        for chunk in self.chunks:
            lists = map(_FLAG_LISTS.__getitem__, chunk.flags)
            rows = zip(chunk.uids, lists, chunk.modseqs, strict=True)
            if chunk.live is not None:
                rows = compress(rows, chunk.live)  # type: ignore[assignment]
            numbered = [
                b"* %d FETCH (UID %d FLAGS (%b) MODSEQ (%d))\r\n" % (at, *row)
                for at, row in zip(count(number), rows)
            ]
            number += len(numbered)
            yield b"".join(numbered)

    def unseen(self) -> array[int]:
        """SEARCH UNSEEN, as UIDs."""
        return self._select(lambda chunk: chunk.flags.translate(_UNSEEN))

    def changed_since(self, modseq: int) -> array[int]:
        """SEARCH MODSEQ, or what FETCH CHANGEDSINCE looks for, as UIDs."""
        return self._select(lambda chunk: chunk.visible(bytes(map(modseq.__lt__, chunk.modseqs))))

    def at_least(self, snapshot: Snapshot, column: Column, least: int) -> array[int]:
        """SEARCH SINCE (INTERNAL) or LARGER (SIZE, one more), as UIDs."""

        def mask(chunk: Chunk) -> bytes:
            facts = self._facts(snapshot, chunk, column)
            return chunk.visible(bytes(map(least.__le__, facts)))

        return self._select(mask)

    def text(self, snapshot: Snapshot, column: Column, needle: bytes) -> array[int]:
        """SEARCH SUBJECT and the like, as UIDs; *needle* is case-folded UTF-8."""
        found = array("I")
        tail: Chunk | None = None
        chunks = iter(self.chunks)
        for _, value in snapshot.scan((CHUNK, MAILBOX, self._group_of[column])):
            chunk = next(chunks)
            rows = containing(decode(value)[column], needle)
            found.extend(chunk.uids[row] for row in rows if chunk.live is None or chunk.live[row])
        tail = next(chunks, None)
        if tail is not None:
            number = TEXT_COLUMNS.index(column)
            for uid in tail.live_uids():
                record = snapshot.get((SHAPE, MAILBOX, uid))
                assert record is not None
                if needle in texts_of(record)[number]:
                    found.append(uid)
        return found

    @staticmethod
    def fetch_shapes(snapshot: Snapshot, uids: range) -> Iterator[bytes]:
        """Yield what is sent of each message's shape; its record holds it as it is sent."""
        for _, record in snapshot.scan((SHAPE, MAILBOX, uids.start), (SHAPE, MAILBOX, uids.stop)):
            yield shape_of(record)

    def _facts(self, snapshot: Snapshot, chunk: Chunk, column: Column) -> array[int]:
        if column not in chunk.facts:
            assert chunk.first_uid is not None
            value = snapshot.get((CHUNK, MAILBOX, self._group_of[column], chunk.first_uid))
            assert value is not None
            columns = decode(value)
            for each in (Column.SIZE, Column.INTERNAL):
                if each in columns:
                    chunk.facts[each] = unpack(each, columns[each])
        return chunk.facts[column]

    def _select(self, mask_of: Callable[[Chunk], bytes]) -> array[int]:
        found = array("I")
        for chunk in self.chunks:
            found.extend(compress(chunk.uids, mask_of(chunk)))
        return found


def newly_changed(before: View, after: View) -> tuple[list[int], list[int]]:
    """Return what a session that sees *before* is to be told: UIDs that are gone, and UIDs with other flags.

    Chunks that are the same object, as most are, cost nothing. Both views have the same chunks here; where rows
    were compacted between them, rows are matched by UID instead of place.
    """
    gone: list[int] = []
    flags: list[int] = []
    for old, new in zip(before.chunks, after.chunks, strict=True):
        if old is new or old.modseqs == new.modseqs:
            continue
        for uid, was, now in zip(old.uids, old.flags, new.flags, strict=True):
            if was != now:
                (gone if now & GONE else flags).append(uid)
    return gone, flags
