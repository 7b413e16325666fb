"""The delivery manager: one object that keeps both lanes of the queue going, local and remote.

``wake`` is called after every commit that may have added work; ``start`` first lets the recipients go again
whose attempts died with an earlier run; ``stop`` drains.

Invariants: a queue of any size costs no memory and no time at the start: only the window of claims is in
memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from fedaemon.delivery.background import in_background
from fedaemon.delivery.inhouse import LocalLane
from fedaemon.delivery.outcomes import Recorded, Terms
from fedaemon.delivery.recovery import recover
from fedaemon.delivery.remote import Finder, RemoteLane
from fedaemon.delivery.schedule import Schedule
from fedaemon.delivery.transport import Transport
from fedaemon.delivery.window import Window
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Store

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

_log = Logger()


def wall_clock_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return int(time.time() * 1000)


class DeliveryManager:
    """Delivers what is in the queue.

    :param clock: the reactor, or a test's clock.
    :param hostname: our name in reports.
    :param finder: finds next hosts (``mx.HostFinder``, ``capture.CaptureFinder``).
    :param transport: carries remote mail.
    :param paused: True: nothing remote is claimed; local mail is still delivered.
    :param message_finished: told when messages are over (``Retention.message_finished``).
    :param window: limits of what is in memory and under way.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        clock: Any,
        *,
        hostname: str,
        schedule: Schedule,
        finder: Finder,
        transport: Transport,
        paused: bool = False,
        now_ms: Callable[[], int] = wall_clock_ms,
        message_finished: Callable[[], None] | None = None,
        window: Window | None = None,
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._message_finished = message_finished
        self._paused = paused
        self._run = new_id(now_ms())
        self._running = False
        self._starting: Deferred[None] | None = None
        self._blobs = blobs
        self._clock = clock
        self._look: Any = None
        terms = Terms(hostname, schedule, blobs)
        self._local = LocalLane(store, blobs, clock, now_ms, terms=terms, recorded=self._recorded)
        self._remote = RemoteLane(
            store,
            blobs,
            clock,
            now_ms,
            run=self._run,
            terms=terms,
            finder=finder,
            transport=transport,
            window=window or Window(),
            recorded=self._recorded,
        )

    @property
    def attempts_under_way(self) -> int:
        """How many remote attempts are under way."""
        return self._remote.window.active

    def start(self) -> Deferred[None]:
        """Begin to deliver; fires when the claims of earlier runs have been seen to."""
        self._running = True
        self._local.start()
        self._starting = in_background(self._start_remote(), "starting delivery")
        return self._starting

    async def _start_remote(self) -> None:
        found, more = 0, True
        schedule = self._remote.terms.schedule
        while more and self._running:
            count, more = await self._store.write(
                partial(recover, run=self._run, now_ms=self._now_ms(), schedule=schedule)
            )
            found += count
        if found:
            _log.warn(
                "delivery: {count} recipients were under way when the last run died; they go again",
                count=found,
            )
        if self._running and not self._paused:
            self._remote.start()

    def stop(self) -> Deferred[None]:
        """Let running attempts end, at most for the transport's drain time; put back what did not begin."""
        self._running = False
        if self._look is not None:
            self._look.cancel()
            self._look = None
        return in_background(self._stop(), "stopping delivery")

    async def _stop(self) -> None:
        if self._starting is not None:
            await self._starting
        await self._local.stop()
        await self._remote.stop()

    def wake(self) -> None:
        """Something was added to the queue, or changed in it; said after each commit, so it costs little."""
        if self._look is None and self._running:
            self._look = self._clock.callLater(0, self._wake_lanes)

    def _wake_lanes(self) -> None:
        self._look = None
        self._local.wake()
        self._remote.wake()

    def configure(self, *, hostname: str, schedule: Schedule, finder: Finder, paused: bool) -> None:
        """Go on with new settings; attempts under way end as they began."""
        terms = Terms(hostname, schedule, self._blobs)
        self._local.terms = self._remote.terms = terms
        self._remote.finder = finder
        if paused != self._paused:
            self._paused = paused
            if paused:
                self._remote.pause()
            elif self._running:
                self._remote.start()

    def _recorded(self, recorded: Recorded) -> None:
        """Follow up on what a recording led to."""
        if recorded.reported:
            self.wake()
        if recorded.finished and self._message_finished is not None:
            self._message_finished()
