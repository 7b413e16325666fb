"""All that the server says of itself: the gauges that are made when somebody reads /metrics, and the state that
``fedaemonctl status`` shows.

Invariants: reading changes nothing but gauges, takes no turn longer than some milliseconds, and has no I/O besides
asking the system for numbers.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from fedaemon import __version__, counters
from fedaemon.delivery.manager import DeliveryManager
from fedaemon.net.server_connection import ServerConnection
from fedaemon.net.sessions import Sessions
from fedaemon.net.tls import ServerTls
from fedaemon.store.async_store import AsyncStore
from fedaemon.web import process
from fedaemon.web.health import Health
from fedaemon.web.lag import LagMeter
from fedaemon.web.queue_depth import QueueDepth
from fedaemon.web.rates import Rates

PROBLEMS: Final = 20
"""The latest problems that are shown."""


class Problems(Protocol):
    """Keeps what was logged as a warning or worse (``logs.recent.Recent``)."""

    def problems(self) -> list[dict[str, Any]]:
        """Return them, oldest first."""


@dataclass(frozen=True, slots=True)
class Open:
    """An open listener, as it is shown; *port* is the one that the system gave."""

    service: str
    address: str
    port: int
    tls: str
    listening: bool


@dataclass(slots=True)
class Monitor:
    """Reads everything, and has the meters that measure in the background.

    *clock* is the reactor; *now_ms* returns the time in milliseconds since the epoch; *listeners* returns what is
    open; *tls* our certificates, None without any.
    """

    clock: Any
    now_ms: Callable[[], int]
    store: AsyncStore
    sessions: Sessions
    delivery: DeliveryManager
    problems: Problems
    listeners: Callable[[], Sequence[Open]]
    tls: Callable[[], ServerTls | None]
    hostname: str
    lag: LagMeter = field(init=False)
    rates: Rates = field(init=False)
    depth: QueueDepth = field(init=False)

    def __post_init__(self) -> None:
        self.lag = LagMeter(self.clock)
        self.rates = Rates(self.clock)
        self.depth = QueueDepth(self.store, self.clock, self.now_ms)

    def start(self) -> None:
        """Begin to measure."""
        for meter in (self.lag, self.rates, self.depth):
            meter.start()

    def stop(self) -> None:
        """Measure no more."""
        for meter in (self.lag, self.rates, self.depth):
            meter.stop()

    def unwell(self) -> list[str]:
        """Return what is wrong; see ``health``."""
        return Health(self.store, self.lag, self._closed).reasons()

    def _closed(self) -> list[str]:
        return [
            f"{each.service} {each.address} port {each.port}"
            for each in self.listeners()
            if not each.listening
        ]

    # -- numbers

    def metrics(self) -> str:
        """Return all numbers in the text exposition format."""
        process.gauge_process()
        self._gauge_sessions()
        self._gauge_queue()
        self._gauge_store()
        counters.gauge("reactor_lag_max_seconds", round(self.lag.largest_s(), 6))
        counters.gauge("delivery_paused", int(self.delivery.paused))
        counters.gauge("healthy", int(not self.unwell()))
        counters.forget("certificate_expires_seconds")
        tls = self.tls()
        for name, end in tls.expiries if tls is not None else ():
            counters.gauge("certificate_expires_seconds", int(end.timestamp()), certificate=name)
        return counters.text()

    def _gauge_sessions(self) -> None:
        for name in ("sessions", "sessions_logged_in"):
            counters.forget(name)
        for service, tally in self._sessions().items():
            counters.gauge("sessions", tally["open"], service=service)
            counters.gauge("sessions_logged_in", tally["logged_in"], service=service)

    def _gauge_queue(self) -> None:
        depth = self.depth.latest
        if depth is None:
            return
        now_ms = self.now_ms()
        for state, count in depth.recipients.items():
            since_ms = depth.oldest_ms.get(state, now_ms)
            counters.gauge("queue_recipients", count, state=state)
            counters.gauge("queue_oldest_seconds", max(0, (now_ms - since_ms) // 1000), state=state)
        counters.gauge("queue_sample_age_seconds", max(0, (now_ms - depth.at_ms) // 1000))

    def _gauge_store(self) -> None:
        engine = self.store.engine
        counters.gauge("store_bytes", process.file_octets(engine.layout.database))
        counters.gauge("disk_free_bytes", process.free_octets(engine.layout.data_dir))
        counters.gauge("disk_reserve_bytes", engine.space.reserve_octets)

    def _sessions(self) -> dict[str, dict[str, int]]:
        """Return by service how many sessions are open and logged in; a listener's service is named at 0, too."""
        everyone = Counter(map(_service, self.sessions.all()))
        inside = Counter(map(_service, self.sessions.logged_in()))
        names = sorted({each.service for each in self.listeners()} | everyone.keys())
        return {name: {"open": everyone[name], "logged_in": inside[name]} for name in names}

    # -- state

    def status(self) -> dict[str, Any]:
        """Return the state, ready for JSON."""
        unwell = self.unwell()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "hostname": self.hostname,
            "at_ms": self.now_ms(),
            "started_ms": int(process.STARTED_S * 1000),
            "healthy": not unwell,
            "reasons": unwell,
            "listeners": [
                {"service": each.service, "address": each.address, "port": each.port, "tls": each.tls}
                for each in self.listeners()
            ],
            "sessions": self._sessions(),
            "queue": self._queue(),
            "rates": self.rates.summary(),
            "reactor_lag": {
                "latest_ms": round(self.lag.latest_s * 1000, 1),
                "largest_ms": round(self.lag.largest_s() * 1000, 1),
            },
            "store": self._store(),
            "memory_octets": process.resident_octets(),
            "certificates": self._certificates(),
            "paused": self._paused(),
            "problems": self.problems.problems()[-PROBLEMS:],
        }

    def _queue(self) -> dict[str, Any]:
        depth = self.depth.latest
        under_way = {"attempts": self.delivery.attempts_under_way}
        if depth is None:
            return {**under_way, "counted_ms": None, "recipients": {}, "oldest_ms": None}
        return {
            **under_way,
            "counted_ms": depth.at_ms,
            "recipients": depth.recipients,
            "oldest_ms": min(depth.oldest_ms.values(), default=None),
        }

    def _store(self) -> dict[str, Any]:
        engine, latest = self.store.engine, self.store.statistics.latest
        count = len(latest) or 1
        return {
            "octets": process.file_octets(engine.layout.database),
            "free_octets": process.free_octets(engine.layout.data_dir),
            "reserve_octets": engine.space.reserve_octets,
            "commits": self.store.statistics.commits,
            "commit_ms": round(sum(seconds for seconds, _ in latest) / count * 1000, 2),
            "commit_largest_ms": round(max((seconds for seconds, _ in latest), default=0.0) * 1000, 2),
            "batch": round(sum(size for _, size in latest) / count, 1),
        }

    def _certificates(self) -> list[dict[str, Any]]:
        tls = self.tls()
        expiries = tls.expiries if tls is not None else ()
        return [{"name": name, "expires_ms": int(end.timestamp() * 1000)} for name, end in expiries]

    def _paused(self) -> list[dict[str, Any]]:
        pauses = self.delivery.sites.pauses
        found: list[dict[str, Any]] = [
            {"kind": each.kind, "name": each.name, "since_ms": each.since_ms, "why": each.why}
            for each in pauses
        ]
        if self.delivery.paused and pauses.all is None:
            found.insert(
                0, {"kind": "all", "name": "", "since_ms": None, "why": "delivery.paused in the settings"}
            )
        return found


def _service(session: object) -> str:
    return session.service_name if isinstance(session, ServerConnection) else "other"
