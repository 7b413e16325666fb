"""Bringing back what was expunged, as long as it is not purged.

Invariants: a restored message is a new one, with a UID and a mod-sequence of its own, because a UID never comes
back (RFC 9051 2.3.1.1); what was expunged stays so, and can be restored again. \\Deleted is taken off, or the next
EXPUNGE would take the message away again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox.adding import add_again
from fedaemon.mailbox.changing import Gone, GoneKind, decode_gone
from fedaemon.mailbox.rows import Row
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import MAIL, MAIL_GONE

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
    rows = _gone_rows(transaction, mailbox_id, ranges)
    return add_again(transaction, blobs, mailbox_id, mailbox_id, rows, _restored_flags, now_s)


def _restored_flags(flags: int) -> int:
    return flags & ~(c.GONE | c.DELETED)


def _gone_rows(snapshot: Snapshot, mailbox_id: str, ranges: c.UidRanges) -> list[Row]:
    """Return the expunged rows of *ranges* whose contents are still there."""
    rows = list(reading.rows(snapshot, mailbox_id, ranges, c.EXPUNGED))
    return [row for row in rows if snapshot.get((MAIL, mailbox_id, row.uid)) is not None]
