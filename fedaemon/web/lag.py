"""How late the reactor is: what every connection waits besides its own work.

Theory of operation: a call that is due every ``INTERVAL_S`` notes how much later it came. A turn of the reactor
shorter than the interval may pass unseen; over minutes the histogram has them in proportion to their length.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from fedaemon import counters

INTERVAL_S: Final = 0.25
WINDOW_S: Final = 300
SLOT_S: Final = 5
"""The largest value is kept for each of these, so that a look back costs sixty numbers."""


class LagMeter:
    """Measures, from ``start`` to ``stop``.

    :param clock: the reactor, or a test's clock.
    :ivar latest_s: the last measurement.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._call: Any = None
        self._due_s = 0.0
        self._slots: deque[tuple[int, float]] = deque(maxlen=WINDOW_S // SLOT_S)
        self.latest_s = 0.0

    def start(self) -> None:
        """Begin."""
        self._due_s = self._clock.seconds() + INTERVAL_S
        self._call = self._clock.callLater(INTERVAL_S, self._measure)

    def stop(self) -> None:
        """End."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def largest_s(self, window_s: float = WINDOW_S) -> float:
        """Return the largest lag of the last *window_s* seconds, to the accuracy of ``SLOT_S``."""
        first = (self._clock.seconds() - window_s) // SLOT_S
        return max((lag_s for slot, lag_s in self._slots if slot >= first), default=0.0)

    def _measure(self) -> None:
        now_s = self._clock.seconds()
        self.latest_s = lag_s = max(0.0, now_s - self._due_s)
        counters.observe("reactor_lag_seconds", lag_s)
        slot = int(now_s // SLOT_S)
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1] = (slot, max(lag_s, self._slots[-1][1]))
        else:
            self._slots.append((slot, lag_s))
        self.start()
