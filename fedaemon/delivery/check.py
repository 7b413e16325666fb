"""What ``fedaemonctl verify`` looks at in the queue: the indexes must equal the records."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from fedaemon.delivery import history, pauses
from fedaemon.delivery.claiming import LOOKUP_MS
from fedaemon.delivery.queue import END_OF_TIME, belongs, index_key, place
from fedaemon.delivery.records import (
    FINAL,
    LOCAL,
    WAITING,
    MessageRecord,
    RecipientRecord,
    lane_name,
    load_message,
    load_recipient,
    recipients_of,
)
from fedaemon.store.interface import Key, Snapshot, Transaction
from fedaemon.store.records import decode
from fedaemon.store.spaces import (
    DESTINATION,
    DUE,
    FINISHED,
    LINE,
    MESSAGE,
    RECIPIENT,
    REDACTED,
    TIMELINE,
    TURN,
)
from fedaemon.store.verify import Finding


def _wall_clock_ms() -> int:
    return int(time.time() * 1000)


class DeliveryChecker:
    """Looks at messages, recipients, their indexes and the calendars."""

    def __init__(self, now_ms: Callable[[], int] = _wall_clock_ms) -> None:
        self._now_ms = now_ms

    def references(self, snapshot: Snapshot) -> Iterator[str]:
        """Yield the blob of every message, once for each reference."""
        for _, value in snapshot.scan((MESSAGE,)):
            yield decode(value)["blob"]

    def problems(self, snapshot: Snapshot) -> Iterator[Finding]:
        """Yield what is wrong."""
        for kind, key in _wrong(snapshot, self._now_ms()):
            yield Finding(kind, " ".join(str(part) for part in key[1:]), repaired=False)

    def repair(self, transaction: Transaction) -> None:
        """Make the indexes anew where they differ from the records, and drop what belongs to no message."""
        # Dropping a recipient makes its index entry a stray one: look again until nothing is left to do.
        repaired = 1
        while repaired:
            repaired = sum(
                _repair(transaction, kind, key) for kind, key in list(_wrong(transaction, self._now_ms()))
            )


def _repair(transaction: Transaction, kind: str, key: Key) -> bool:
    """Put one thing right; False when only a person can."""
    if kind == "queue.recipients":
        return False
    if kind in ("queue.unindexed", "queue.unscheduled"):
        queue_id, number = key[4], key[5]
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


def _wrong(snapshot: Snapshot, now_ms: int) -> Iterator[tuple[str, Key]]:
    """Yield (kind, the key that should or should not be there)."""
    yield from _wrong_messages(snapshot)
    yield from _wrong_entries(snapshot, now_ms)
    for kind, space in (("queue.lost_recipient", RECIPIENT), ("queue.lost_timeline", TIMELINE)):
        for key, _ in snapshot.scan((space,)):
            if snapshot.get((MESSAGE, key[1])) is None:
                yield kind, key
    for space in (FINISHED, REDACTED):
        for key, _ in snapshot.scan((space,)):
            queue_id = key[-1]
            assert isinstance(queue_id, str)
            message = load_message(snapshot, queue_id)
            if message is None or not message.finished_ms or history.entry(message, queue_id) != key:
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
        if message.finished_ms:
            entry = history.entry(message, queue_id)
            if snapshot.get(entry) is None:
                yield "queue.unfinished", entry
        for number, recipient in recipients:
            entry = index_key(queue_id, number, recipient)
            if recipient.state in WAITING and snapshot.get(entry) is None:
                yield "queue.unindexed", entry


def _all_final(recipients: list[tuple[int, RecipientRecord]]) -> bool:
    return all(recipient.state in FINAL for _, recipient in recipients)


def _wrong_entries(snapshot: Snapshot, now_ms: int) -> Iterator[tuple[str, Key]]:
    """Yield entries that no record asks for, and such that no calendar and no line leads to in time."""
    turns = _first_hints((key[3], key[2]) for key, _ in snapshot.scan((TURN,)))
    hints = _first_hints(((key[1], key[3]), key[2]) for key, _ in snapshot.scan((DUE,)))
    paused = set(map(lane_name, pauses.read(snapshot).accounts))
    in_line = {(key[2], key[4]) for key, _ in snapshot.scan((LINE,))}
    seen: set[tuple[str, str]] = set()
    for key, _ in snapshot.scan((DESTINATION,)):
        _, destination, lane, due_ms, queue_id, number = key
        assert isinstance(destination, str)
        assert isinstance(lane, str)
        assert isinstance(due_ms, int)
        assert isinstance(queue_id, str)
        assert isinstance(number, int)
        recipient = load_recipient(snapshot, queue_id, number)
        if recipient is None or not belongs(key, recipient):
            yield "queue.stray_entry", key
        elif destination != LOCAL and (lane, destination) not in seen and not recipient.claim:
            # The first entry must be covered, the later ones follow from it. One that is under way may be due
            # before its hint: its outcome sets another.
            seen.add((lane, destination))
            hint_ms = hints.get((lane, destination), due_ms + 1)
            turn_ms = turns.get(lane, END_OF_TIME)
            # A lane that had a turn has its next one behind the others, which is now at the latest.
            no_turn = turn_ms > max(hint_ms, now_ms + LOOKUP_MS) and lane[1:] not in paused
            late = hint_ms > due_ms or no_turn
            if late and (lane, destination) not in in_line:
                yield "queue.unscheduled", key


def _first_hints(hints: Iterable[tuple[object, object]]) -> dict[object, int]:
    """Return the first time of each."""
    first: dict[object, int] = {}
    for name, time_ms in hints:
        assert isinstance(time_ms, int)
        first[name] = min(time_ms, first.get(name, time_ms))
    return first
