"""Work that nobody waits for: its failures are logged here, and it can be woken at a given time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

LONGEST_SLEEP_S: Final = 60.0
"""The wall clock may be set while we sleep: look at it at least this often."""

_log = Logger()


def in_background(work: Coroutine[Any, Any, None], what: str) -> Deferred[None]:
    """Run *work*; a failure is logged as a bug of ours. The Deferred fires at its end and never fails."""
    return Deferred.fromCoroutine(work).addErrback(
        lambda failure: _log.failure("delivery: {what} failed", failure=failure, what=what)
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
