"""Bringing back what was expunged, as long as it is not purged.

Invariants: a restored message is a new one, with a UID and a mod-sequence of its own, because a UID never comes
back (RFC 9051 2.3.1.1); what was expunged stays so, and can be restored again. \\Deleted is taken off, or the next
EXPUNGE would take the message away again.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.adding import grown
from fedaemon.mailbox.changing import Gone, GoneKind, decode_gone
from fedaemon.mailbox.rows import Mail, Row, rows_of
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import MAIL, MAIL_GONE, MAIL_ROW

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs


def expunged(snapshot: Snapshot, mailbox_id: str) -> list[tuple[Gone, list[Row]]]:
    """Return what can be restored: each change that expunged messages, oldest first, and their rows.

    What was moved elsewhere is there, and not here.
    """
    found = []
    for _, value in snapshot.scan((MAIL_GONE, mailbox_id)):
        gone = decode_gone(value)
        rows = [] if gone.kind is GoneKind.MOVED else _gone_rows(snapshot, mailbox_id, gone.ranges)
        if rows:
            found.append((gone, rows))
    return found


def restore(
    transaction: Transaction, blobs: Blobs, mailbox_id: str, ranges: c.UidRanges, now_s: int
) -> list[tuple[int, int]]:
    """Restore expunged messages of *ranges*; return (old UID, new UID) of each.

    :raises StoreError: the mailbox is gone, or a content is missing.
    """
    before = states.load(transaction, mailbox_id)
    restored: list[tuple[int, int]] = []
    rows: list[Row] = []
    for row in _gone_rows(transaction, mailbox_id, ranges):
        value = transaction.get((MAIL, mailbox_id, row.uid))
        assert value is not None
        blobs.retain(transaction, Mail.from_record(value).blob)
        uid = before.uidnext + len(rows)
        flags = row.flags & ~(c.GONE | c.DELETED)
        again = row._replace(uid=uid, modseq=before.modseq + 1, flags=flags, saved_s=now_s)
        transaction.put((MAIL, mailbox_id, uid), value)
        transaction.put((MAIL_ROW, mailbox_id, uid), again.to_record())
        rows.append(again)
        restored.append((row.uid, uid))
    if rows:
        states.save(transaction, mailbox_id, before, grown(before, before.modseq + 1, rows))
    return restored


def _gone_rows(snapshot: Snapshot, mailbox_id: str, ranges: c.UidRanges) -> list[Row]:
    """Return the expunged rows of *ranges* whose contents are still there."""
    rows: list[Row] = []
    for first_uid, columns in reading.chunks(snapshot, mailbox_id, ranges):
        mask = c.without(
            c.within(c.unpack(c.UID, columns[c.UID]), ranges), columns[c.FLAGS].translate(c.LIVE)
        )
        if any(mask):
            facts = reading.group(snapshot, mailbox_id, c.FACTS_GROUP, first_uid)
            rows += compress(rows_of(columns | facts), mask)
    rows += [row for row in reading.tail(snapshot, mailbox_id, ranges) if not row.live]
    return [row for row in rows if snapshot.get((MAIL, mailbox_id, row.uid)) is not None]
