"""Rows and mails of a mailbox, wherever they are kept.

Invariants: rows come by UID; chunks have lower UIDs than the tail.
Limits: nothing is sliced here: a caller asks for as much as fits into its turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from typing import TYPE_CHECKING

from fedaemon.mailbox import columns as c
from fedaemon.mailbox.rows import Mail, Row, rows_of
from fedaemon.store.content import MemoryContent, PrefixedContent
from fedaemon.store.interface import Content, Snapshot
from fedaemon.store.spaces import MAIL, MAIL_CHUNK, MAIL_ROW

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

UID_END = 1 << 32
EVERY: c.UidRanges = ((1, UID_END - 1),)


def group(snapshot: Snapshot, mailbox_id: str, number: int, first_uid: int) -> c.Columns:
    """Return one group of a chunk's columns, none when the record is not there."""
    value = snapshot.get((MAIL_CHUNK, mailbox_id, number, first_uid))
    return {} if value is None else c.decode(value)


def chunks(snapshot: Snapshot, mailbox_id: str, ranges: c.UidRanges) -> Iterator[tuple[int, c.Columns]]:
    """Yield (first UID, columns that change) of the chunks that may have UIDs of *ranges*."""
    if not ranges:
        return
    space = (MAIL_CHUNK, mailbox_id, c.STATE_GROUP)
    before = snapshot.scan((*space, 0), (*space, ranges[0][0] + 1), reverse=True, limit=1)
    start = next((key[3] for key, _ in before), 0)
    for key, value in snapshot.scan((*space, start), (*space, ranges[-1][1] + 1)):
        assert isinstance(key[3], int)
        yield key[3], c.decode(value)


def tail(snapshot: Snapshot, mailbox_id: str, ranges: c.UidRanges) -> Iterator[Row]:
    """Yield the rows of *ranges* that are in no chunk."""
    if not ranges:
        return
    start, stop = (MAIL_ROW, mailbox_id, ranges[0][0]), (MAIL_ROW, mailbox_id, ranges[-1][1] + 1)
    place = 0
    for key, value in snapshot.scan(start, stop):
        uid = key[2]
        assert isinstance(uid, int)
        while uid > ranges[place][1]:
            place += 1
        if uid >= ranges[place][0]:
            yield Row.from_record(value)


def rows(
    snapshot: Snapshot, mailbox_id: str, ranges: c.UidRanges = EVERY, table: bytes = c.LIVE
) -> Iterator[Row]:
    """Yield the rows of *ranges* whose system flags *table* makes 1: the live ones, unless told otherwise."""
    for first_uid, columns in chunks(snapshot, mailbox_id, ranges):
        mask = c.both(columns[c.FLAGS].translate(table), c.within(c.unpack(c.UID, columns[c.UID]), ranges))
        if any(mask):
            facts = group(snapshot, mailbox_id, c.FACTS_GROUP, first_uid)
            yield from compress(rows_of(columns | facts), mask)
    yield from (row for row in tail(snapshot, mailbox_id, ranges) if table[row.flags & 255])


def mail(snapshot: Snapshot, mailbox_id: str, uid: int) -> Mail | None:
    """Return what is kept of a message, also of an expunged one, or None when it is purged or never was."""
    value = snapshot.get((MAIL, mailbox_id, uid))
    return None if value is None else Mail.from_record(value)


def content(snapshot: Snapshot, blobs: Blobs, found: Mail) -> Content:
    """Return all octets of a message, in one piece when they are in memory: that is cut faster.

    :raises StoreError: its blob is missing.
    """
    content = blobs.open(snapshot, found.blob)
    if type(content) is MemoryContent:
        return MemoryContent(found.prefix + content.data) if found.prefix else content
    return PrefixedContent(found.prefix, content)
