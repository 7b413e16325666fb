"""Work that nobody waits for: its failures are logged here, and it can be woken at a given time.

It exists so that everything that goes on beside the sessions rests in the same way when the store refuses, and
ends in the same way.

Invariants: a failure never leaves this module unlogged; of one loop one turn runs at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from twisted.internet.defer import Deferred

from fedaemon.errors import MailError
from fedaemon.logs import Logger

RETRY_S: Final = 5.0
"""After the store refused something, or a defect of ours."""

LONGEST_SLEEP_S: Final = 60.0
"""The wall clock may be set while we sleep: look at it at least this often."""

_log = Logger()


def in_background(work: Coroutine[Any, Any, None], what: str) -> Deferred[None]:
    """Run *work*; a failure is logged as a bug of ours. The Deferred fires at its end and never fails."""
    return Deferred.fromCoroutine(work).addErrback(
        lambda failure: _log.failure(
            "work in the background failed", failure=failure, event="defect", what=what
        )
    )


class Alarm:
    """Calls *function* at a wall-clock time, the earliest of those set.

    :param clock: gives ``callLater``.
    :param now_ms: returns the time in milliseconds since the epoch.
    """

    def __init__(self, clock: Any, now_ms: Callable[[], int], function: Callable[[], None]) -> None:
        self._clock = clock
        self._now_ms = now_ms
        self._function = function
        self._call: Any = None
        self._at_ms = 0

    def set(self, at_ms: int | None) -> None:
        """Ring at *at_ms*, or soon when that has passed; None changes nothing."""
        if at_ms is None or (self._call is not None and self._at_ms <= at_ms):
            return
        self.cancel()
        self._at_ms = at_ms
        wait_s = max(0.0, (at_ms - self._now_ms()) / 1000)
        self._call = self._clock.callLater(min(wait_s, LONGEST_SLEEP_S), self._ring)

    def set_in(self, seconds: float) -> None:
        """Ring after *seconds*."""
        self.set(self._now_ms() + int(seconds * 1000))

    def cancel(self) -> None:
        """Do not ring."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _ring(self) -> None:
        self._call = None
        self._function()


def _always() -> bool:
    return True


class TurnLoop:
    """Runs *turn* when it is woken, one at a time, until no turn wants another.

    A turn that the store refuses (``MailError``), or that fails by a defect of ours, is followed by a rest.

    :param turn: does a slice of work; sets ``wanted`` when there is more.
    :param what: names the work in the log.
    :param may: asked before each turn; while it says no, a wake is remembered.
    """

    def __init__(
        self,
        clock: Any,
        now_ms: Callable[[], int],
        turn: Callable[[], Coroutine[Any, Any, None]],
        what: str,
        may: Callable[[], bool] = _always,
    ) -> None:
        self.alarm = Alarm(clock, now_ms, self.wake)
        self.running = False
        self.wanted = False
        self._turn = turn
        self._what = what
        self._may = may
        self._working = False
        self._worked: Deferred[None] | None = None

    def start(self) -> None:
        """Begin (again) to work."""
        self.running = True
        self.wake()

    def pause(self) -> None:
        """Begin no further turn."""
        self.running = False
        self.alarm.cancel()

    async def stop(self) -> None:
        """Begin no further turn, and wait for the one under way."""
        self.pause()
        if self._worked is not None:
            await self._worked

    def wake(self) -> None:
        """There may be something to do."""
        self.wanted = True
        if self.running and not self._working and self._may():
            self._working = True
            self._worked = in_background(self._turns(), self._what)

    async def _turns(self) -> None:
        try:
            while self.running and self.wanted and self._may():
                self.wanted = False
                await self._turn()
        except MailError as error:
            _log.error("work waits for the store", event="store-awaited", what=self._what, reason=error.text)
            self.alarm.set_in(RETRY_S)
        except Exception:
            self.alarm.set_in(RETRY_S)
            raise
        finally:
            self._working = False
