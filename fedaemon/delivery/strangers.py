"""Counts the reports that go to senders who are not ours, so that a forged sender gets no flood from us.

Whoever writes to us under a false sender address can have our reports sent to a victim. So a stranger's
address, its domain, and all strangers together get only so many reports a day; what is left out stands in the
timeline of the message.

Standards: RFC 3834 2 (limits on automatic answers), RFC 5321 6.2 (unwanted mail).
Invariants: a report is counted in the transaction that queues it; a day is a day of UTC.
Limits: ``StrangerLimits``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fedaemon.delivery.schedule import DAY_MS
from fedaemon.message.address import Address
from fedaemon.store.interface import Key, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import TOLD


@dataclass(frozen=True, slots=True)
class StrangerLimits:
    """How many reports a day may go to one address, to one domain, and to all strangers together."""

    address: int = 10
    domain: int = 100
    all: int = 1000


LIMITS: Final = StrangerLimits()


def count_report(
    transaction: Transaction, stranger: Address, now_ms: int, limits: StrangerLimits = LIMITS
) -> str:
    """Count one report to *stranger*; return "", or why there must be none, and then count nothing."""
    day = now_ms // DAY_MS
    counters: tuple[tuple[Key, int, str], ...] = (
        ((TOLD, day, "address", stranger.key), limits.address, "this address"),
        ((TOLD, day, "domain", stranger.domain), limits.domain, f"the domain {stranger.domain}"),
        ((TOLD, day, "all", ""), limits.all, "all senders elsewhere together"),
    )
    told = []
    for key, limit, whom in counters:
        value = transaction.get(key)
        reports = 0 if value is None else int(decode(value)["reports"])
        if reports >= limit:
            return f"{whom} had the {limit} reports that may be sent there in a day (UTC)"
        told.append((key, reports))
    for key, reports in told:
        transaction.put(key, encode({"reports": reports + 1}))
    return ""
