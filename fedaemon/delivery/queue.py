"""The queue: messages in, due recipients out. Everything here runs inside one transaction of the store.

Theory of operation. Every waiting recipient has one entry in the index of its destination, ordered by due
time: ``(DESTINATION, destination, due, queue id, number)``. The calendar ``(DUE, time, destination)`` says
from when on a remote destination may have work. It is kept as hints: each destination with waiting recipients
has at least one hint that is not later than its first due recipient; more, and too early ones, are harmless
and go away when they are met. ``claim`` walks the hints that are due; a destination that is busy costs it one
step however much waits there, so no destination stands in the way of another, and the next due time is the
first hint to come. Local recipients have no hints: their index is read directly, also while remote delivery
is paused.

A claim counts the attempt and stores the next one before anybody dials, so that a crash never hammers a host.
What was claimed is also noted under ``(CLAIM, run, batch)``: after a crash ``recovery.recover`` lets exactly
these recipients go again soon instead of after their full delay, later each time in a row that the server
died with them under way.

Invariants: the index entries equal the records (``check.py`` tests it); a recipient that was held or deleted
meanwhile has no entry and is never claimed.
Limits: one claim takes at most ``MAX_PER_ATTEMPT`` recipients of a message (RFC 5321 4.5.3.1.8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from fedaemon.delivery.records import (
    LOCAL,
    WAITING,
    MessageRecord,
    NewMessage,
    NewRecipient,
    RecipientRecord,
    load_message,
    load_recipient,
    message_value,
    recipient_value,
    save_recipient,
)
from fedaemon.delivery.schedule import Schedule
from fedaemon.store.interface import Key, Snapshot, Transaction
from fedaemon.store.records import encode
from fedaemon.store.spaces import CLAIM, DESTINATION, DUE, MESSAGE, RECIPIENT

__all__ = ["Claim", "ClaimOrder", "Claimed", "NewMessage", "NewRecipient", "claim", "enqueue"]

MAX_PER_ATTEMPT: Final = 100
MAX_HINTS: Final = 1000
"""Hints looked at in one transaction; more than destinations can be busy, so that each claim gets past."""

UNDER_WAY_MS: Final = 5000
"""How long a recipient that is due, but whose last attempt has not ended yet, is left alone."""

END_OF_TIME: Final = 2**64 - 1


def enqueue(transaction: Transaction, message: NewMessage, blob_id: str, now_ms: int) -> None:
    """Put a message into the queue, due at once, in the transaction that accepts it.

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
    )
    put((MESSAGE, queue_id), message_value(record))
    hints = set()
    for number, new in enumerate(message.recipients):
        destination = LOCAL if new.local else new.address.rpartition("@")[2]
        recipient = RecipientRecord(
            new.address, destination, "queued", 0, now_ms, new.original, new.notify, new.orcpt
        )
        put((RECIPIENT, queue_id, number), recipient_value(recipient))
        put((DESTINATION, destination, now_ms, queue_id, number), b"")
        hints.add(destination)
    hints.discard(LOCAL)
    # Hints of one second fall together: a burst to one destination writes one.
    hint_ms = now_ms - now_ms % 1000
    for destination in hints:
        put((DUE, hint_ms, destination), b"")


def place(transaction: Transaction, queue_id: str, number: int, recipient: RecipientRecord) -> None:
    """Enter a waiting recipient into the indexes at its next attempt."""
    due_ms = recipient.next_attempt_ms
    transaction.put((DESTINATION, recipient.destination, due_ms, queue_id, number), b"")
    if recipient.destination != LOCAL:
        transaction.put((DUE, due_ms, recipient.destination), b"")


def displace(transaction: Transaction, queue_id: str, number: int, recipient: RecipientRecord) -> None:
    """Take a recipient out of the index; its hint goes when it is met."""
    transaction.delete((DESTINATION, recipient.destination, recipient.next_attempt_ms, queue_id, number))


def move(
    transaction: Transaction, queue_id: str, number: int, recipient: RecipientRecord, due_ms: int
) -> None:
    """Give a waiting recipient another time for its next attempt, and store it."""
    displace(transaction, queue_id, number, recipient)
    recipient.next_attempt_ms = due_ms
    place(transaction, queue_id, number, recipient)
    save_recipient(transaction, queue_id, number, recipient)


@dataclass(frozen=True, slots=True)
class Claim:
    """Recipients of one message with one destination that are to be attempted together."""

    queue_id: str
    destination: str
    message: MessageRecord
    recipients: tuple[tuple[int, RecipientRecord], ...]
    batch: int = 0


@dataclass(frozen=True, slots=True)
class ClaimOrder:
    """How much may be claimed.

    :param run: names this run of the daemon; *batch* numbers the claims of the run.
    :param recipients: at most so many recipients in all.
    :param messages: at most so many messages for a destination; *room* holds the destinations that have
        another limit.
    :param under_way: (queue id, number) of recipients whose attempt has not ended.
    """

    run: str
    batch: int
    recipients: int
    messages: int
    schedule: Schedule
    room: Mapping[str, int] = field(default_factory=dict)
    under_way: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim brought; *more*: its limits left due work behind; *next_due_ms*: the next hint to come."""

    claims: tuple[Claim, ...]
    more: bool
    next_due_ms: int | None


@dataclass(slots=True)
class _Taken:
    """What was found due at one destination."""

    keys: list[Key]
    exhausted: bool
    under_way: bool


def look(snapshot: Snapshot, now_ms: int, room: Mapping[str, int]) -> tuple[bool, int | None]:
    """Return whether a claim would find something, and if not, when to look again."""
    for key, _ in snapshot.scan((DUE,), limit=MAX_HINTS):
        _, hint_ms, destination = key
        assert isinstance(hint_ms, int)
        assert isinstance(destination, str)
        if hint_ms > now_ms:
            return False, hint_ms
        if room.get(destination, 1) > 0:
            return True, None
    return False, None


def next_due_ms(snapshot: Snapshot, after_ms: int) -> int | None:
    """Return when a remote destination may next have work, later than *after_ms*."""
    for key, _ in snapshot.scan((DUE, after_ms + 1), (DUE, END_OF_TIME), limit=1):
        assert isinstance(key[1], int)
        return key[1]
    return None


def claim(transaction: Transaction, now_ms: int, order: ClaimOrder) -> Claimed:
    """Take due remote recipients, oldest destinations first, and store their next attempts."""
    claims: list[Claim] = []
    more = False
    left = order.recipients
    met: set[str] = set()
    for key, _ in list(transaction.scan((DUE, 0), (DUE, now_ms + 1), limit=MAX_HINTS)):
        destination = key[2]
        assert isinstance(destination, str)
        if destination in met:
            transaction.delete(key)
            continue
        room = order.room.get(destination, order.messages)
        if left <= 0:
            more = True
            break
        met.add(destination)
        if room <= 0:
            more = True
            continue
        taken = _take(transaction, destination, now_ms, room, left, order.under_way)
        for group in _by_message(taken.keys):
            made = _claim_message(transaction, group, now_ms, order)
            if made is not None:
                claims.append(made)
                left -= len(made.recipients)
        if taken.exhausted:
            transaction.delete(key)
            # Only now: what was claimed has its next attempt in the index as well.
            next_ms = _first_due_ms(transaction, destination, now_ms)
            if taken.under_way:
                next_ms = min(next_ms or END_OF_TIME, now_ms + UNDER_WAY_MS)
            if next_ms is not None:
                transaction.put((DUE, next_ms, destination), b"")
        else:
            more = True
    if claims:
        taken_now = [[each.queue_id, number] for each in claims for number, _ in each.recipients]
        transaction.put((CLAIM, order.run, order.batch), encode({"claims": taken_now}))
    return Claimed(tuple(claims), more, next_due_ms(transaction, now_ms))


def _take(
    snapshot: Snapshot,
    destination: str,
    now_ms: int,
    room: int,
    limit: int,
    under_way: frozenset[tuple[str, int]],
) -> _Taken:
    """Return the index entries to claim at one destination."""
    keys: list[Key] = []
    messages: dict[str, int] = {}
    skipped = False
    for key, _ in snapshot.scan((DESTINATION, destination, 0), (DESTINATION, destination, now_ms + 1)):
        queue_id, number = key[3], key[4]
        assert isinstance(queue_id, str)
        assert isinstance(number, int)
        if (queue_id, number) in under_way:
            skipped = True
            continue
        if len(keys) >= limit or (queue_id not in messages and len(messages) >= room):
            return _Taken(keys, False, skipped)
        messages[queue_id] = messages.get(queue_id, 0) + 1
        keys.append(key)
    return _Taken(keys, True, skipped)


def _first_due_ms(snapshot: Snapshot, destination: str, after_ms: int) -> int | None:
    """Return when the first recipient at *destination* is due, later than *after_ms*."""
    start, stop = (DESTINATION, destination, after_ms + 1), (DESTINATION, destination, END_OF_TIME)
    for key, _ in snapshot.scan(start, stop, limit=1):
        assert isinstance(key[2], int)
        return key[2]
    return None


def _by_message(keys: list[Key]) -> Iterator[list[Key]]:
    """Group index entries by message, at most ``MAX_PER_ATTEMPT`` in a group, in their order."""
    groups: dict[str, list[Key]] = {}
    for key in keys:
        queue_id = key[3]
        assert isinstance(queue_id, str)
        group = groups.setdefault(queue_id, [])
        group.append(key)
        if len(group) == MAX_PER_ATTEMPT:
            yield groups.pop(queue_id)
    yield from groups.values()


def _claim_message(transaction: Transaction, keys: list[Key], now_ms: int, order: ClaimOrder) -> Claim | None:
    """Claim some recipients of one message; they share their next attempt, so that they go together again."""
    _, destination, _, queue_id, _ = keys[0]
    assert isinstance(destination, str)
    assert isinstance(queue_id, str)
    message = load_message(transaction, queue_id)
    next_ms: dict[int, int] = {}
    recipients: list[tuple[int, RecipientRecord]] = []
    for key in keys:
        number = key[4]
        assert isinstance(number, int)
        recipient = load_recipient(transaction, queue_id, number)
        if message is None or recipient is None or not belongs(key, recipient):
            transaction.delete(key)
            continue
        recipient.attempts += 1
        recipient.claim = order.run
        if recipient.attempts not in next_ms:
            expires_ms = order.schedule.expires_ms(message.accepted_ms, message.lifetime_ms)
            next_ms[recipient.attempts] = order.schedule.next_attempt_ms(
                recipient.attempts, now_ms, message.accepted_ms, expires_ms
            )
        transaction.delete(key)
        recipient.next_attempt_ms = next_ms[recipient.attempts]
        # No hint of its own: the one that ``claim`` leaves for the destination covers it.
        transaction.put((DESTINATION, destination, recipient.next_attempt_ms, queue_id, number), b"")
        save_recipient(transaction, queue_id, number, recipient)
        recipients.append((number, recipient))
    if message is None or not recipients:
        return None
    return Claim(queue_id, destination, message, tuple(recipients), order.batch)


def belongs(key: Key, recipient: RecipientRecord) -> bool:
    """Return True when the index entry *key* is the one that *recipient* should have."""
    return (
        recipient.state in WAITING and recipient.destination == key[1] and recipient.next_attempt_ms == key[2]
    )


def look_local(snapshot: Snapshot, now_ms: int, limit: int) -> tuple[list[Key], int | None]:
    """Return the entries of local recipients that are due, oldest first, and when the next will be."""
    keys = [key for key, _ in snapshot.scan((DESTINATION, LOCAL), limit=limit)]
    due = [key for key in keys if cast(int, key[2]) <= now_ms]
    return due, cast(int, keys[len(due)][2]) if len(due) < len(keys) else None
