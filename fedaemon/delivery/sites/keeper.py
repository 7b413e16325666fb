"""Keeps the sites in memory and what the store knows of them together.

Into the store go the sites that changed, a few at a time; out of it come, at the start, the sites that were
not well and the lines that wait, and, whenever another process has written, what the administrator paused and
what he wants tried now.

Invariants: that a site has closed is written before the outcome that closed it, so that whoever sees the one
can open the other.
Limits: ``INTERVAL_S`` between two writings of what is less urgent; ``MAX_WRITTEN`` sites in each;
``LINES_SLICE`` lines are read in one turn of the reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from fedaemon import counters
from fedaemon.delivery import pauses
from fedaemon.delivery.claiming import Line
from fedaemon.delivery.sites.registry import Sites
from fedaemon.delivery.sites.site import Site
from fedaemon.delivery.sites.site_records import (
    MAX_WRITTEN,
    forget_sites,
    lines,
    nudged,
    restore,
    site_record,
    write_sites,
)
from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.store.interface import Store
from fedaemon.store.turns import Alarm, in_background

INTERVAL_S: Final = 2.0
SWEEP_S: Final = 60.0
LINES_SLICE: Final = 500

_log = Logger()


class SiteKeeper:
    """Reads and writes what the store knows of *sites*."""

    def __init__(self, store: Store, clock: Any, now_ms: Callable[[], int], sites: Sites) -> None:
        self._store = store
        self._now_ms = now_ms
        self._sites = sites
        self._alarm = Alarm(clock, now_ms, self._wake)
        self._swept_ms = now_ms()
        self._running = False

    async def start(self) -> None:
        """Bring back what is not to be forgotten; then keep it."""
        now_ms = self._now_ms()
        gone = await self._store.read(partial(restore, self._sites, now_ms=now_ms))
        if gone:
            await self._store.write(partial(forget_sites, names=gone))
        after: Line | None = None
        while True:
            found = await self._store.read(partial(lines, after=after, limit=LINES_SLICE))
            self._sites.parked(found)
            if len(found) < LINES_SLICE:
                break
            after = found[-1]
        await self.refresh()
        self._running = True
        self._sites.on_close = self._closed
        self._alarm.set_in(INTERVAL_S)

    async def stop(self) -> None:
        """Write what changed."""
        self._running = False
        self._alarm.cancel()
        await self._keep()

    async def refresh(self) -> None:
        """Another process has written: see what the administrator paused, and what is to be tried now."""
        self._sites.pauses = await self._store.read(pauses.read)
        await self._store.read(partial(nudged, self._sites))

    def _closed(self, site: Site) -> None:
        """*site* has closed: write it down at once."""
        if self._running:
            in_background(self._write([site]), "keeping a site that has closed")

    def _wake(self) -> None:
        in_background(self._turn(), "keeping sites")

    async def _turn(self) -> None:
        try:
            await self._keep()
            if self._now_ms() - self._swept_ms >= SWEEP_S * 1000:
                self._swept_ms = self._now_ms()
                gone = self._sites.sweep(self._swept_ms)
                if gone:
                    await self._store.write(partial(forget_sites, names=gone))
        finally:
            if self._running:
                self._alarm.set_in(INTERVAL_S)

    async def _keep(self) -> None:
        """Write the sites that changed."""
        counters.gauge("attempts_active", self._sites.active)
        counters.gauge("sites", len(self._sites))
        changed = [site for site in self._sites if site.changed][:MAX_WRITTEN]
        if changed:
            await self._write(changed)

    async def _write(self, changed: list[Site]) -> None:
        now_ms = self._now_ms()
        records = [(site.name, site_record(site, now_ms)) for site in changed]
        for site in changed:
            site.changed = False

        try:
            left = await self._store.write(partial(write_sites, records=records))
        except MailError as error:
            for site in changed:
                site.changed = True
            _log.error(
                "what is known of sites waits for the store", event="sites-unwritten", reason=error.text
            )
        else:
            for name in left:
                # fedaemonctl was quicker: its word is heeded first (``refresh``), within a second.
                known = self._sites.get(name)
                if known is not None:
                    known.changed = True
