"""Sweeps away what need not be kept longer: contents first, the history of messages later.

After the last recipient is final the content is kept for the retention of the account's domain, else of the
settings, then redacted (``redaction.py``); header and timeline stay. When the history's time is over as well,
everything that is known of the message goes (``history.py``). What was delivered to a mailbox here is the
mailbox's own and is not touched.

Theory of operation. A round goes through the domains that have contents in ``FINISHED``, one seek for each,
and then through the rest: history, and keys that have served their time. One transaction does one slice of it;
the next begins with the domain where the last one stopped.

The same sweep removes the keys by which repeated submissions are recognised, counters of days that are over,
and suppressions that have run out.

Invariants: one transaction does little (``SLICE`` messages, ``DOMAINS`` domains, ``KEYS`` keys of a kind), so
that nobody waits for it; only what was redacted is forgotten, so that history lasts at least as long as content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from fedaemon.accounts.directory import get_domain
from fedaemon.delivery import suppression
from fedaemon.delivery.history import forget_finished, forget_message, note_finished
from fedaemon.delivery.redaction import redact
from fedaemon.delivery.schedule import DAY_MS
from fedaemon.logs import Logger
from fedaemon.store.interface import Snapshot, Store, Transaction
from fedaemon.store.spaces import DUPLICATE, FINISHED, REDACTED, SENT, TOLD
from fedaemon.store.turns import Alarm, in_background

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

__all__ = ["Keep", "Retention", "Swept", "forget_finished", "note_finished", "sweep"]

INTERVAL_S: Final = 60.0
SOON_S: Final = 5.0
"""After a message is over: its domain may keep nothing."""
PAUSE_S: Final = 0.05
"""Between two slices, so that a long backlog does not hold up the mail of the day."""

SLICE: Final = 50
DOMAINS: Final = 200
KEYS: Final = 1000

DAYS_KEPT: Final = {DUPLICATE: 2, SENT: 0, TOLD: 0}
"""How many days before today the keys of a space that goes by days are kept."""

_log = Logger()


@dataclass(frozen=True, slots=True)
class Keep:
    """How long after its end the content of a message is kept, and how long its history."""

    retention_ms: int
    history_ms: int


@dataclass(frozen=True, slots=True)
class Swept:
    """How far a slice came: *more* is left, which begins with the contents of *domain*."""

    more: bool
    domain: str


class Retention:
    """Sweeps once a minute, and soon after messages are over.

    :param now_ms: returns the time in milliseconds since the epoch.
    :param retention_ms: how long content is kept after the end unless its domain says otherwise; 0: it goes
        at once.
    :param history_ms: how long after the end a message and its timeline are kept.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        clock: Any,
        now_ms: Callable[[], int],
        retention_ms: int,
        history_ms: int,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._now_ms = now_ms
        self._keep = Keep(retention_ms, history_ms)
        self._alarm = Alarm(clock, now_ms, self._wake)
        self._domain = ""
        self._sweeping = False
        self._finished = False
        self._swept: Deferred[None] | None = None
        self._running = False

    def start(self) -> None:
        """Begin to sweep."""
        self._running = True
        self._alarm.set_in(PAUSE_S)

    def stop(self) -> Deferred[None]:
        """End; fires when a sweep under way is over."""
        return in_background(self._stop(), "stopping retention")

    async def _stop(self) -> None:
        self._running = False
        self._alarm.cancel()
        if self._swept is not None:
            await self._swept

    def configure(self, retention_ms: int, history_ms: int) -> None:
        """Go on with other times, also for what is finished already."""
        self._keep = Keep(retention_ms, history_ms)
        if self._running and not self._sweeping:
            self._alarm.set_in(PAUSE_S)

    def message_finished(self) -> None:
        """A message is over: perhaps its content is not to be kept."""
        self._finished = True
        if self._running and not self._sweeping:
            self._alarm.set_in(self._delay_s())

    def _delay_s(self) -> float:
        return SOON_S if self._keep.retention_ms else PAUSE_S

    def _wake(self) -> None:
        self._sweeping = True
        self._swept = in_background(self._sweep(), "retention")

    async def _sweep(self) -> None:
        self._finished = False
        swept = Swept(more=False, domain="")
        keep, domain = self._keep, self._domain
        try:
            swept = await self._store.write(
                lambda transaction: sweep(transaction, self._blobs, self._now_ms(), keep, domain)
            )
        except Exception:
            _log.failure(
                "old messages were not cleared; the next sweep tries again", event="retention-failed"
            )
        self._domain = swept.domain
        self._sweeping = False
        if not self._running:
            return
        again = swept.more or keep != self._keep
        self._alarm.set_in(PAUSE_S if again else self._delay_s() if self._finished else INTERVAL_S)


def sweep(transaction: Transaction, blobs: Blobs, now_ms: int, keep: Keep, domain: str = "") -> Swept:
    """Do one slice of the work, beginning with the contents of *domain*."""
    redacted = _redact_due(transaction, blobs, now_ms, keep.retention_ms, domain)
    if redacted.more:
        return redacted
    more = _forget_due(transaction, blobs, now_ms, keep.history_ms)
    for space, days in DAYS_KEPT.items():
        more |= _forget_days(transaction, space, now_ms // DAY_MS - days)
    more |= suppression.sweep(transaction, now_ms, KEYS) == KEYS
    return Swept(more, "")


def _redact_due(transaction: Transaction, blobs: Blobs, now_ms: int, retention_ms: int, domain: str) -> Swept:
    """Redact what is due from *domain* on, as much as one slice may."""
    left = SLICE
    for _ in range(DOMAINS):
        found = _next_domain(transaction, domain)
        if found is None:
            return Swept(more=False, domain="")
        until_ms = now_ms - _retention_ms(transaction, found, retention_ms)
        start, stop = (FINISHED, found, 0), (FINISHED, found, max(0, until_ms + 1))
        due = list(transaction.scan(start, stop, limit=left))
        for key, _ in due:
            queue_id = key[3]
            assert isinstance(queue_id, str)
            redact(transaction, blobs, queue_id, now_ms)
            # Also when there was nothing to redact: the entry of a message that is gone.
            transaction.delete(key)
        left -= len(due)
        if not left:
            return Swept(more=True, domain=found)
        domain = f"{found}\0"
    return Swept(more=True, domain=domain)


def _next_domain(snapshot: Snapshot, domain: str) -> str | None:
    """Return the first domain from *domain* on that has contents, None when there is none."""
    # No text that begins with FINISHED and a NUL names a space, so all of FINISHED comes before it.
    for key, _ in snapshot.scan((FINISHED, domain), (FINISHED + "\0",), limit=1):
        assert isinstance(key[1], str)
        return key[1]
    return None


def _retention_ms(snapshot: Snapshot, domain: str, retention_ms: int) -> int:
    found = get_domain(snapshot, domain) if domain else None
    if found is None or found.retention_s is None:
        return retention_ms
    return found.retention_s * 1000


def _forget_due(transaction: Transaction, blobs: Blobs, now_ms: int, history_ms: int) -> bool:
    """Forget messages whose history is over; return True when there may be more."""
    start, stop = (REDACTED, 0), (REDACTED, max(0, now_ms - history_ms + 1))
    due = list(transaction.scan(start, stop, limit=SLICE))
    for key, _ in due:
        queue_id = key[2]
        assert isinstance(queue_id, str)
        forget_message(transaction, blobs, queue_id)
        transaction.delete(key)
    return len(due) == SLICE


def _forget_days(transaction: Transaction, space: str, day: int) -> bool:
    """Remove keys of the days before *day*; return True when there may be more."""
    old = list(transaction.scan((space, 0), (space, max(0, day)), limit=KEYS))
    for key, _ in old:
        transaction.delete(key)
    return len(old) == KEYS
