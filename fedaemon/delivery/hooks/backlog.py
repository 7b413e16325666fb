"""The events that wait to be posted, kept for each webhook.

An event is noted in the transaction that records what it tells of, so that it is not lost and never tells of
what did not happen. It waits under ``HOOK_DUE`` by the time of its next post; the entry of time 0 holds how the
webhook itself is doing (``Backlog``).

Theory of operation. An event whose post fails comes again as the schedule of mail says. When TOLERATED posts
of new events in a row have failed, the webhook is taken for dead: it rests as the same schedule says, and after
each rest one event is tried, the one that has been due longest. The first success lets everything go again. So
neither one event that the other side cannot digest nor a dead host holds up more than itself.

Invariants: an event is posted at least once, or given up after the schedule's lifetime; ``waiting`` equals the
number of entries.
Limits: MAX_WAITING events for a webhook; beyond that the one due longest goes, and is counted as dropped.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from fedaemon.delivery.hooks.webhook import Webhook, disable, find, webhooks
from fedaemon.delivery.schedule import Marks, Schedule
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Key, Snapshot, Transaction
from fedaemon.store.keys import INTEGER_MAX
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import HOOK_DUE

MAX_WAITING: Final = 100_000
TOLERATED: Final = 3
EXPIRED_SLICE: Final = 500
GONE_CODE: Final = 410
GONE: Final = "the server answered 410 Gone"

Settled = Literal["done", "failed", "expired", "gone", "removed"]


@dataclass(slots=True)
class Backlog:
    """How a webhook is doing.

    *waiting*, *posted*, *dropped* (for want of room) and *expired* count events. *failures* counts failed posts
    in a row; nothing is posted before *retry_ms*. *last_error* is what the last failed post met, at
    *last_error_ms*.
    """

    waiting: int = 0
    posted: int = 0
    dropped: int = 0
    expired: int = 0
    failures: int = 0
    retry_ms: int = 0
    last_error: str = ""
    last_error_ms: int = 0

    @property
    def failing(self) -> bool:
        """True when the webhook is taken for dead."""
        return self.failures >= TOLERATED


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that waits: its key, what it says, how often it was posted, and since when it exists."""

    key: Key
    event: dict[str, Any]
    attempts: int
    noted_ms: int


def load_backlog(snapshot: Snapshot, name: str) -> Backlog:
    """Return how the webhook *name* is doing."""
    value = snapshot.get(_state_key(name))
    return Backlog() if value is None else Backlog(**decode(value))


def _save(transaction: Transaction, name: str, backlog: Backlog) -> None:
    transaction.put(_state_key(name), encode(asdict(backlog)))


def _state_key(name: str) -> Key:
    return (HOOK_DUE, name, 0, "")


def waiting(snapshot: Snapshot, name: str, limit: int) -> list[Waiting]:
    """Return the first *limit* events of a webhook in the order in which they are due."""
    found = snapshot.scan((HOOK_DUE, name, 1), (HOOK_DUE, name, INTEGER_MAX), limit=limit)
    return [Waiting(key, **decode(value)) for key, value in found]


def note_event(transaction: Transaction, account: str, event: dict[str, Any], now_ms: int) -> int:
    """Let every webhook that hears of such an event have it; return how many there are."""
    hearing = [each for each in webhooks(transaction) if each.hears(event["event"], account)]
    for webhook in hearing:
        backlog = load_backlog(transaction, webhook.name)
        if backlog.waiting >= MAX_WAITING:
            for oldest in waiting(transaction, webhook.name, 1):
                transaction.delete(oldest.key)
                backlog.waiting -= 1
                backlog.dropped += 1
        event_id = new_id(now_ms)
        value = encode({"event": {"id": event_id, **event}, "attempts": 0, "noted_ms": now_ms})
        transaction.put((HOOK_DUE, webhook.name, now_ms, event_id), value)
        backlog.waiting += 1
        _save(transaction, webhook.name, backlog)
    return len(hearing)


def ready(
    snapshot: Snapshot, name: str, now_ms: int, room: int, under_way: Container[Key]
) -> tuple[list[Waiting], int | None]:
    """Return up to *room* events that are due and not *under_way*, and when the next one is due.

    The time is None when the end of an event under way is what comes next, or nothing waits.
    """
    found: list[Waiting] = []
    for key, value in snapshot.scan((HOOK_DUE, name, 1), (HOOK_DUE, name, INTEGER_MAX)):
        if key in under_way:
            continue
        due_ms = key[2]
        assert isinstance(due_ms, int)
        if due_ms > now_ms:
            return found, due_ms
        if len(found) == room:
            return found, None
        found.append(Waiting(key, **decode(value)))
    return found, None


def settle(
    transaction: Transaction, name: str, key: Key, code: int, text: str, schedule: Schedule, now_ms: int
) -> Settled:
    """Write down what became of a post.

    :param code: the HTTP status, 0 without an answer.
    :param text: what went wrong.
    :returns: done; failed (it comes again); expired (given up); gone (the webhook is disabled now); removed
        (the webhook, or the event, is not there any more).
    """
    webhook, value = find(transaction, name), transaction.get(key)
    if webhook is None:
        transaction.delete(key)
        return "removed"
    backlog = load_backlog(transaction, name)
    if 200 <= code < 300:
        result: Settled = "done"
        backlog.failures = backlog.retry_ms = 0
        backlog.posted += 1
        backlog.waiting -= transaction.delete(key)
    else:
        event = None if value is None else Waiting(key, **decode(value))
        backlog.last_error, backlog.last_error_ms = text, now_ms
        # An event that failed before says more about itself than about the webhook.
        counts = backlog.failing or event is None or not event.attempts
        result = _failed(transaction, webhook, backlog, code, counts, schedule, now_ms)
        if result != "gone" and event is not None:
            result = _again(transaction, backlog, event, schedule, now_ms)
    _save(transaction, name, backlog)
    return result if value is not None else "removed"


def _failed(
    transaction: Transaction,
    webhook: Webhook,
    backlog: Backlog,
    code: int,
    counts: bool,
    schedule: Schedule,
    now_ms: int,
) -> Settled:
    """Let the webhook itself rest, or end it. Spec: RFC 9110 15.5.11 (410: gone for good)"""
    if code == GONE_CODE:
        if not webhook.disabled:
            disable(transaction, webhook.name, GONE)
        return "gone"
    # Several posts fail together when a host dies: that is one failure of the webhook.
    if counts and backlog.retry_ms <= now_ms:
        backlog.failures += 1
        if backlog.failing:
            rests = backlog.failures - TOLERATED + 1
            never = Marks(0, 0, INTEGER_MAX)
            backlog.retry_ms = schedule.next_attempt_ms(rests, now_ms, never)
    return "failed"


def _again(
    transaction: Transaction, backlog: Backlog, event: Waiting, schedule: Schedule, now_ms: int
) -> Settled:
    """Put an event off, or give it up."""
    transaction.delete(event.key)
    marks = Marks(0, 0, event.noted_ms + schedule.lifetime_ms)
    if schedule.is_over(now_ms, marks):
        backlog.waiting -= 1
        backlog.expired += 1
        return "expired"
    attempts = event.attempts + 1
    space, name, _, event_id = event.key
    due_ms = schedule.next_attempt_ms(attempts, now_ms, marks)
    value = encode({"event": event.event, "attempts": attempts, "noted_ms": event.noted_ms})
    transaction.put((space, name, due_ms, event_id), value)
    return "failed"


def expire(transaction: Transaction, name: str, schedule: Schedule, now_ms: int) -> int:
    """Give up events whose time is over, of a webhook that is disabled or dead; return how many.

    At most EXPIRED_SLICE, in the order in which they are due. Those of a webhook that is well are posted however
    old they are: the server itself may have been down.
    """
    over = []
    for key, value in transaction.scan(
        (HOOK_DUE, name, 1), (HOOK_DUE, name, INTEGER_MAX), limit=EXPIRED_SLICE
    ):
        if decode(value)["noted_ms"] + schedule.lifetime_ms > now_ms:
            break
        over.append(key)
    if over:
        backlog = load_backlog(transaction, name)
        for key in over:
            transaction.delete(key)
        backlog.waiting -= len(over)
        backlog.expired += len(over)
        _save(transaction, name, backlog)
    return len(over)


def revive(transaction: Transaction, name: str) -> None:
    """Forget the failures of a webhook, so that its events are posted at once."""
    backlog = load_backlog(transaction, name)
    backlog.failures = backlog.retry_ms = 0
    _save(transaction, name, backlog)


def forget(transaction: Transaction, name: str, limit: int) -> int:
    """Remove up to *limit* entries of a webhook that is being removed; return how many there were."""
    keys = [key for key, _ in transaction.scan((HOOK_DUE, name), limit=limit)]
    for key in keys:
        transaction.delete(key)
    return len(keys)
