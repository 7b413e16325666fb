"""A mailbox in one of the layouts: append, STORE, EXPUNGE. Each method is one transaction's work.

Invariants: the counters of the state equal what the rows say after every transaction.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import compress

from bench.layout.columns import (
    LIVE,
    OCTETS,
    TEXT_COLUMNS,
    TYPECODES,
    Column,
    Columns,
    adding,
    decode,
    encode,
    having,
    keep,
    pack,
    unpack,
)
from bench.layout.design import (
    CHUNK,
    GONE_UIDS,
    MAILBOX,
    ROW,
    ROW_COLUMNS,
    SHAPE,
    STATE,
    Design,
    Row,
    State,
    ranges,
    shape_record,
    texts_of,
)
from bench.layout.messages import GONE, SEEN, Message
from fedaemon.store.interface import Snapshot, Transaction

UID_END = 1 << 32
HOT = (Column.UID, Column.MODSEQ, Column.FLAGS, Column.KEYWORDS)


def state_of(snapshot: Snapshot) -> State:
    """Return the counters; this is all that STATUS needs."""
    value = snapshot.get((STATE, MAILBOX))
    return State() if value is None else State.from_record(value)


class Writer:
    """Changes the mailbox in layout *design*."""

    def __init__(self, design: Design) -> None:
        self.design = design
        self._group_of = {column: number for number, group in enumerate(design.groups) for column in group}

    # append

    def append(self, transaction: Transaction, messages: Sequence[Message]) -> None:
        """Add messages."""
        state = state_of(transaction)
        modseq = state.modseq + 1
        rows = [Row.of(each, uid, modseq) for uid, each in enumerate(messages, state.uidnext)]
        for row, message in zip(rows, messages, strict=True):
            transaction.put((SHAPE, MAILBOX, row.uid), shape_record(message))
        if self.design.log:
            for row in rows:
                transaction.put((ROW, MAILBOX, row.uid), row.to_record())
        else:
            self._rewrite_tail(transaction, rows, [each.texts for each in messages])
        put_state(
            transaction,
            state._replace(
                uidnext=state.uidnext + len(rows),
                modseq=modseq,
                exists=state.exists + len(rows),
                unseen=state.unseen + sum(not row.flags & SEEN for row in rows),
                octets=state.octets + sum(row.size for row in rows),
            ),
        )

    def seal(self, transaction: Transaction) -> bool:
        """Make a chunk of the oldest rows when there are enough; True when there may be more."""
        limit = self.design.rows
        found = list(transaction.scan((ROW, MAILBOX), limit=limit))
        if len(found) < limit:
            return False
        rows = [Row.from_record(value) for _, value in found]
        texts = []
        for row in rows:
            record = transaction.get((SHAPE, MAILBOX, row.uid))
            assert record is not None
            texts.append(texts_of(record))
        self.put_columns(transaction, rows[0].uid, columns_of(rows, texts))
        for key, _ in found:
            transaction.delete(key)
        return True

    def _rewrite_tail(
        self, transaction: Transaction, rows: Sequence[Row], texts: Sequence[Sequence[bytes]]
    ) -> None:
        last = next(transaction.scan((CHUNK, MAILBOX, 0), reverse=True, limit=1), None)
        while rows:
            columns: Columns = {}
            first = rows[0].uid
            if last is not None:
                columns = self.columns(transaction, int(last[0][3]), tuple(Column))
                if len(columns[Column.FLAGS]) < self.design.rows:
                    first = int(last[0][3])
                else:
                    columns = {}
            room = self.design.rows - len(columns.get(Column.FLAGS, b""))
            added = columns_of(rows[:room], texts[:room])
            for column, data in added.items():
                if column in columns:
                    added[column] = columns[column] + (b"\n" if column in TEXT_COLUMNS else b"") + data
            self.put_columns(transaction, first, added)
            rows, texts, last = rows[room:], texts[room:], None

    # the records of a chunk

    def columns(self, snapshot: Snapshot, first_uid: int, wanted: Sequence[Column]) -> Columns:
        """Return all columns of the records that *wanted* ones of a chunk are in."""
        columns: Columns = {}
        for group in sorted({self._group_of[column] for column in wanted}):
            value = snapshot.get((CHUNK, MAILBOX, group, first_uid))
            assert value is not None
            columns |= decode(value)
        return columns

    def put_columns(self, transaction: Transaction, first_uid: int, columns: Columns) -> None:
        """Write the records of the groups that *columns* holds."""
        rows = len(columns[Column.FLAGS])
        for number, group in enumerate(self.design.groups):
            if group[0] in columns:
                transaction.put(
                    (CHUNK, MAILBOX, number, first_uid), encode(rows, {each: columns[each] for each in group})
                )

    def first_uids(self, snapshot: Snapshot) -> list[int]:
        """Return the first UID of every chunk, with one scan of the group that has the flags."""
        group = self._group_of[Column.FLAGS]
        return [int(key[3]) for key, _ in snapshot.scan((CHUNK, MAILBOX, group))]

    # change

    def add_flag(self, transaction: Transaction, bit: int, uids: range) -> None:
        """STORE +FLAGS on a range of UIDs: those that have the flag already keep their mod-sequence."""
        state = state_of(transaction)
        modseq = state.modseq + 1
        newly_seen = count = 0
        for first_uid in self._touched(transaction, uids):
            columns = self.columns(transaction, first_uid, HOT)
            changed = self._in_range(columns, having(bit, absent=True), uids)
            if not any(changed):
                continue
            count += 1
            newly_seen += sum(changed) if bit == SEEN else 0
            self._mark(transaction, first_uid, columns, changed, (bit, modseq))
        for row in list(_rows(transaction, uids)):
            if not row.flags & (bit | GONE):
                count += 1
                newly_seen += bit == SEEN
                changed_row = row._replace(flags=row.flags | bit, modseq=modseq)
                transaction.put((ROW, MAILBOX, row.uid), changed_row.to_record())
        if count:
            put_state(transaction, state._replace(modseq=modseq, unseen=state.unseen - newly_seen))

    def expunge(self, transaction: Transaction, uids: range) -> None:
        """EXPUNGE a range of UIDs: the rows are marked as gone and stay for undelete, until ``compact``."""
        state = state_of(transaction)
        modseq = state.modseq + 1
        gone: list[Row] = []
        for first_uid in self._touched(transaction, uids):
            columns = self.columns(transaction, first_uid, (*HOT, Column.SIZE))
            changed = self._in_range(columns, LIVE, uids)
            found = zip(
                compress(unpack(Column.UID, columns[Column.UID]), changed),
                compress(columns[Column.FLAGS], changed),
                compress(unpack(Column.SIZE, columns[Column.SIZE]), changed),
                strict=True,
            )
            gone += [Row(uid, 0, flags, 0, size, 0, 0, 0, 0, 0, 0) for uid, flags, size in found]
            if any(changed):
                hot = {each: data for each, data in columns.items() if self._shares_with_flags(each)}
                self._mark(transaction, first_uid, hot, changed, (GONE, modseq))
        for row in [each for each in _rows(transaction, uids) if not each.flags & GONE]:
            gone.append(row)
            changed_row = row._replace(flags=row.flags | GONE, modseq=modseq)
            transaction.put((ROW, MAILBOX, row.uid), changed_row.to_record())
        transaction.put((GONE_UIDS, MAILBOX, modseq), ranges(row.uid for row in gone))
        put_state(
            transaction,
            state._replace(
                modseq=modseq,
                exists=state.exists - len(gone),
                unseen=state.unseen - sum(not row.flags & SEEN for row in gone),
                octets=state.octets - sum(row.size for row in gone),
            ),
        )

    def compact(self, transaction: Transaction, first_uid: int) -> None:
        """Write a chunk anew without the rows that are gone; one without rows goes altogether."""
        columns = self.columns(transaction, first_uid, tuple(Column))
        mask = columns[Column.FLAGS].translate(LIVE)
        for uid in compress(unpack(Column.UID, columns[Column.UID]), mask.translate(having(1, absent=True))):
            transaction.delete((SHAPE, MAILBOX, uid))
        if any(mask):
            self.put_columns(transaction, first_uid, keep(columns, mask))
            return
        for group in range(len(self.design.groups)):
            transaction.delete((CHUNK, MAILBOX, group, first_uid))

    def _shares_with_flags(self, column: Column) -> bool:
        hot = {self._group_of[each] for each in (Column.MODSEQ, Column.FLAGS)}
        return self._group_of[column] in hot

    def _touched(self, snapshot: Snapshot, uids: range) -> Iterator[int]:
        group = self._group_of[Column.FLAGS]
        before = snapshot.scan(
            (CHUNK, MAILBOX, group), (CHUNK, MAILBOX, group, uids.start + 1), reverse=True, limit=1
        )
        first = next((int(key[3]) for key, _ in before), 0)
        keys = snapshot.scan((CHUNK, MAILBOX, group, first), (CHUNK, MAILBOX, group, uids.stop))
        yield from [int(key[3]) for key, _ in keys]

    @staticmethod
    def _in_range(columns: Columns, table: bytes, uids: range) -> bytes:
        mask = columns[Column.FLAGS].translate(table)
        column = unpack(Column.UID, columns[Column.UID])
        if uids.start <= column[0] and column[-1] < uids.stop:
            return mask
        return bytes(bit and uid in uids for bit, uid in zip(mask, column, strict=True))

    def _mark(
        self,
        transaction: Transaction,
        first_uid: int,
        columns: Columns,
        changed: bytes,
        bit_and_modseq: tuple[int, int],
    ) -> None:
        bit, modseq = bit_and_modseq
        flags, modseqs = columns[Column.FLAGS], unpack(Column.MODSEQ, columns[Column.MODSEQ])
        if changed.count(1) == len(changed):
            flags, modseqs = flags.translate(adding(bit)), array("Q", [modseq]) * len(changed)
        else:
            every = bytearray(flags)
            for index in compress(range(len(changed)), changed):
                every[index] |= bit
                modseqs[index] = modseq
            flags = bytes(every)
        written = {each: data for each, data in columns.items() if self._shares_with_flags(each)}
        written[Column.FLAGS], written[Column.MODSEQ] = flags, pack(modseqs)
        self.put_columns(transaction, first_uid, written)


def put_state(transaction: Transaction, state: State) -> None:
    """Write the counters."""
    transaction.put((STATE, MAILBOX), state.to_record())


def columns_of(rows: Sequence[Row], texts: Sequence[Sequence[bytes]]) -> Columns:
    """Return the columns of *rows*, which must not be empty."""
    columns: Columns = {}
    for column, values in zip(ROW_COLUMNS, zip(*rows, strict=True), strict=True):
        columns[column] = bytes(values) if column in OCTETS else pack(array(TYPECODES[column], values))
    for column, lines in zip(TEXT_COLUMNS, zip(*texts, strict=True), strict=True):
        columns[column] = b"\n".join(lines)
    return columns


def _rows(snapshot: Snapshot, uids: range) -> Iterator[Row]:
    start, stop = (ROW, MAILBOX, uids.start), (ROW, MAILBOX, uids.stop)
    return (Row.from_record(value) for _, value in snapshot.scan(start, stop))
