"""When a recipient is tried next, and for how long.

Early attempts come quickly, because greylisting and short outages are the common case; later ones are far
apart. Every delay is jittered so that messages which failed together do not come back together.

Standards: RFC 5321 4.5.4.1 (retry strategies; give up after 4 to 5 days), RFC 2852 (the time DELIVERBY
gives), RFC 4865 4.2 (a message that is held for release gets its whole lifetime after it).
Invariants: two attempts are never closer than ``FIRST_DELAY_MS`` minus jitter; the lifetime counts from
acceptance, or from the release asked for; times are whole seconds, so that due entries of one moment fall
together.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from fedaemon.delivery.records import MessageRecord

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


def _no_own_lifetime(destination: str) -> int | None:
    return None


class Marks(NamedTuple):
    """The moments at which something is owed to a recipient's sender, whatever the schedule says.

    *notice_ms*: the delay notice; *by_ms*: DELIVERBY runs out; each 0 for never. *expires_ms*: it is given up.
    """

    notice_ms: int
    by_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """The retry rules.

    :param lifetime_ms: how long after its acceptance a message is tried.
    :param notice_ms: how long after its acceptance the sender hears of a delay; 0 for never.
    :param lifetime_at: returns the lifetime in ms that holds for a destination, None for the message's.
    :param random: returns a number of 0 <= n < 1.
    """

    lifetime_ms: int = 5 * DAY_MS
    notice_ms: int = 4 * HOUR_MS
    lifetime_at: Callable[[str], int | None] = field(default=_no_own_lifetime, repr=False)
    random: Callable[[], float] = field(default=random.random, repr=False)

    def marks(self, message: MessageRecord, destination: str) -> Marks:
        """Return when something is owed to the sender of *message* about a recipient at *destination*."""
        begin_ms = max(message.accepted_ms, message.release_ms)
        lifetime_ms = self.lifetime_at(destination)
        if lifetime_ms is None:
            lifetime_ms = self.lifetime_ms if message.lifetime_ms is None else message.lifetime_ms
        expires_ms = begin_ms + lifetime_ms
        by_ms = message.deliver_by_ms
        if by_ms and message.deliver_by_mode.startswith("R"):
            # Return: after that time nobody wants it delivered.
            expires_ms, by_ms = min(expires_ms, by_ms), 0
        return Marks(begin_ms + self.notice_ms if self.notice_ms else 0, by_ms, expires_ms)

    def is_over(self, now_ms: int, marks: Marks) -> bool:
        """Return True when the lifetime would pass before another attempt could be made."""
        return now_ms + FIRST_DELAY_MS > marks.expires_ms

    def next_attempt_ms(self, attempts: int, now_ms: int, marks: Marks) -> int:
        """Return when to try again after *attempts* attempts (1 or more), the last of them now.

        The marks are kept as attempts of their own: a notice goes out when it is due and not hours later, and
        nothing is given up without a last try.
        """
        return self.kept(now_ms + self._delay_ms(attempts), now_ms + FIRST_DELAY_MS, marks)

    def kept(self, when_ms: int, earliest_ms: int, marks: Marks) -> int:
        """Return *when_ms*, or the first mark that comes before it but not before *earliest_ms*."""
        for mark in marks:
            if earliest_ms <= mark < when_ms:
                when_ms = mark
        return -(-when_ms // 1000) * 1000

    def _delay_ms(self, attempts: int) -> int:
        if attempts <= len(EARLY_DELAYS_MS):
            return int(EARLY_DELAYS_MS[attempts - 1] * (1 - JITTER + 2 * JITTER * self.random()))
        shortest, longest = LATE_DELAYS_MS
        return int(shortest + (longest - shortest) * self.random())
