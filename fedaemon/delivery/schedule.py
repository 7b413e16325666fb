"""When a recipient is tried next, and for how long.

Early attempts come quickly, because greylisting and short outages are the common case; later ones are far
apart. Every delay is jittered so that messages which failed together do not come back together.

Standards: RFC 5321 4.5.4.1 (retry strategies; give up after 4 to 5 days).
Invariants: two attempts are never closer than ``FIRST_DELAY_MS`` minus jitter; the lifetime counts from
acceptance; times are whole seconds, so that due entries of one moment fall together.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

EARLY_DELAYS_MS: Final = (5 * MINUTE_MS, 10 * MINUTE_MS, 20 * MINUTE_MS, 40 * MINUTE_MS, 80 * MINUTE_MS)
"""After the first, second, … attempt."""

LATE_DELAYS_MS: Final = (2 * HOUR_MS, 4 * HOUR_MS)
"""After all later ones: anything between these."""

JITTER: Final = 0.1
"""Early delays vary by this part of themselves, up and down."""

FIRST_DELAY_MS: Final = EARLY_DELAYS_MS[0]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The retry rules.

    :param lifetime_ms: how long after its acceptance a message is tried.
    :param notice_ms: how long after its acceptance the sender hears of a delay; 0 for never.
    :param random: returns a number of 0 <= n < 1.
    """

    lifetime_ms: int = 5 * DAY_MS
    notice_ms: int = 4 * HOUR_MS
    random: Callable[[], float] = field(default=random.random, repr=False)

    def expires_ms(self, accepted_ms: int, lifetime_ms: int | None = None) -> int:
        """Return when a message accepted at *accepted_ms* is given up; *lifetime_ms* is the message's own."""
        return accepted_ms + (self.lifetime_ms if lifetime_ms is None else lifetime_ms)

    def is_over(self, now_ms: int, expires_ms: int) -> bool:
        """Return True when the lifetime would pass before another attempt could be made."""
        return now_ms + FIRST_DELAY_MS > expires_ms

    def next_attempt_ms(self, attempts: int, now_ms: int, accepted_ms: int, expires_ms: int) -> int:
        """Return when to try again after *attempts* attempts (1 or more), the last of them now.

        The moment of the delay notice and the end of the lifetime are kept as attempts of their own: the
        notice goes out when it is due and not hours later, and nothing is given up without a last try.
        """
        when = now_ms + self._delay_ms(attempts)
        marks = (accepted_ms + self.notice_ms if self.notice_ms else 0, expires_ms)
        for mark in marks:
            if now_ms + FIRST_DELAY_MS <= mark < when:
                when = mark
        return -(-when // 1000) * 1000

    def _delay_ms(self, attempts: int) -> int:
        if attempts <= len(EARLY_DELAYS_MS):
            return int(EARLY_DELAYS_MS[attempts - 1] * (1 - JITTER + 2 * JITTER * self.random()))
        shortest, longest = LATE_DELAYS_MS
        return int(shortest + (longest - shortest) * self.random())
