"""Which page answers which path, for everybody (``PublicSite``) and on the status socket (``StatusSite``).

Standards: RFC 9110 9.3 (GET, HEAD, POST), 15.5.6 (405).
Invariants: /metrics is for the networks of the settings, and never for what another web server passed on, whose
own address says nothing of who asks; strangers hear of /healthz only whether all is well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred

from fedaemon.net.addresses import Network, in_networks
from fedaemon.web import acme, apple, autoconfig, autodiscover, mta_sts
from fedaemon.web.exchange import Answer, Asked, as_json, plain
from fedaemon.web.front_page import front_page
from fedaemon.web.monitor import Monitor
from fedaemon.web.offer import Hosted, Offer

Page = Callable[[Asked], Awaitable[Answer]]

READING: Final = ("GET", "HEAD")
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
NOT_FOUND: Final = "there is nothing here"


@dataclass(frozen=True, slots=True)
class Entry:
    """A page and the methods that it answers."""

    page: Page
    methods: tuple[str, ...] = READING


async def respond(entry: Entry | None, asked: Asked) -> Answer:
    """Let a page answer, or say why not."""
    if entry is None:
        return plain(404, NOT_FOUND)
    if asked.method not in entry.methods:
        return plain(405, f"only {', '.join(entry.methods)}", Allow=", ".join(entry.methods))
    return await entry.page(asked)


@dataclass(frozen=True, slots=True)
class PublicSite:
    """What a listener shows.

    *sts_mode* is the mode of MTA-STS policies; *webroot* has the challenges of an authority; *metrics_networks*
    may read numbers; *run_in_thread* runs a blocking function elsewhere.
    """

    offer: Offer
    hosted: Hosted
    monitor: Monitor
    run_in_thread: Callable[..., Deferred[Any]]
    sts_mode: str = "none"
    webroot: Path | None = None
    metrics_networks: tuple[Network, ...] = ()

    async def answer(self, asked: Asked) -> Answer:
        """Return the answer to a request."""
        return await respond(self._entry(asked.path), asked)

    def _entry(self, path: str) -> Entry | None:
        entry = self._fixed().get(path)
        if entry is None and path.startswith(acme.PREFIX):
            entry = Entry(lambda asked: acme.challenge(asked, self.webroot, self.run_in_thread))
        # Outlook and its kin write the path in several cases.
        folded = path.lower()
        if folded == autodiscover.XML_PATH:
            entry = Entry(self._with_offer(autodiscover.xml), (*READING, "POST"))
        elif folded == autodiscover.JSON_PATH or folded.startswith(f"{autodiscover.JSON_PATH}/v1.0/"):
            entry = Entry(self._with_offer(autodiscover.json))
        return entry

    def _fixed(self) -> dict[str, Entry]:
        settings = Entry(self._with_offer(autoconfig.autoconfig))
        return {
            "/": Entry(lambda asked: front_page(asked, self.offer)),
            **dict.fromkeys(autoconfig.PATHS, settings),
            apple.PATH: Entry(self._with_offer(apple.mobileconfig)),
            mta_sts.PATH: Entry(lambda asked: mta_sts.policy(asked, self.offer, self.hosted, self.sts_mode)),
            "/metrics": Entry(self._metrics),
            "/healthz": Entry(self._health),
        }

    def _with_offer(self, page: Callable[[Asked, Offer, Hosted], Awaitable[Answer]]) -> Page:
        return lambda asked: page(asked, self.offer, self.hosted)

    def _knows(self, asked: Asked) -> bool:
        return not asked.forwarded and in_networks(asked.address, self.metrics_networks)

    async def _metrics(self, asked: Asked) -> Answer:
        if not self._knows(asked):
            return plain(403, "".join(_how_to_read(asked)))
        return metrics(self.monitor)

    async def _health(self, asked: Asked) -> Answer:
        reasons = self.monitor.unwell()
        state: dict[str, Any] = {"status": "failing" if reasons else "ok"}
        if self._knows(asked):
            state["paused"] = self.monitor.delivery.paused
            state["reasons"] = reasons
        return as_json(state, 503 if reasons else 200)


def _how_to_read(asked: Asked) -> Iterator[str]:
    yield "numbers are shown to hosts in metrics_networks of [http] alone"
    if asked.forwarded:
        yield ", and to none through another web server: ask this server's own port"


@dataclass(frozen=True, slots=True)
class StatusSite:
    """What the status socket shows: to fedaemonctl, which may read the data directory anyway."""

    monitor: Monitor

    async def answer(self, asked: Asked) -> Answer:
        """Return the answer to a request."""
        pages = {"/status": Entry(self._status), "/metrics": Entry(self._metrics)}
        return await respond(pages.get(asked.path), asked)

    async def _status(self, asked: Asked) -> Answer:
        return as_json(self.monitor.status())

    async def _metrics(self, asked: Asked) -> Answer:
        return metrics(self.monitor)


def metrics(monitor: Monitor) -> Answer:
    """Return all numbers."""
    return Answer(200, monitor.metrics().encode(), METRICS_TYPE)
