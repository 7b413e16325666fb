"""Bringing back what was expunged, and mailboxes that were deleted, as long as they are not purged.

Standards: RFC 9051 2.3.1.1 (UID, UIDVALIDITY), RFC 8474 5.1 (EMAILID).
Invariants: a restored message is a new one, with a UID and a mod-sequence of its own, because a UID never comes
back; what was expunged stays so, and can be restored again. It keeps EMAILID, so that who restores everything
of a time can tell what is back. \\Deleted is taken off, or the next EXPUNGE would take the message away again. A
restored mailbox has its UIDs and its UIDVALIDITY, which no other mailbox of the account has had.
Limits: nothing is sliced here: a caller asks for as much as fits into its turn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fedaemon.errors import Refused
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import mailboxes, reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.adding import add_again
from fedaemon.mailbox.changing import Gone, GoneKind, decode_gone
from fedaemon.mailbox.lost import LostKey
from fedaemon.mailbox.mailboxes import Mailbox
from fedaemon.mailbox.rows import Row
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode
from fedaemon.store.spaces import MAIL, MAIL_GONE, MAILBOX_LOST, MAILBOX_STATE

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

_RESTORABLE: Final = (GoneKind.EXPUNGED, GoneKind.EXPIRED)


def expunged(snapshot: Snapshot, mailbox_id: str) -> list[tuple[Gone, list[Row]]]:
    """Return what can be restored: each change that expunged messages, oldest first, and their rows.

    What was moved elsewhere is there, and not here.
    """
    found = []
    for _, value in snapshot.scan((MAIL_GONE, mailbox_id)):
        gone = decode_gone(value)
        rows = _gone_rows(snapshot, mailbox_id, gone.ranges) if gone.kind in _RESTORABLE else []
        if rows:
            found.append((gone, rows))
    return found


def as_of(snapshot: Snapshot, mailbox_id: str, at_s: int) -> list[int]:
    """Return the UIDs of what was in a mailbox at *at_s* seconds since the epoch, and was expunged since.

    Of what is in it again, none: restoring twice brings nothing twice.
    """
    lost = [
        row
        for gone, rows in expunged(snapshot, mailbox_id)
        if gone.at_ms > at_s * 1000
        for row in rows
        if row.saved_s <= at_s
    ]
    back = {row.email for row in reading.rows(snapshot, mailbox_id)} if lost else set()
    return sorted(row.uid for row in lost if row.email not in back)


def restore(
    transaction: Transaction, blobs: Blobs, mailbox_id: str, ranges: c.UidRanges, now_s: int
) -> list[tuple[int, int]]:
    """Restore expunged messages of *ranges*; return (old UID, new UID) of each.

    :raises MailboxGone: the mailbox was deleted.
    :raises StoreError: a content is missing.
    """
    rows = _gone_rows(transaction, mailbox_id, ranges)
    return add_again(transaction, blobs, mailbox_id, mailbox_id, rows, _restored_flags, now_s)


def deleted(snapshot: Snapshot, account: str) -> list[LostKey]:
    """Return the deleted mailboxes of *account* that can be restored, those deleted last first."""
    found = []
    for key, _ in snapshot.scan((MAILBOX_LOST,), reverse=True):
        _, deleted_s, owner, name, mailbox_id = key
        # Without counters, its contents are being removed.
        if owner == account and snapshot.get((MAILBOX_STATE, str(mailbox_id))) is not None:
            found.append(LostKey(int(deleted_s), str(owner), str(name), str(mailbox_id)))
    return found


def undelete(transaction: Transaction, lost: LostKey, name: str, now_ms: int) -> Mailbox:
    """Restore a deleted mailbox as *name*, with all that was in it; those above it that are missing are made.

    A special use that another mailbox has by now stays there.

    :raises MailboxExists: there is a mailbox of that name.
    :raises CannotChange: for a name that cannot be one.
    :raises Refused: it is too late.

    Spec: RFC 9051 2.3.1.1
    """
    value = transaction.get((MAILBOX_LOST, *lost))
    state = transaction.get((MAILBOX_STATE, lost.mailbox_id))
    if value is None or state is None:
        raise Refused(f"the deleted mailbox {lost.name} is gone; the time for restoring it is over")
    # Made as any other would be, and then the lost one in its place.
    made = mailboxes.create(transaction, lost.account, name, now_ms)
    mailboxes.subscribe(transaction, lost.account, made.name)
    transaction.delete((MAILBOX_STATE, made.id))
    record = decode(value)
    others = mailboxes.mailboxes(transaction, lost.account)
    taken = any(other.special_use == record["special_use"] for other in others)
    special_use = None if taken else record["special_use"]
    restored = replace(made, id=record["id"], special_use=special_use, created_ms=record["created_ms"])
    mailboxes.save(transaction, restored)
    transaction.delete((MAILBOX_LOST, *lost))
    before = states.State.from_record(state)
    # Without an owner its messages counted for nobody.
    nothing = before._replace(octets=0, exists=0)
    states.save(transaction, restored.id, nothing, before._replace(owner=lost.account))
    return restored


def _restored_flags(flags: int) -> int:
    return flags & ~(c.GONE | c.DELETED)


def _gone_rows(snapshot: Snapshot, mailbox_id: str, ranges: c.UidRanges) -> list[Row]:
    """Return the expunged rows of *ranges* whose contents are still there."""
    rows = list(reading.rows(snapshot, mailbox_id, ranges, c.EXPUNGED))
    return [row for row in rows if snapshot.get((MAIL, mailbox_id, row.uid)) is not None]
