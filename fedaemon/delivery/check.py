"""What ``fedaemonctl verify`` looks at in the queue: the indexes must equal the records."""

from __future__ import annotations

from collections.abc import Iterator

from fedaemon.delivery.queue import belongs, place
from fedaemon.delivery.records import (
    FINAL,
    LOCAL,
    WAITING,
    MessageRecord,
    RecipientRecord,
    load_message,
    load_recipient,
    recipients_of,
)
from fedaemon.store.interface import Key, Snapshot, Transaction
from fedaemon.store.records import decode
from fedaemon.store.spaces import DESTINATION, DUE, FINISHED, MESSAGE, RECIPIENT, TIMELINE
from fedaemon.store.verify import Finding


class DeliveryChecker:
    """Looks at messages, recipients, their indexes and the calendar."""

    def references(self, snapshot: Snapshot) -> Iterator[str]:
        """Yield the blob of every message, once for each reference."""
        for _, value in snapshot.scan((MESSAGE,)):
            yield decode(value)["blob"]

    def problems(self, snapshot: Snapshot) -> Iterator[Finding]:
        """Yield what is wrong."""
        for kind, key in _wrong(snapshot):
            yield Finding(kind, " ".join(str(part) for part in key[1:]), repaired=False)

    def repair(self, transaction: Transaction) -> None:
        """Make the indexes anew where they differ from the records, and drop what belongs to no message."""
        # Dropping a recipient makes its index entry a stray one: look again until nothing is left to do.
        repaired = 1
        while repaired:
            repaired = sum(_repair(transaction, kind, key) for kind, key in list(_wrong(transaction)))


def _repair(transaction: Transaction, kind: str, key: Key) -> bool:
    """Put one thing right; False when only a person can."""
    if kind == "queue.recipients":
        return False
    if kind in ("queue.unindexed", "queue.unscheduled"):
        queue_id, number = key[3], key[4]
        assert isinstance(queue_id, str)
        assert isinstance(number, int)
        recipient = load_recipient(transaction, queue_id, number)
        if recipient is not None:
            place(transaction, queue_id, number, recipient)
    elif kind == "queue.unfinished":
        transaction.put(key, b"")
    else:
        transaction.delete(key)
    return True


def _wrong(snapshot: Snapshot) -> Iterator[tuple[str, Key]]:
    """Yield (kind, the key that should or should not be there)."""
    yield from _wrong_messages(snapshot)
    yield from _wrong_entries(snapshot)
    for kind, space in (("queue.lost_recipient", RECIPIENT), ("queue.lost_timeline", TIMELINE)):
        for key, _ in snapshot.scan((space,)):
            if snapshot.get((MESSAGE, key[1])) is None:
                yield kind, key
    for key, _ in snapshot.scan((FINISHED,)):
        queue_id = key[2]
        assert isinstance(queue_id, str)
        message = load_message(snapshot, queue_id)
        if message is None or message.finished_ms != key[1] or message.redacted_ms:
            yield "queue.stray_finished", key


def _wrong_messages(snapshot: Snapshot) -> Iterator[tuple[str, Key]]:
    """Yield what messages and their recipients miss."""
    for key, value in snapshot.scan((MESSAGE,)):
        queue_id = key[1]
        assert isinstance(queue_id, str)
        message = MessageRecord(**decode(value))
        recipients = list(recipients_of(snapshot, queue_id))
        if len(recipients) != message.recipients or (message.finished_ms == 0 and _all_final(recipients)):
            yield "queue.recipients", key
        if message.finished_ms and not message.redacted_ms:
            entry: Key = (FINISHED, message.finished_ms, queue_id)
            if snapshot.get(entry) is None:
                yield "queue.unfinished", entry
        for number, recipient in recipients:
            entry = (DESTINATION, recipient.destination, recipient.next_attempt_ms, queue_id, number)
            if recipient.state in WAITING and snapshot.get(entry) is None:
                yield "queue.unindexed", entry


def _all_final(recipients: list[tuple[int, RecipientRecord]]) -> bool:
    return all(recipient.state in FINAL for _, recipient in recipients)


def _wrong_entries(snapshot: Snapshot) -> Iterator[tuple[str, Key]]:
    """Yield entries that no record asks for, and destinations that the calendar has too late or never."""
    hints: dict[str, int] = {}
    for key, _ in snapshot.scan((DUE,)):
        _, hint_ms, destination = key
        assert isinstance(hint_ms, int)
        assert isinstance(destination, str)
        hints.setdefault(destination, hint_ms)
    seen: set[str] = set()
    for key, _ in snapshot.scan((DESTINATION,)):
        _, destination, due_ms, queue_id, number = key
        assert isinstance(destination, str)
        assert isinstance(due_ms, int)
        assert isinstance(queue_id, str)
        assert isinstance(number, int)
        recipient = load_recipient(snapshot, queue_id, number)
        if recipient is None or not belongs(key, recipient):
            yield "queue.stray_entry", key
        elif destination != LOCAL and destination not in seen and not recipient.claim:
            # The first entry must be covered, the later ones follow from it. One that is under way may be due
            # before its hint: its outcome sets another.
            seen.add(destination)
            if hints.get(destination, due_ms + 1) > due_ms:
                yield "queue.unscheduled", key
