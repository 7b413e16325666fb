"""What is kept of a site in the store: so that a restart hammers nobody, and for ``fedaemonctl queue sites``.

Record (SITE, name): ``destinations`` (the latest twenty), ``active``, ``limit``, ``rate_per_minute`` (0 for
none), ``down_until_ms``, ``failures`` (times in a row it went down), ``closed`` (source address, "" for the
system's choice: blocked until), ``slowed_rate``, ``slowed_until_ms``, ``last_error``, ``delivered``, ``failed``
(attempts, since the site is in memory), ``at_ms`` (when written), ``nudged_ms`` (when the administrator last
wanted it tried at once; written by fedaemonctl, and kept).

Invariants: a nudge is never overwritten before it was seen; what decides whether a site is tried survives a
restart; what is only shown may be two seconds old.
Limits: ``MAX_WRITTEN`` records in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from fedaemon.delivery.claiming import Line
from fedaemon.delivery.sites.registry import Sites
from fedaemon.delivery.sites.site import Site
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import LINE, SITE

MAX_WRITTEN: Final = 200
BEHIND: Final = "\U0010ffff"
"""Sorts behind every name."""


def site_record(site: Site, now_ms: int) -> dict[str, Any]:
    """Return the record of *site*."""
    return {
        "destinations": list(site.destinations),
        "active": site.active,
        "limit": site.limit,
        "rate_per_minute": site.rate_per_minute,
        "down_until_ms": site.down_until_ms,
        "failures": site.failures,
        "closed": {name: until_ms for name, until_ms in site.closed.items() if until_ms > now_ms},
        "slowed_rate": site.slowed_rate,
        "slowed_until_ms": site.slowed_until_ms,
        "last_error": site.last_error,
        "delivered": site.delivered,
        "failed": site.failed,
        "at_ms": now_ms,
        **({"nudged_ms": site.nudged_ms} if site.nudged_ms else {}),
    }


def write_sites(transaction: Transaction, records: Iterable[tuple[str, dict[str, Any]]]) -> list[str]:
    """Store *records*; return the names of sites left alone, because of a nudge that was not seen yet."""
    left: list[str] = []
    for name, record in records:
        value = transaction.get((SITE, name))
        if value is not None and decode(value).get("nudged_ms", 0) > record.get("nudged_ms", 0):
            left.append(name)
        else:
            transaction.put((SITE, name), encode(record))
    return left


def forget_sites(transaction: Transaction, *, names: Iterable[str]) -> None:
    """Remove the records of sites of which there is nothing to remember."""
    for name in names:
        transaction.delete((SITE, name))


def read_sites(snapshot: Snapshot) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, record) of all sites that the store knows of."""
    for key, value in snapshot.scan((SITE,)):
        yield cast(str, key[1]), decode(value)


def restore(sites: Sites, snapshot: Snapshot, *, now_ms: int) -> list[str]:
    """Bring back the sites that are not to be tried as if nothing had been; return the names of the others."""
    forgotten = []
    for name, record in read_sites(snapshot):
        closed = {source: until for source, until in record["closed"].items() if until > now_ms}
        if not (record["failures"] or closed or record["slowed_rate"]):
            forgotten.append(name)
            continue
        site = sites.open(name, record["destinations"])
        site.down_until_ms = record["down_until_ms"]
        site.failures = record["failures"]
        site.closed = closed
        site.slowed_rate = record["slowed_rate"]
        site.slowed_until_ms = record["slowed_until_ms"]
        site.limit = record["limit"]
        site.last_error = record["last_error"]
        site.nudged_ms = record.get("nudged_ms", 0)
    return forgotten


def nudged(sites: Sites, snapshot: Snapshot) -> list[Site]:
    """Open the sites that an administrator wants tried now; return them."""
    found = []
    for site in sites:
        value = snapshot.get((SITE, site.name))
        # Few were ever nudged, and there may be thousands.
        if value is None or b"nudged_ms" not in value:
            continue
        nudged_ms = decode(value).get("nudged_ms", 0)
        if nudged_ms > site.nudged_ms:
            site.nudge(nudged_ms)
            found.append(site)
    return found


def lines(snapshot: Snapshot, *, after: Line | None, limit: int) -> list[Line]:
    """Return lanes that stand in the lines of sites, in order, at most *limit* behind *after*."""
    found: list[Line] = []
    while len(found) < limit:
        # Past everything that a lane has in a line, without reading it.
        start = (LINE,) if after is None else (LINE, after.site, after.lane + "\0")
        key = next((key for key, _ in snapshot.scan(start, (LINE, BEHIND), limit=1)), None)
        if key is None:
            break
        after = Line(cast(str, key[1]), cast(str, key[2]))
        found.append(after)
    return found
