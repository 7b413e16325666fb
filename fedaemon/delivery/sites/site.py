"""One site: how much it takes at a time, and when it takes nothing.

Theory of operation. *Concurrency*: a site begins with a few connections; each success while all of them are
in use earns a part of another (1/N), and only whole ones count; trouble (no connection, 421, a slow-down)
halves the limit at once, but only once for all attempts that were already under way (hysteresis), and the
number that was refused is not tried again for a while. *Down*:
when nothing comes through any more the site is down for a while that doubles each time; then one attempt
probes it, and the rest follows when that succeeds. *Rate*: messages a minute, set by the administrator, or
for a while by a site that asked us to slow down. *Blocklisted*: a source address that the site blocks is not
used there for about an hour; when no other is left the site is closed until then.

Standards: RFC 5321 4.5.4.1 (a host that does not answer delays all its mail).
Invariants: a success opens a site that was down; only connection trouble and 421 count as failures of a site,
never what it says of a message or a recipient.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from fedaemon.delivery.schedule import HOUR_MS, MINUTE_MS
from fedaemon.delivery.sites.shaping import SiteLimits
from fedaemon.delivery.sites.turns import Turns
from fedaemon.delivery.transport import NextHost, Outcome, Source

DOWN_MS: Final = MINUTE_MS
MAX_DOWN_MS: Final = 30 * MINUTE_MS
"""A site that is down is probed after a minute, then after twice as long each time up to this."""

SLOW_MS: Final = 10 * MINUTE_MS
"""How long a rate stays lowered; afterwards it doubles each time this passes without another complaint."""

MOMENT_MS: Final = 15_000
"""Who is turned away for the number of connections alone comes again after this time to double of it."""

SLOWEST: Final = 10
"""Messages a minute that a slow-down leaves: enough for a probe each few seconds."""

BLOCKED_MS: Final = HOUR_MS
JITTER: Final = 0.1
KEPT_DESTINATIONS: Final = 20


class Site:
    """One site in memory.

    *ready* holds claims for it, *active* counts attempts under way, *recipients* those of both.
    """

    def __init__(
        self,
        name: str,
        limits: SiteLimits,
        now_ms: int,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.limits = limits
        self.limit = limits.initial
        self.ready = Turns()
        self.active = 0
        self.recipients = 0
        self.hosts: tuple[NextHost, ...] = ()
        self.destinations: dict[str, None] = {}
        self.down_until_ms = 0
        self.failures = 0
        self.closed: dict[str, int] = {}
        self.slowed_until_ms = 0
        self.slowed_rate = 0
        self.last_error: dict[str, Any] = {}
        self.delivered = 0
        self.failed = 0
        self.used_ms = now_ms
        self.nudged_ms = 0
        self.changed = False
        self.probing = False
        self._random = rng
        self._earned = 0.0
        self._lowered_ms = -1
        self._in_a_row = 0
        self._refused_at = 0
        self._refused_until_ms = 0
        self._tokens = 1.0
        self._tokens_ms = now_ms
        self._recent: list[int] = [0, 0]  # messages of this minute and of the one before
        self._minute = now_ms // MINUTE_MS

    # -- What may be done

    @property
    def rate_per_minute(self) -> int:
        """The rate that holds now, 0 for none."""
        if not self.slowed_rate:
            return self.limits.rate_per_minute
        return min(self.slowed_rate, self.limits.rate_per_minute or self.slowed_rate)

    def until_ms(self, now_ms: int, sources: Sequence[Source]) -> int:
        """Return until when nothing may be tried here, 0 for not closed."""
        until_ms = self.down_until_ms if self.down_until_ms > now_ms else 0
        if self.closed:
            open_at = [self.closed.get(name, 0) for name in _names(sources)]
            if min(open_at) > now_ms:
                until_ms = max(until_ms, min(open_at))
        return until_ms

    def sources(self, now_ms: int, sources: Sequence[Source]) -> tuple[Source, ...]:
        """Return those of *sources* that the site does not block now."""
        return tuple(each for each in sources if self.closed.get(each.address, 0) <= now_ms)

    def room(self, now_ms: int) -> int:
        """Return how many more messages are worth having ready: twice what can be under way."""
        if self.probing or self.down_until_ms:
            return max(0, 1 - self.active - len(self.ready))
        room = 2 * self.limit - self.active - len(self.ready)
        if self.rate_per_minute:
            room = min(room, int(self._refilled(now_ms)) + 1 - len(self.ready))
        return max(0, room)

    def may_start(self, now_ms: int) -> bool:
        """Return True when the next attempt may begin."""
        if self.probing or self.down_until_ms:
            return self.active == 0 and self.down_until_ms <= now_ms
        return self.active < self.limit and (not self.rate_per_minute or self._refilled(now_ms) >= 1)

    def next_start_ms(self, now_ms: int) -> int:
        """Return when the rate next allows an attempt, 0 when it is not the rate that holds it up."""
        rate = self.rate_per_minute
        if not rate or self._refilled(now_ms) >= 1:
            return 0
        return now_ms + int((1 - self._tokens) * MINUTE_MS / rate) + 1

    # -- What happens

    def started(self, now_ms: int) -> None:
        """An attempt begins."""
        self.active += 1
        self.used_ms = now_ms
        if self.down_until_ms:
            self.probing = True
        if self.rate_per_minute:
            self._refilled(now_ms)
            self._tokens -= 1
        self._count(now_ms, 1)

    def ended(self) -> None:
        """An attempt is over, whatever it brought."""
        self.active -= 1

    def succeeded(self, now_ms: int) -> bool:
        """The site answered as it should; return True when it was down before."""
        was_down = bool(self.down_until_ms)
        self._in_a_row = 0
        if self.failures:
            self.failures = 0
            self.changed = True
        self.down_until_ms = 0
        self.probing = False
        if self.slowed_rate and now_ms >= self.slowed_until_ms:
            self._speed_up(now_ms)
        most = self.limits.connections if now_ms >= self._refused_until_ms else self._refused_at - 1
        if self.active >= self.limit < most:
            self._earned += 1 / self.limit
            if self._earned >= 1:
                self._earned = 0.0
                self.limit += 1
        return was_down

    def troubled(self, now_ms: int, began_ms: int) -> None:
        """There was no connection, or it was ended with 421, for an attempt that began at *began_ms*."""
        others = self.active - 1
        if others > 0 and began_ms > self._lowered_ms:
            # Others are let in: so many at a time are not tried again for a while.
            self._refused_at = max(2, min(self.active, self.limit))
            self._refused_until_ms = now_ms + SLOW_MS
        self._lower(now_ms, began_ms)
        self._in_a_row += 1
        if self.probing or self._in_a_row >= self.limits.initial or others <= 0:
            self._go_down(now_ms)

    def slow_down(self, now_ms: int, began_ms: int) -> None:
        """The site asked us to slow down: half of what it got in the last minute, for a while."""
        self._lower(now_ms, began_ms)
        if self.slowed_until_ms - SLOW_MS < began_ms or not self.slowed_rate:
            self._count(now_ms, 0)
            seen = max(self._recent)
            rate = min(seen, self.slowed_rate) if self.slowed_rate else seen
            self.slowed_rate = max(SLOWEST, rate // 2)
        self.slowed_until_ms = now_ms + SLOW_MS
        self.changed = True

    def block(self, source: str, now_ms: int) -> int:
        """The site blocks *source* ("" when the system chooses it); return until when it is not used."""
        until_ms = now_ms + int(BLOCKED_MS * (1 - JITTER + 2 * JITTER * self._random()))
        self.closed[source] = max(self.closed.get(source, 0), until_ms)
        self.changed = True
        return self.closed[source]

    def moment_ms(self) -> int:
        """Return how long one waits that was turned away while others were let in."""
        return int(MOMENT_MS * (1 + self._random()))

    def note_error(self, outcome: Outcome, now_ms: int) -> None:
        """Remember what went wrong last."""
        self.last_error = {
            "at_ms": now_ms,
            "code": outcome.code,
            "status": outcome.status,
            "text": outcome.text[:200],
            "host": outcome.host,
            "phase": outcome.phase,
            "category": outcome.category,
        }
        self.changed = True

    def limit_to(self, limits: SiteLimits) -> None:
        """From now on *limits* hold."""
        self.limits = limits
        self.limit = min(self.limit, limits.connections)

    def nudge(self, at_ms: int) -> None:
        """The administrator said at *at_ms* that it is to be tried: a site that is down is probed at once."""
        self.nudged_ms = at_ms
        self.down_until_ms = min(self.down_until_ms, 1)
        self.closed.clear()
        self.probing = False
        self._in_a_row = 0
        self.changed = True

    def is_well(self, now_ms: int) -> bool:
        """Return True when there is nothing to remember about the site."""
        return not (
            self.active
            or len(self.ready)
            or self.failures
            or self.slowed_rate
            or any(until_ms > now_ms for until_ms in self.closed.values())
        )

    # -- Inside

    def _lower(self, now_ms: int, began_ms: int) -> None:
        if began_ms > self._lowered_ms:
            self._lowered_ms = now_ms
            self.limit = max(1, self.limit // 2)
            self._earned = 0.0
            self.changed = True

    def _go_down(self, now_ms: int) -> None:
        if self.down_until_ms > now_ms:
            return
        delay_ms = min(MAX_DOWN_MS, DOWN_MS * 2 ** min(self.failures, 10))
        self.failures += 1
        self.down_until_ms = now_ms + int(delay_ms * (1 - JITTER + 2 * JITTER * self._random()))
        self.probing = False
        self.limit = min(self.limit, self.limits.initial)
        self.changed = True

    def _speed_up(self, now_ms: int) -> None:
        self._count(now_ms, 0)
        self.slowed_rate *= 2
        self.slowed_until_ms = now_ms + SLOW_MS
        if self.slowed_rate > max(60, 4 * max(self._recent)) or self.slowed_rate > 10_000:
            # It was not the limit any more.
            self.slowed_rate = self.slowed_until_ms = 0
        self.changed = True

    def _refilled(self, now_ms: int) -> float:
        rate = self.rate_per_minute
        # Two seconds' worth may come at once, so that a rate of 600 is not 600 timers.
        most = max(1.0, rate / 30)
        self._tokens = min(most, self._tokens + (now_ms - self._tokens_ms) * rate / MINUTE_MS)
        self._tokens_ms = now_ms
        return self._tokens

    def _count(self, now_ms: int, messages: int) -> None:
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._recent = [0, self._recent[0] if minute == self._minute + 1 else 0]
            self._minute = minute
        self._recent[0] += messages


def _names(sources: Sequence[Source]) -> list[str]:
    return [each.address for each in sources] or [""]
