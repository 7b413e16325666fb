"""The sites as people and programs see them: what waits there, how much goes there, and what is wrong.

What is known of a site is written by the daemon (``sites/site_records.py``) while it is in use or not well,
so it may be some seconds old, and of a daemon that does not run it is what held at its end. How much waits is
counted in the index of each destination. Destinations of which no site is known are listed by themselves: they
have not been tried lately, or the site is so well and idle that nothing is kept of it.

Limits: a site's record names its latest twenty destinations; what waits for its others stands beside it,
by destination. One view counts at most ``LOOK_ENTRIES`` entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from fedaemon.delivery.pauses import Pause, Pauses
from fedaemon.delivery.records import LOCAL, RecipientRecord
from fedaemon.delivery.selection import BEHIND, LOOK_ENTRIES, Seen, View
from fedaemon.store.interface import Key, Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import DESTINATION, LINE, SITE

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KnownSites:
    """The sites that the store knows of: records by name, and names by destination."""

    records: Mapping[str, Record]
    names: Mapping[str, str]

    def of(self, recipient: RecipientRecord) -> str:
        """Return the site where *recipient* was tried last, or would be; "" when it is not known."""
        site: str = (recipient.last or {}).get("site") or self.names.get(recipient.destination, "")
        return site

    def destinations(self, site: str) -> frozenset[str]:
        """Return the destinations known to belong to *site*."""
        return frozenset(destination for destination, name in self.names.items() if name == site)


def known_sites(snapshot: Snapshot) -> KnownSites:
    """Return what is known of sites; a destination that moved belongs to the site written last."""
    records = {cast(str, key[1]): decode(value) for key, value in snapshot.scan((SITE,))}
    oldest_first = sorted(records, key=lambda name: int(records[name].get("at_ms", 0)))
    names = {
        destination: name for name in oldest_first for destination in records[name].get("destinations", ())
    }
    return KnownSites(records, names)


def nudge(transaction: Transaction, site: str, now_ms: int) -> bool:
    """Have *site* tried now whatever kept it closed; the daemon takes this over within a second.

    Returns False when nothing is kept of the site: then nothing keeps it closed.
    """
    value = transaction.get((SITE, site))
    if value is None:
        return False
    record = decode(value)
    if record.get("nudged_ms") != now_ms:
        record.update(down_until_ms=0, closed={}, nudged_ms=now_ms)
        transaction.put((SITE, site), encode(record))
    return True


def is_in_line(snapshot: Snapshot, site: str, recipient: RecipientRecord) -> bool:
    """Return True when what is due for the recipient's destination waits for room at *site*."""
    names = {site, f"@{recipient.destination}"} - {""}
    return any(
        key[4] == recipient.destination
        for name in names
        for key, _ in snapshot.scan((LINE, name, recipient.lane))
    )


Counts = dict[str, int]
"""Waiting recipients by destination."""


def count_waiting(view: View, destination: str = "", seen: Seen = lambda count: None) -> Counts:
    """Return how many recipients wait for each remote destination, or for one."""
    prefix: Key = (DESTINATION, destination) if destination else (DESTINATION,)
    start: Key | None = prefix
    counts: Counts = {}
    total = 0
    while start is not None:
        found, start = view(partial(_count, start, (*prefix, BEHIND)))
        for name, count in found.items():
            counts[name] = counts.get(name, 0) + count
            total += count
        seen(total)
    counts.pop(LOCAL, None)
    return counts


def _count(start: Key, stop: Key, snapshot: Snapshot) -> tuple[Counts, Key | None]:
    counts: Counts = {}
    last: Key = ()
    looked_at = 0
    for last, _ in snapshot.scan(start, stop, limit=LOOK_ENTRIES):
        destination = cast(str, last[1])
        counts[destination] = counts.get(destination, 0) + 1
        looked_at += 1
    return counts, (*last, 0) if looked_at == LOOK_ENTRIES else None


def site_rows(known: KnownSites, pauses: Pauses, counts: Counts, now_ms: int) -> list[dict[str, Any]]:
    """Return a row for each site, and for each destination that waits and belongs to none; most waiting
    first.
    """
    waiting: dict[str, Counts] = {name: {} for name in known.records}
    rows = []
    for destination, count in counts.items():
        name = known.names.get(destination)
        if name is None:
            rows.append(_row("", {}, {destination: count}, pauses.blocks(destination, "", ""), now_ms))
        else:
            waiting[name][destination] = count
    for name, record in known.records.items():
        destinations = {each: 0 for each in record.get("destinations", ()) if known.names[each] == name}
        rows.append(
            _row(name, record, {**destinations, **waiting[name]}, pauses.blocks("", name, ""), now_ms)
        )
    return sorted(rows, key=lambda row: (-row["waiting"], row["site"] or "", *row["destinations"]))


def _row(name: str, record: Record, counts: Counts, pause: Pause | None, now_ms: int) -> dict[str, Any]:
    closed = {source: until for source, until in record.get("closed", {}).items() if until > now_ms}
    row = {
        "site": name or None,
        "destinations": dict(sorted(counts.items(), key=lambda item: -item[1])),
        "waiting": sum(counts.values()),
        "active": record.get("active", 0),
        "limit": record.get("limit"),
        "rate_per_minute": record.get("rate_per_minute") or None,
        "delivered": record.get("delivered", 0),
        "failed": record.get("failed", 0),
        "failures": record.get("failures", 0),
        "down_until_ms": _coming(record.get("down_until_ms", 0), now_ms),
        "closed": closed,
        "slowed_until_ms": _coming(record.get("slowed_until_ms", 0), now_ms),
        "paused": {"kind": pause.kind, "since_ms": pause.since_ms, "why": pause.why} if pause else None,
        "last_error": record.get("last_error") or None,
        "at_ms": record.get("at_ms"),
    }
    row["state"] = state_of(row)
    return row


def _coming(at_ms: int, now_ms: int) -> int | None:
    return at_ms if at_ms > now_ms else None


def state_of(row: Mapping[str, Any]) -> str:
    """Return how a site is, in a word: what keeps mail from it first."""
    if row["paused"]:
        return "paused"
    if row["down_until_ms"]:
        return "down"
    if row["failures"]:
        return "probed"
    if row["closed"]:
        return "blocked"
    if row["slowed_until_ms"]:
        return "slowed"
    if row["limit"] and row["active"] >= row["limit"] and row["waiting"] > row["active"]:
        return "busy"
    return "open" if row["site"] else "not tried lately"
