"""Changing what is there: flags, and expunging. Both go through chunks a column at a time.

Standards: RFC 9051 6.4.3, 6.4.6, RFC 7162 3.1.3 (UNCHANGEDSINCE), 3.2.10 (what was expunged).
Invariants: one mod-sequence for each call that changes something, none where nothing changes; counters and usage
change in the same transaction; the UID of an expunged message never comes back.
Limits: a caller gives at most so many UIDs that one turn can do: 20,000 in chunks take some 3 ms.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import compress
from typing import Final

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.rows import Row
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import MAIL_CHUNK, MAIL_GONE, MAIL_PURGE, MAIL_ROW

GONE_VERSION: Final = 1
_GONE = struct.Struct("<BBQ")
_RANGE = struct.Struct("<II")


class Mode(Enum):
    """What becomes of the flags."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


class GoneKind(Enum):
    """Why messages are gone."""

    EXPUNGED = 0
    MOVED = 1
    EXPIRED = 2


@dataclass(frozen=True, slots=True)
class Gone:
    """What one change expunged."""

    kind: GoneKind
    at_ms: int
    ranges: c.UidRanges


@dataclass(slots=True)
class Changed:
    """What came of a change of flags.

    :ivar modseq: the mod-sequence of what was changed, None when nothing was.
    :ivar modified: the UIDs that UNCHANGEDSINCE kept from being changed.
    """

    modseq: int | None = None
    modified: list[int] = field(default_factory=list)


def change_flags(
    transaction: Transaction,
    mailbox_id: str,
    ranges: c.UidRanges,
    mode: Mode,
    flags: int,
    unchanged_since: int | None = None,
) -> Changed:
    """Change the flags of live messages; those that have them so already keep their mod-sequence.

    :param flags: as ``words.make_flag_bits`` gives them.
    :raises MailboxGone: the mailbox was deleted.

    Spec: RFC 9051 6.4.6, RFC 7162 3.1.3
    """
    edit = _Edit(transaction, mailbox_id, _tables(mode, flags))
    changed = Changed()
    for first_uid, columns in list(reading.chunks(transaction, mailbox_id, ranges)):
        wanted = c.both(columns[c.FLAGS].translate(c.LIVE), c.within(c.unpack(c.UID, columns[c.UID]), ranges))
        if unchanged_since is not None:
            modseqs = c.unpack(c.MODSEQ, columns[c.MODSEQ])
            newer = c.both(wanted, bytes(map(unchanged_since.__lt__, modseqs)))
            changed.modified += compress(c.unpack(c.UID, columns[c.UID]), newer)
            wanted = c.without(wanted, newer)
        edit.chunk(first_uid, columns, wanted)
    for row in list(reading.tail(transaction, mailbox_id, ranges)):
        if not row.live:
            continue
        if unchanged_since is not None and row.modseq > unchanged_since:
            changed.modified.append(row.uid)
        else:
            edit.row(row, _changed_flags(row.flags, mode, flags))
    if edit.first_uids or edit.tail:
        changed.modseq = edit.modseq
        edit.save()
    return changed


def expunge(
    transaction: Transaction,
    mailbox_id: str,
    ranges: c.UidRanges,
    now_ms: int,
    *,
    only_deleted: bool,
    kind: GoneKind = GoneKind.EXPUNGED,
    keep_s: int = 0,
) -> Gone | None:
    """Expunge live messages: their rows are marked, their contents stay for *keep_s* seconds; None without any.

    :param only_deleted: only those with \\Deleted.
    :raises MailboxGone: the mailbox was deleted.

    Spec: RFC 9051 6.4.3
    """
    edit = _Edit(transaction, mailbox_id, _tables(Mode.ADD, c.GONE))
    table = c.TO_BE_EXPUNGED if only_deleted else c.LIVE
    uids: list[int] = []
    for first_uid, columns in list(reading.chunks(transaction, mailbox_id, ranges)):
        numbers = c.unpack(c.UID, columns[c.UID])
        mask = c.both(columns[c.FLAGS].translate(table), c.within(numbers, ranges))
        if edit.chunk(first_uid, columns, mask):
            uids += compress(numbers, mask)
    for row in list(reading.tail(transaction, mailbox_id, ranges)):
        if table[row.flags & 255] and edit.row(row, row.flags | c.GONE):
            uids.append(row.uid)
    if not uids:
        return None
    gone = Gone(kind, now_ms, runs(uids))
    transaction.put((MAIL_GONE, mailbox_id, edit.modseq), encode_gone(gone))
    transaction.put((MAIL_PURGE, now_ms // 1000 + keep_s, mailbox_id, edit.modseq), b"")
    edit.save()
    return gone


def encode_gone(gone: Gone) -> bytes:
    """Return *gone* as octets."""
    ranges = b"".join([_RANGE.pack(*each) for each in gone.ranges])
    return _GONE.pack(GONE_VERSION, gone.kind.value, gone.at_ms) + ranges


def decode_gone(value: bytes) -> Gone:
    """Return what ``encode_gone`` was given."""
    _, kind, at_ms = _GONE.unpack_from(value)
    return Gone(GoneKind(kind), at_ms, tuple(_RANGE.iter_unpack(value[_GONE.size :])))


def runs(uids: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return ascending UIDs as ranges."""
    found: list[list[int]] = []
    for uid in uids:
        if found and found[-1][1] == uid - 1:
            found[-1][1] = uid
        else:
            found.append([uid, uid])
    return tuple((first, last) for first, last in found)


class _Sizes:
    """The sizes of a chunk's messages, read when the first is asked for."""

    def __init__(self, transaction: Transaction, mailbox_id: str, first_uid: int) -> None:
        self._chunk = (transaction, mailbox_id, c.FACTS_GROUP, first_uid)
        self._sizes: array[int] | None = None

    def total(self, mask: bytes) -> int:
        """Return the octets of the messages in *mask*."""
        if not any(mask):
            return 0
        if self._sizes is None:
            self._sizes = c.unpack(c.SIZE, reading.group(*self._chunk)[c.SIZE])
        return sum(compress(self._sizes, mask))


class _Edit:
    """One change of a mailbox: writes what is changed, and counts what that makes of the counters.

    :param tables: what becomes of the octets of each column of flags, for rows in chunks.
    :ivar first_uids: the chunks that were touched; *tail*: whether rows outside chunks were.
    """

    def __init__(self, transaction: Transaction, mailbox_id: str, tables: dict[int, bytes]) -> None:
        self._transaction = transaction
        self._mailbox_id = mailbox_id
        self._tables = tables
        self._before = states.need(transaction, mailbox_id)
        self.modseq = self._before.modseq + 1
        self.first_uids: list[int] = []
        self.tail = False
        self._exists = self._unseen = self._deleted = self._gone = 0
        self._octets = self._deleted_octets = self._gone_octets = 0

    def chunk(self, first_uid: int, columns: c.Columns, wanted: bytes) -> bool:
        """Change the rows of *wanted* in a chunk; False when that changes nothing."""
        after = _changed_columns(columns, self._tables, wanted, self.modseq)
        if after is None:
            return False
        key = (MAIL_CHUNK, self._mailbox_id, c.STATE_GROUP, first_uid)
        self._transaction.put(key, c.encode(after, len(wanted)))
        self._count(columns[c.FLAGS], after[c.FLAGS], _Sizes(self._transaction, self._mailbox_id, first_uid))
        self.first_uids.append(first_uid)
        return True

    def row(self, row: Row, flags: int) -> bool:
        """Give a row of the tail *flags*; False when it has them."""
        if flags == row.flags:
            return False
        changed = row._replace(flags=flags, modseq=self.modseq)
        self._transaction.put((MAIL_ROW, self._mailbox_id, row.uid), changed.to_record())
        old, new = row.flags & 255, flags & 255
        self._unseen += c.UNSEEN[new] - c.UNSEEN[old]
        deleted = c.TO_BE_EXPUNGED[new] - c.TO_BE_EXPUNGED[old]
        self._deleted += deleted
        self._deleted_octets += deleted * row.size
        if new & c.GONE and not old & c.GONE:
            self._lose(1, row.size)
        self.tail = True
        return True

    def _count(self, old: bytes, new: bytes, sizes: _Sizes) -> None:
        """Count a chunk whose octets of system flags were *old* and are *new*."""
        self._unseen += new.translate(c.UNSEEN).count(1) - old.translate(c.UNSEEN).count(1)
        was, now = old.translate(c.TO_BE_EXPUNGED), new.translate(c.TO_BE_EXPUNGED)
        self._deleted += now.count(1) - was.count(1)
        self._deleted_octets += sizes.total(c.without(now, was)) - sizes.total(c.without(was, now))
        lost = c.without(old.translate(c.LIVE), new.translate(c.LIVE))
        self._lose(lost.count(1), sizes.total(lost))

    def _lose(self, messages: int, octets: int) -> None:
        self._exists -= messages
        self._octets -= octets
        self._gone += messages
        self._gone_octets += octets

    def save(self) -> None:
        """Write the counters."""
        before = self._before
        after = before._replace(
            modseq=self.modseq,
            exists=before.exists + self._exists,
            unseen=before.unseen + self._unseen,
            deleted=before.deleted + self._deleted,
            octets=before.octets + self._octets,
            deleted_octets=before.deleted_octets + self._deleted_octets,
            gone=before.gone + self._gone,
            gone_octets=before.gone_octets + self._gone_octets,
        )
        states.save(
            self._transaction,
            self._mailbox_id,
            before,
            after,
            chunks=tuple(self.first_uids),
            tail=self.tail,
        )


def _changed_flags(old: int, mode: Mode, flags: int) -> int:
    if mode is Mode.ADD:
        return old | flags
    return old & ~flags if mode is Mode.REMOVE else flags


def _tables(mode: Mode, flags: int) -> dict[int, bytes]:
    """Return for each column of flags that may change the table of old to new octets."""
    tables = {}
    for place, column in enumerate((c.FLAGS, *range(c.KEYWORDS, c.KEYWORDS + c.PLANES))):
        octet = flags >> 8 * place & 255
        if octet or mode is Mode.REPLACE:
            tables[column] = bytes(_changed_flags(old, mode, octet) for old in range(256))
    return tables


def _changed_columns(
    columns: c.Columns, tables: dict[int, bytes], wanted: bytes, modseq: int
) -> c.Columns | None:
    """Return the columns with the rows of *wanted* changed, None when that changes nothing."""
    rows = len(wanted)
    if not any(wanted):
        return None
    after = dict(columns)
    changed = bytes(rows)
    for column, old, new in _translated(columns, tables, rows):
        differs = int.from_bytes(old, "little") ^ int.from_bytes(new, "little")
        if not differs:
            continue
        touched = c.both(wanted, bytes(map(bool, differs.to_bytes(rows, "little"))))
        if any(touched):
            changed = c.either(changed, touched)
            after[column] = c.blend(old, new, touched)
            if column != c.FLAGS and not any(after[column]):
                del after[column]
    count = changed.count(1)
    if not count:
        return None
    if count == rows:
        after[c.MODSEQ] = c.pack(c.MODSEQ, [modseq] * rows)
    else:
        modseqs = c.unpack(c.MODSEQ, columns[c.MODSEQ])
        for place in compress(range(rows), changed):
            modseqs[place] = modseq
        after[c.MODSEQ] = c.pack(c.MODSEQ, modseqs)
    return after


def _translated(
    columns: c.Columns, tables: dict[int, bytes], rows: int
) -> Iterator[tuple[int, bytes, bytes]]:
    for column, table in tables.items():
        old = columns.get(column)
        # A plane that is all zero is not there; only a table that sets bits can make it.
        if old is None:
            if not table[0]:
                continue
            old = bytes(rows)
        yield column, old, old.translate(table)
