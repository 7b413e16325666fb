"""What is over, by when it ended; and the end of everything that is known of a message.

A message whose last recipient is final stands in one of two indexes until it is forgotten: while its content
is kept in ``FINISHED``, domain by domain, because each domain may keep contents for another time; then in
``REDACTED``. Both go by the time of the end and never by a time of removal, so that a setting that changes
holds for what is finished already.

Invariants: a finished message has exactly one entry, at its ``finished_ms``; a message that is forgotten leaves
nothing behind but what others refer to: mail in mailboxes, and timelines that name its queue id.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from fedaemon.delivery import timeline
from fedaemon.delivery.queue import displace
from fedaemon.delivery.records import WAITING, MessageRecord, load_message, recipients_of
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Key, Transaction
from fedaemon.store.spaces import FINISHED, MESSAGE, RECIPIENT, REDACTED

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs


def note_finished(transaction: Transaction, message: MessageRecord, queue_id: str, now_ms: int) -> None:
    """Note that *message* is over since *now_ms*, which the caller stores as its ``finished_ms``."""
    transaction.put((FINISHED, domain_of(message), now_ms, queue_id), b"")


def note_redacted(transaction: Transaction, message: MessageRecord, queue_id: str) -> None:
    """Note that the content of a finished message is gone."""
    transaction.delete((FINISHED, domain_of(message), message.finished_ms, queue_id))
    transaction.put((REDACTED, message.finished_ms, queue_id), b"")


def forget_finished(transaction: Transaction, message: MessageRecord, queue_id: str) -> None:
    """Take a message out of the indexes, whichever it is in."""
    if message.finished_ms:
        transaction.delete(entry(message, queue_id))


def entry(message: MessageRecord, queue_id: str) -> Key:
    """Return where a finished message stands in the indexes."""
    if message.redacted_ms:
        return (REDACTED, message.finished_ms, queue_id)
    return (FINISHED, domain_of(message), message.finished_ms, queue_id)


def domain_of(message: MessageRecord) -> str:
    """Return the domain whose retention holds: that of the account that sent it, "" for none."""
    return (message.account or "").rpartition("@")[2]


def forget_message(transaction: Transaction, blobs: Blobs, queue_id: str) -> int:
    """Remove a message with everything about it, without a report to anybody.

    :returns: how many of its recipients waited or were held.
    """
    message = load_message(transaction, queue_id)
    if message is None:
        return 0
    waited = 0
    for number, recipient in list(recipients_of(transaction, queue_id)):
        if recipient.state in WAITING:
            displace(transaction, queue_id, number, recipient)
        waited += recipient.state in WAITING or recipient.state == "held"
        transaction.delete((RECIPIENT, queue_id, number))
    timeline.forget(transaction, queue_id)
    forget_finished(transaction, message, queue_id)
    transaction.delete((MESSAGE, queue_id))
    # A content that is lost must not keep the message for ever.
    with suppress(StoreError):
        blobs.release(transaction, message.blob)
    return waited
