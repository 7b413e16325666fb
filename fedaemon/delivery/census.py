"""Counts the whole queue in one pass: how much there is, in which states, where it waits and for how long.

Limits: memory for a number for each destination and account that has mail waiting, whatever the queue's size.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from fedaemon.delivery.records import LOCAL, WAITING
from fedaemon.delivery.schedule import DAY_MS, HOUR_MS, MINUTE_MS
from fedaemon.delivery.selection import Filter, Found, Seen, View, select

TOP: Final = 20
"""Destinations and accounts that are named."""

AGES_MS: Final = (5 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, DAY_MS, 2 * DAY_MS, 5 * DAY_MS)
"""Upper bounds of the age groups; one more is for what is older."""

PERIODS: Final = {"last_hour": HOUR_MS, "last_day": DAY_MS}


@dataclass(slots=True)
class Census:
    """What has been counted so far. *destinations*, *accounts*, *categories* and *ages* count recipients that
    wait; *happened* is for each of ``PERIODS``.
    """

    now_ms: int
    messages: Counter[str] = field(default_factory=Counter)
    recipients: Counter[str] = field(default_factory=Counter)
    unfinished_octets: int = 0
    destinations: Counter[str] = field(default_factory=Counter)
    accounts: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    ages: Counter[int] = field(default_factory=Counter)
    happened: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in PERIODS})
    oldest: tuple[int, str] | None = None

    def add(self, found: Found) -> None:
        """Count one message."""
        message = found.message
        self.messages[found.status] += 1
        if not message.finished_ms:
            self.unfinished_octets += message.size
        self._note("accepted", message.accepted_ms)
        for _, recipient in found.recipients:
            self.recipients[recipient.state] += 1
            if recipient.finished_ms:
                self._note(recipient.state, recipient.finished_ms)
            if recipient.state not in WAITING:
                continue
            self.destinations[recipient.destination] += 1
            self.accounts[message.account or ""] += 1
            last = recipient.last
            self.categories["not tried yet" if last is None else last.get("category") or "none"] += 1
            age_ms = self.now_ms - message.accepted_ms
            self.ages[sum(age_ms >= bound_ms for bound_ms in AGES_MS)] += 1
            if self.oldest is None or message.accepted_ms < self.oldest[0]:
                self.oldest = (message.accepted_ms, found.queue_id)

    def _note(self, what: str, at_ms: int) -> None:
        for name, period_ms in PERIODS.items():
            if self.now_ms - at_ms < period_ms:
                self.happened[name][what] += 1

    def summary(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        bounds = (*(bound_ms // 1000 for bound_ms in AGES_MS), None)
        return {
            "at_ms": self.now_ms,
            "messages": dict(self.messages),
            "recipients": dict(self.recipients),
            "waiting": sum(self.recipients[state] for state in WAITING),
            "unfinished_octets": self.unfinished_octets,
            "destinations": [
                {"destination": None if name == LOCAL else name, "waiting": count}
                for name, count in self.destinations.most_common(TOP)
            ],
            "destinations_in_all": len(self.destinations),
            "accounts": [
                {"account": name or None, "waiting": count} for name, count in self.accounts.most_common(TOP)
            ],
            "accounts_in_all": len(self.accounts),
            "categories": dict(self.categories.most_common()),
            "ages": [
                {"below_s": bound_s, "waiting": self.ages[index]} for index, bound_s in enumerate(bounds)
            ],
            "oldest": None if self.oldest is None else {"id": self.oldest[1], "accepted_ms": self.oldest[0]},
            **{name: dict(counts) for name, counts in self.happened.items()},
        }


def take_census(view: View, now_ms: int, seen: Seen = lambda count: None) -> Census:
    """Count everything there is."""
    census = Census(now_ms)
    for found in select(view, Filter(), seen):
        census.add(found)
    return census
