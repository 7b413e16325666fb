"""Deleted mailboxes: when the time for undeleting one is over, all that was in it goes.

Invariants: contents are released in the transaction that deletes what names them; the counters go first, so that
nobody can restore half a mailbox; the entry of the deleted mailbox goes last, so that a restart goes on.
Limits: PURGE_SLICE contents or SLICE records a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from fedaemon.mailbox.keeping import PURGE_SLICE
from fedaemon.mailbox.rows import Mail
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import (
    MAIL,
    MAIL_CHUNK,
    MAIL_GONE,
    MAIL_ROW,
    MAILBOX_LOST,
    MAILBOX_META,
    MAILBOX_STATE,
    MAILBOX_WORDS,
)

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

SLICE: Final = 50
"""Records: a block of texts may have 100 kB."""
BY_ID: Final = (MAIL_ROW, MAIL_CHUNK, MAIL_GONE, MAILBOX_WORDS)
"""What is kept under the id of a mailbox beside its counters and messages."""


class LostKey(NamedTuple):
    """Names a mailbox that was deleted."""

    deleted_s: int
    account: str
    name: str
    mailbox_id: str


def due(snapshot: Snapshot, until_s: int, after: LostKey | None, limit: int) -> list[LostKey]:
    """Return the first mailboxes deleted by *until_s*, behind *after* if one is given."""
    # The least text that is greater than the last one.
    start = (MAILBOX_LOST, 0) if after is None else (MAILBOX_LOST, *after[:3], after.mailbox_id + "\0")
    entries = snapshot.scan(start, (MAILBOX_LOST, max(0, until_s + 1)), limit=limit)
    return [
        LostKey(int(deleted_s), str(account), str(name), str(mailbox_id))
        for (_, deleted_s, account, name, mailbox_id), _ in entries
    ]


def remove(transaction: Transaction, blobs: Blobs, key: LostKey) -> bool:
    """Remove a slice of a deleted mailbox; True when more is left.

    :raises StoreError: a blob's record is missing.
    """
    if transaction.get((MAILBOX_LOST, *key)) is None:
        return False  # it was restored meanwhile
    transaction.delete((MAILBOX_STATE, key.mailbox_id))
    mails = list(transaction.scan((MAIL, key.mailbox_id), limit=PURGE_SLICE))
    for name, record in mails:
        transaction.delete(name)
        blobs.release(transaction, Mail.from_record(record).blob)
    if mails:
        return True
    for prefix in (
        *[(space, key.mailbox_id) for space in BY_ID],
        (MAILBOX_META, key.account, key.mailbox_id),
    ):
        found = list(transaction.scan(prefix, limit=SLICE))
        for name, _ in found:
            transaction.delete(name)
        if found:
            return True
    transaction.delete((MAILBOX_LOST, *key))
    return False
