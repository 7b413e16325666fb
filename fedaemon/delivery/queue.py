"""The queue's indexes: messages in, recipients moved about. Everything here runs inside one transaction.

Theory of operation. Every waiting recipient has one entry in the index of its destination, by lane and due
time: ``(DESTINATION, destination, lane, due, queue id, number)``. A lane is what takes turns: the mail of one
account in one class of priority (``records.lane_of``). Two calendars say when there may be work:
``(TURN, class, time, lane)`` for which lane, ``(DUE, lane, time, destination)`` for where. They are kept as
hints: a lane with waiting recipients has at least one of each that is not later than its first due recipient
there; more, and too early ones, are harmless and go away when they are met. What is due at a site that has no
room stands in the site's line instead, ``(LINE, site, lane, since, destination)``, so that a busy site costs
a claim nothing however much waits there. ``claiming.py`` takes from these; the next due time is the first
hint to come.

Local recipients have no hints: their index is read directly, also while remote delivery is paused.

Invariants: the index entries equal the records (``check.py`` tests it); a recipient that was held or deleted
has no entry and is never claimed.
"""

from __future__ import annotations

from typing import cast

from fedaemon.delivery.records import (
    CLASSES,
    LOCAL,
    WAITING,
    MessageRecord,
    NewMessage,
    NewRecipient,
    RecipientRecord,
    lane_name,
    lane_of,
    message_value,
    recipient_value,
    save_recipient,
)
from fedaemon.store.interface import Key, Snapshot, Transaction
from fedaemon.store.spaces import DESTINATION, DUE, MESSAGE, RECIPIENT, TURN

__all__ = ["NewMessage", "NewRecipient", "enqueue"]

END_OF_TIME = 2**64 - 1


def enqueue(transaction: Transaction, message: NewMessage, blob_id: str, now_ms: int) -> None:
    """Put a message into the queue, due at once or at its release, in the transaction that accepts it.

    :param blob_id: the content, with one reference that the queue now owns.
    """
    put = transaction.put
    queue_id = message.queue_id
    record = MessageRecord(
        message.sender,
        message.accepted_ms,
        message.size,
        blob_id,
        len(message.recipients),
        message.account,
        message.via,
        message.body,
        message.smtputf8,
        message.require_tls,
        message.ret,
        message.envid,
        message.lifetime_ms,
        message.release_ms,
        message.deliver_by_ms,
        message.deliver_by_mode,
        message.priority,
        message.tls_optional,
    )
    put((MESSAGE, queue_id), message_value(record))
    lane = lane_of(message.account, message.priority)
    due_ms = max(now_ms, message.release_ms)
    destinations = set()
    for number, new in enumerate(message.recipients):
        destination = LOCAL if new.local else new.address.rpartition("@")[2]
        own_lane = "" if new.local else lane
        recipient = RecipientRecord(
            new.address, destination, "queued", 0, due_ms, own_lane, new.original, new.notify, new.orcpt
        )
        put((RECIPIENT, queue_id, number), recipient_value(recipient))
        put((DESTINATION, destination, own_lane, due_ms, queue_id, number), b"")
        destinations.add(destination)
    destinations.discard(LOCAL)
    for destination in destinations:
        put((DUE, lane, _second(due_ms), destination), b"")
    if destinations:
        put((TURN, lane[0], _second(due_ms), lane), b"")


def hint(transaction: Transaction, lane: str, destination: str, due_ms: int) -> None:
    """Say that *lane* may have work at *destination* from *due_ms* on."""
    transaction.put((DUE, lane, _second(due_ms), destination), b"")
    transaction.put((TURN, lane[0], _second(due_ms), lane), b"")


def thaw(transaction: Transaction, account: str, now_ms: int) -> None:
    """Have the lanes of *account* looked at again: it is not paused any more."""
    for each in CLASSES:
        transaction.put((TURN, each, _second(now_ms), each + lane_name(account)), b"")


def _second(due_ms: int) -> int:
    """Hints of one second fall together: a burst to one destination writes one."""
    return due_ms - due_ms % 1000


def index_key(queue_id: str, number: int, recipient: RecipientRecord) -> Key:
    """Return the index entry that a waiting recipient should have."""
    return (
        DESTINATION,
        recipient.destination,
        recipient.lane,
        recipient.next_attempt_ms,
        queue_id,
        number,
    )


def place(transaction: Transaction, queue_id: str, number: int, recipient: RecipientRecord) -> None:
    """Enter a waiting recipient into the indexes at its next attempt."""
    transaction.put(index_key(queue_id, number, recipient), b"")
    if recipient.destination != LOCAL:
        hint(transaction, recipient.lane, recipient.destination, recipient.next_attempt_ms)


def displace(transaction: Transaction, queue_id: str, number: int, recipient: RecipientRecord) -> None:
    """Take a recipient out of the index; its hints go when they are met."""
    transaction.delete(index_key(queue_id, number, recipient))


def move(
    transaction: Transaction, queue_id: str, number: int, recipient: RecipientRecord, due_ms: int
) -> None:
    """Give a waiting recipient another time for its next attempt, and store it."""
    displace(transaction, queue_id, number, recipient)
    recipient.next_attempt_ms = due_ms
    place(transaction, queue_id, number, recipient)
    save_recipient(transaction, queue_id, number, recipient)


def belongs(key: Key, recipient: RecipientRecord) -> bool:
    """Return True when the index entry *key* is the one that *recipient* should have."""
    return (
        recipient.state in WAITING
        and recipient.destination == key[1]
        and recipient.lane == key[2]
        and recipient.next_attempt_ms == key[3]
    )


def look(snapshot: Snapshot, now_ms: int) -> tuple[bool, int | None]:
    """Return whether a lane may have something due, and if not, when to look again."""
    soonest: int | None = None
    for each in CLASSES:
        for key, _ in snapshot.scan((TURN, each), limit=1):
            time_ms = cast(int, key[2])
            if time_ms <= now_ms:
                return True, None
            soonest = time_ms if soonest is None else min(soonest, time_ms)
    return False, soonest


def first_due_ms(snapshot: Snapshot, destination: str, lane: str, after_ms: int = -1) -> int | None:
    """Return when the first recipient of *lane* at *destination* is due, later than *after_ms*."""
    start, stop = (
        (DESTINATION, destination, lane, after_ms + 1),
        (DESTINATION, destination, lane, END_OF_TIME),
    )
    for key, _ in snapshot.scan(start, stop, limit=1):
        return cast(int, key[3])
    return None


def look_local(snapshot: Snapshot, now_ms: int, limit: int) -> tuple[list[Key], int | None]:
    """Return the entries of local recipients that are due, oldest first, and when the next will be."""
    keys = [key for key, _ in snapshot.scan((DESTINATION, LOCAL, ""), limit=limit)]
    due = [key for key in keys if cast(int, key[3]) <= now_ms]
    return due, cast(int, keys[len(due)][3]) if len(due) < len(keys) else None
