"""How many messages came and went in the last minute, hour and day: differences of the counters.

Limits: ``PERIODS`` says how often each is sampled, which is how accurate it is; a period that is longer than the
process has run says so.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from fedaemon import counters

PERIODS: Final = {"minute": (60, 15), "hour": (3600, 60), "day": (86_400, 1800)}
"""Period -> its length and the interval of its samples, in seconds."""
OUTCOMES: Final = ("delivered", "deferred", "bounced", "expired")

Sample = dict[str, float]


@dataclass(frozen=True, slots=True)
class _Row:
    interval_s: int
    samples: deque[tuple[float, Sample]]


class Rates:
    """Samples, from ``start`` to ``stop``.

    :param clock: the reactor, or a test's clock.
    """

    def __init__(self, clock: Any, numbers: counters.Counters = counters.SERVER) -> None:
        self._clock = clock
        self._numbers = numbers
        self._call: Any = None
        self._rows = {
            name: _Row(interval_s, deque(maxlen=period_s // interval_s + 1))
            for name, (period_s, interval_s) in PERIODS.items()
        }

    def start(self) -> None:
        """Begin."""
        self._sample()

    def stop(self) -> None:
        """End."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _sample(self) -> None:
        now_s, taken = self._clock.seconds(), totals(self._numbers)
        for row in self._rows.values():
            if not row.samples or now_s - row.samples[-1][0] >= row.interval_s:
                row.samples.append((now_s, taken))
        shortest_s = min(row.interval_s for row in self._rows.values())
        self._call = self._clock.callLater(shortest_s, self._sample)

    def summary(self) -> dict[str, dict[str, int]]:
        """Return for each period what happened in its ``seconds``: accepted messages, and outcomes."""
        now_s, now = self._clock.seconds(), totals(self._numbers)
        found: dict[str, dict[str, int]] = {}
        for name, row in self._rows.items():
            since_s, before = row.samples[0] if row.samples else (now_s, now)
            happened = {what: int(now[what] - before[what]) for what in now}
            found[name] = {"seconds": int(now_s - since_s), **happened}
        return found


def totals(numbers: counters.Counters) -> Sample:
    """Return the counters that are looked at."""
    found = dict.fromkeys(("accepted", *OUTCOMES), 0.0)
    for series in numbers.series("messages_accepted_total"):
        found["accepted"] += series["value"]
    for series in numbers.series("delivery_outcomes_total"):
        result = series["labels"].get("result", "")
        if result in found:
            found[result] += series["value"]
    return found
