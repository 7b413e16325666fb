"""How much waits in the queue, counted again and again in the background.

Theory of operation: every recipient that waits has one entry in the index of its destination, and nothing else
has; so the cost of a count depends on what waits and not on what is kept. One view looks at ``SLICE`` entries, and
a pause follows that is many times longer; after the last the counter rests for as long as it worked, ``REST_S`` at
least. Of a million waiting recipients a count is some minutes old; of a few hundred, seconds.

Invariants: what is shown is a count that came to its end, with the time of that.
Limits: entries that move while they are counted may be counted twice or not at all.
Known gaps: what an administrator holds stands in no index; ``fedaemonctl queue stats`` counts it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

from twisted.python.failure import Failure

from fedaemon.delivery.records import WAITING, load_message, load_recipient
from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.store.interface import Key, Snapshot, Store
from fedaemon.store.spaces import DESTINATION

SLICE: Final = 200
"""Entries, some 4 ms of work."""
PAUSE_S: Final = 0.05
REST_S: Final = 15.0

log = Logger()


@dataclass(frozen=True, slots=True)
class Depth:
    """A count that ended at *at_ms*: recipients by state, and when the oldest message of each was accepted."""

    at_ms: int
    recipients: dict[str, int]
    oldest_ms: dict[str, int]


@dataclass(slots=True)
class Count:
    """A count that began at *began_s*: *after* is the last entry seen, *oldest* the smallest id of each state."""

    began_s: float
    after: Key | None = None
    recipients: dict[str, int] = field(default_factory=lambda: dict.fromkeys(sorted(WAITING), 0))
    oldest: dict[str, str] = field(default_factory=dict)


class QueueDepth:
    """Counts, from ``start`` to ``stop``.

    :param clock: the reactor, or a test's clock.
    :param now_ms: returns the time in milliseconds since the epoch.
    :ivar latest: the last count, None before the first.
    """

    def __init__(self, store: Store, clock: Any, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._now_ms = now_ms
        self._call: Any = None
        self.latest: Depth | None = None

    def start(self) -> None:
        """Begin."""
        self._later(0, Count(self._clock.seconds()))

    def stop(self) -> None:
        """End."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _later(self, seconds: float, count: Count | None = None) -> None:
        self._call = self._clock.callLater(seconds, self._look, count)

    def _look(self, count: Count | None) -> None:
        """Look at a slice of the entries."""
        self._call = None
        count = count or Count(self._clock.seconds())
        looked = self._store.read(partial(look, count))
        looked.addCallbacks(partial(self._looked, count), self._failed)

    def _looked(self, count: Count, oldest_ms: dict[str, int] | None) -> None:
        if oldest_ms is None:
            self._later(PAUSE_S, count)
            return
        self.latest = Depth(self._now_ms(), count.recipients, oldest_ms)
        self._later(max(REST_S, self._clock.seconds() - count.began_s))

    def _failed(self, failure: Failure) -> None:
        # What the store refuses is in the log already, and the age of the last count shows.
        if failure.check(MailError) is None:
            log.failure("the queue was not counted", failure, event="defect")
        self._later(REST_S)


def look(count: Count, snapshot: Snapshot) -> dict[str, int] | None:
    """Count a slice; at the end return when the oldest message of each state was accepted."""
    start = (*count.after, 0) if count.after else (DESTINATION,)
    seen = 0
    for key, _ in snapshot.scan(start, (DESTINATION + "\0",), limit=SLICE):
        seen += 1
        count.after = key
        queue_id = cast(str, key[4])
        recipient = load_recipient(snapshot, queue_id, cast(int, key[5]))
        if recipient is None:
            continue
        state = recipient.state
        count.recipients[state] = count.recipients.get(state, 0) + 1
        # Ids sort by the time of acceptance.
        count.oldest[state] = min(queue_id, count.oldest.get(state, queue_id))
    return None if seen == SLICE else _accepted(snapshot, count.oldest)


def _accepted(snapshot: Snapshot, oldest: dict[str, str]) -> dict[str, int]:
    messages = {state: load_message(snapshot, queue_id) for state, queue_id in oldest.items()}
    return {state: message.accepted_ms for state, message in messages.items() if message is not None}
