"""What an administrator does to messages in the queue: retry, hold, release, delete.

Each runs in one transaction and works beside a running daemon: an attempt under way is not cut off, but what
it brings is judged by what the records say then (``outcomes.py``).

Invariants: ``retry`` and ``hold`` leave alone what is final; a message that was deleted is gone with its
recipients, timeline and content.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from fedaemon.delivery import timeline
from fedaemon.delivery.queue import displace, move, place
from fedaemon.delivery.records import (
    WAITING,
    MessageRecord,
    RecipientRecord,
    load_message,
    recipients_of,
    save_recipient,
)
from fedaemon.errors import Refused
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import FINISHED, MESSAGE, RECIPIENT

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

Change = Callable[[Transaction, str, int, RecipientRecord, int], None]

BY_HAND: Final = "by the administrator"


def retry(transaction: Transaction, queue_id: str, now_ms: int) -> int:
    """Have what waits tried at once; return how many recipients."""

    def change(
        transaction: Transaction, queue_id: str, number: int, recipient: RecipientRecord, now_ms: int
    ) -> None:
        move(transaction, queue_id, number, recipient, now_ms)

    return _change(transaction, queue_id, now_ms, WAITING, "retried", change)


def hold(transaction: Transaction, queue_id: str, now_ms: int) -> int:
    """Have what waits not tried until it is released; return how many recipients."""

    def change(
        transaction: Transaction, queue_id: str, number: int, recipient: RecipientRecord, now_ms: int
    ) -> None:
        displace(transaction, queue_id, number, recipient)
        recipient.state = "held"
        recipient.next_attempt_ms = 0
        save_recipient(transaction, queue_id, number, recipient)

    return _change(transaction, queue_id, now_ms, WAITING, "held", change)


def release(transaction: Transaction, queue_id: str, now_ms: int) -> int:
    """Let what is held go, at once; return how many recipients."""

    def change(
        transaction: Transaction, queue_id: str, number: int, recipient: RecipientRecord, now_ms: int
    ) -> None:
        recipient.state = "deferred" if recipient.attempts else "queued"
        recipient.next_attempt_ms = now_ms
        place(transaction, queue_id, number, recipient)
        save_recipient(transaction, queue_id, number, recipient)

    return _change(transaction, queue_id, now_ms, frozenset({"held"}), "released", change)


def delete(transaction: Transaction, blobs: Blobs, queue_id: str) -> int:
    """Remove a message with everything about it, without a report to anybody; return how many recipients
    waited.

    Copies that were delivered are not touched.
    """
    message = _need(transaction, queue_id)
    waited = 0
    for number, recipient in list(recipients_of(transaction, queue_id)):
        if recipient.state in WAITING:
            displace(transaction, queue_id, number, recipient)
        waited += recipient.state in WAITING or recipient.state == "held"
        transaction.delete((RECIPIENT, queue_id, number))
    timeline.forget(transaction, queue_id)
    if message.finished_ms:
        transaction.delete((FINISHED, message.finished_ms, queue_id))
    transaction.delete((MESSAGE, queue_id))
    # A content that is lost must not keep the message in the queue for ever.
    with suppress(StoreError):
        blobs.release(transaction, message.blob)
    return waited


def _change(
    transaction: Transaction, queue_id: str, now_ms: int, states: frozenset[str], event: str, change: Change
) -> int:
    """Apply *change* to the recipients in one of *states*, and write it down."""
    _need(transaction, queue_id)
    numbers = []
    for number, recipient in list(recipients_of(transaction, queue_id)):
        if recipient.state in states:
            change(transaction, queue_id, number, recipient, now_ms)
            numbers.append(number)
    if numbers:
        timeline.add(transaction, queue_id, now_ms, event, recipients=numbers, why=BY_HAND)
    return len(numbers)


def _need(transaction: Transaction, queue_id: str) -> MessageRecord:
    message = load_message(transaction, queue_id)
    if message is None:
        raise Refused(f"there is no message {queue_id}; fedaemonctl queue list shows what there is")
    return message
