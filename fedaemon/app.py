"""The composition root: the one place where settings become objects that know each other.

Order matters here and nowhere else. At the start: listening sockets (they may need a privilege), store,
delivery, then the services behind the sockets, then the word to the service manager. At the stop the other
way round, each step bounded: no new connections, sessions end after the transaction they are in, attempts
end, the store commits what waits.

Invariants: either everything is up or the start fails with one clear line; HUP changes everything that can
change without dropping a connection, or nothing.
Limits: ``DRAIN_S`` for sessions at the stop.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from fedaemon import delivery_setup as setup
from fedaemon.accounts.authenticator import Authenticator
from fedaemon.accounts.lockout import Lockout
from fedaemon.accounts.revocation import Revocation
from fedaemon.config import BadSettings, Listener, Settings, read_settings
from fedaemon.delivery.capture import CaptureFinder, CaptureTransport
from fedaemon.delivery.hooks.client import HookClient
from fedaemon.delivery.hooks.lane import HookLane
from fedaemon.delivery.manager import DeliveryManager, wall_clock_ms
from fedaemon.delivery.mx import HostFinder
from fedaemon.delivery.remote import Finder
from fedaemon.delivery.retention import Retention
from fedaemon.delivery.sites.registry import Sites
from fedaemon.delivery.tls_policy.finder import Policies, PolicyFinder
from fedaemon.delivery.tls_policy.results import TlsResults, policy_type
from fedaemon.delivery.tls_policy.sts import NoPolicies, StsPolicies
from fedaemon.delivery.transport import Transport
from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.logs.recent import Recent
from fedaemon.mailauth.signer import Signer
from fedaemon.mailbox.live import LiveMailboxes
from fedaemon.mailbox.shaping import Shaper
from fedaemon.mailbox.upkeep import Upkeep, UpkeepSettings
from fedaemon.net import systemd
from fedaemon.net.https import HttpsClient
from fedaemon.net.listeners import CannotListen, Listeners, open_listeners
from fedaemon.net.resolver import Resolver
from fedaemon.net.sessions import Sessions
from fedaemon.net.threads import WorkerThreads
from fedaemon.net.tls import BadCertificate, ClientTls
from fedaemon.services_setup import Factory, Parts, Services, factory_class
from fedaemon.smtp.session_result import SessionResult
from fedaemon.smtp.transport import SmtpTransport
from fedaemon.store.async_store import AsyncStore
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.tls_setup import server_tls
from fedaemon.web.monitor import Monitor, Open
from fedaemon.web.site import StatusSite
from fedaemon.web.status_socket import open_status_socket

DRAIN_S = 15.0
"""How long sessions may go on with the transaction they are in when the server stops."""
HASH_THREADS = max(2, (os.cpu_count() or 2) // 2)
"""A password hash takes 70 ms of a processor: half of them at most, so that mail goes on meanwhile."""
FILE_THREADS = 4
"""For large messages, which are files: enough that one slow fsync does not hold up the others."""

TRUST_AD = {"auto": None, "yes": True, "no": False}

log = Logger()


class Fedaemon(Service):  # type: ignore[misc,unused-ignore]
    """The whole service.

    :param settings: what to run with; ``settings.source`` is read again at HUP.
    :param reactor: the reactor.
    :param on_ready: called once all listeners are up.
    :raises BadCertificate: a certificate or key cannot be used.
    """

    def __init__(self, settings: Settings, reactor: Any, on_ready: Callable[[], None] | None = None) -> None:
        self.settings = settings
        self._reactor = reactor
        self._on_ready = on_ready
        self._server_tls = server_tls(settings)
        self._client_tls = ClientTls(settings.delivery.ca_file)
        self._factories: dict[Listener, Factory] = {}
        self._listening: dict[Listener, Listeners] = {}
        self._watchdog: LoopingCall | None = None
        self.recent = Recent()

    # -- start

    def privilegedStartService(self) -> None:  # noqa: N802
        """Open the listening sockets; nothing is accepted before the reactor runs."""
        self.recent.begin()
        for listener in self.settings.listeners:
            self._listen(listener)

    def _listen(self, listener: Listener) -> None:
        factory = factory_class(listener)()
        self._listening[listener] = open_listeners(self._reactor, [listener], [factory])
        self._factories[listener] = factory

    def startService(self) -> None:  # noqa: N802
        """Open the store and put the services behind the sockets."""
        super().startService()  # type: ignore[no-untyped-call,unused-ignore]
        settings, reactor = self.settings, self._reactor
        limits = settings.limits
        self.engine = LmdbEngine.open(settings.server.data_dir, reserve_octets=limits.disk_reserve)
        self._filers = WorkerThreads(reactor, FILE_THREADS, "writing files")
        self.store = AsyncStore(self.engine, reactor, self._file_thread)
        self.store.start()
        self.resolver = Resolver(reactor, settings.dns.nameservers, trust_ad=TRUST_AD[settings.dns.trust_ad])
        self._hashers = WorkerThreads(reactor, HASH_THREADS, "password hashing")
        self.sessions = _sessions(settings, reactor)
        self.sessions.start()
        self.authenticator = self._authenticator()
        self.retention = Retention(
            self.store,
            self.store.blobs,
            reactor,
            wall_clock_ms,
            retention_ms=settings.delivery.retention_s * 1000,
            history_ms=settings.delivery.history_s * 1000,
        )
        rules = setup.rules(settings)
        self.tls_results = TlsResults(self.store, reactor, wall_clock_ms)
        self.hook_client = HookClient(reactor)
        self.hooks = HookLane(
            self.store, reactor, wall_clock_ms, schedule=rules.schedule, send=self.hook_client.send
        )
        self.shaper = Shaper(self._file_thread)
        self.transport = self._transport()
        self.delivery = DeliveryManager(
            self.store,
            self.store.blobs,
            reactor,
            rules=rules,
            finder=self._finder(),
            transport=self.transport,
            shaper=self.shaper,
            signer=Signer(self.store, self._file_thread, time.time),
            message_finished=self.retention.message_finished,
            noted=self.hooks.wake,
            sites=Sites(wall_clock_ms, attempts=settings.delivery.connections),
        )
        self.live = LiveMailboxes()
        self.revocation = Revocation(self.store, self.sessions, reactor)
        self.upkeep = Upkeep(
            self.store, self.store.blobs, reactor, time.time, self._file_thread, _upkeep_settings(settings)
        )
        self.store.on_commit(self.live.changed)
        self.store.on_commit(self.upkeep.changed)
        self.store.on_foreign_commit(self.upkeep.foreign_commit)
        self.store.on_foreign_commit(self._mailboxes_changed)
        self.store.on_foreign_commit(self.revocation.look)
        self.store.on_foreign_commit(self.delivery.foreign_commit)
        self.store.on_foreign_commit(self.hooks.wake)
        self.monitor = self._monitor()
        self.tls_results.start()
        self.retention.start()
        self.hooks.start()
        self.delivery.start()
        self.upkeep.start()
        self.monitor.start()
        self._status_socket = open_status_socket(reactor, settings.server.data_dir, StatusSite(self.monitor))
        self._install_services()
        reactor.callWhenRunning(self._ready)

    def _ready(self) -> None:
        reactor = self._reactor
        signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(self.reload))
        # Twisted's own handler would have twistd end by the signal; an orderly stop is a success: exit code 0.
        signal.signal(signal.SIGTERM, lambda number, frame: reactor.callFromThread(reactor.stop))
        systemd.ready(self._status())
        interval_s = systemd.watchdog_interval_s()
        if interval_s is not None:
            self._watchdog = LoopingCall(systemd.notify, "WATCHDOG=1")
            self._watchdog.clock = self._reactor
            self._watchdog.start(interval_s)
        # What is there now stays for good: no collection needs to look at it, each the shorter for that.
        gc.collect()
        gc.freeze()
        log.info("mail is taken and delivered", event="ready", status=self._status())
        if self._on_ready is not None:
            self._on_ready()

    def _status(self) -> str:
        places = [
            f"{listener.service} {address} port {port}"
            for listener, opened in self._listening.items()
            for address, port in opened.ports()
        ]
        return f"{self.settings.server.hostname} listens on " + ", ".join(places)

    def _open(self) -> list[Open]:
        """Return what listens, as ``fedaemonctl status`` shows it."""
        return [
            Open(listener.service, address, port, listener.tls, opened.accepting())
            for listener, opened in self._listening.items()
            for address, port in opened.ports()
        ]

    # -- the parts

    def _monitor(self) -> Monitor:
        return Monitor(
            self._reactor,
            wall_clock_ms,
            self.store,
            sessions=self.sessions,
            delivery=self.delivery,
            problems=self.recent,
            listeners=self._open,
            tls=lambda: self._server_tls,
            hostname=self.settings.server.hostname,
        )

    def _authenticator(self) -> Authenticator:
        lockout = Lockout(self._reactor.seconds, self.settings.limits.login_failures_per_hour)
        return Authenticator(self.store, self._hashers.run, self._reactor, lockout, threads=HASH_THREADS)

    def _transport(self) -> Transport:
        settings = self.settings
        if settings.delivery.capture is not None:
            account = settings.delivery.capture
            return CaptureTransport(self.store, self.store.blobs, self.shaper, account, wall_clock_ms)
        return SmtpTransport(
            self._reactor, settings.server.hostname, self._client_tls, on_session=self._count_session
        )

    def _count_session(self, session: SessionResult) -> None:
        """Count how TLS went with another server."""
        kind = policy_type(session.policy)
        if kind is not None:
            self.tls_results.record(session.domain, kind, session.host, session.succeeded, session.failure)

    def _mailboxes_changed(self) -> None:
        """Another process has changed something, perhaps in a mailbox that is open."""
        looked = self.store.read(self.live.foreign_commit)
        looked.addErrback(
            lambda failure: log.failure("changed mailboxes not looked for", failure, event="defect")
        )

    def _finder(self) -> Finder:
        settings = self.settings
        if settings.delivery.capture is not None:
            return CaptureFinder()
        return HostFinder(
            self.resolver,
            names=(settings.server.hostname,),
            routes=setup.routes(settings),
            port=settings.delivery.mx_port,
            seconds=self._reactor.seconds,
            policies=PolicyFinder(
                self.resolver,
                self._sts_policies(),
                overrides=setup.tls_policies(settings),
                record=self.tls_results.record,
            ),
        )

    def _sts_policies(self) -> Policies:
        delivery = self.settings.delivery
        if not delivery.mta_sts:
            return NoPolicies()
        https = HttpsClient(
            self._reactor,
            self.resolver,
            lambda host: self._client_tls.creator(host, verify=True),
            port=delivery.mta_sts_port,
        )
        return StsPolicies(self.resolver, https, self.store, wall_clock_ms)

    def _install_services(self) -> None:
        """Give every listener its service; connections that exist keep the one they have."""
        parts = Parts(
            reactor=self._reactor,
            store=self.store,
            engine=self.engine,
            authenticator=self.authenticator,
            sessions=self.sessions,
            resolver=self.resolver,
            shaper=self.shaper,
            live=self.live,
            tls=self._server_tls,
            monitor=self.monitor,
            wake=self.delivery.wake,
            run_in_thread=self._file_thread,
        )
        Services(self.settings, parts).install(self._factories)

    def _file_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return self._filers.run(function, *arguments)

    # -- reload

    def reload(self) -> None:
        """Read settings and certificates again; on any error everything stays as it is."""
        systemd.reloading()
        try:
            self._apply(read_settings(self.settings.source))
            log.info("settings and certificates were read again", event="reloaded")
        except (BadSettings, BadCertificate, CannotListen, MailError) as error:
            log.warn("nothing was changed", event="reload-failed", reason=str(error))
        systemd.ready(self._status())

    def _apply(self, new: Settings) -> None:
        old = self.settings
        if new.server.data_dir != old.server.data_dir or new.dns != old.dns:
            log.warn("server.data_dir and [dns] are read at the start only", event="restart-needed")
            server = replace(new.server, data_dir=old.server.data_dir)
            new = replace(new, server=server, dns=old.dns)
        # What can fail comes first: certificates, then new sockets.
        tls = server_tls(new)
        rules = setup.rules(new)
        for listener in new.listeners:
            if listener not in self._listening and not self._take_over(listener):
                self._listen(listener)
        for listener in [gone for gone in self._listening if gone not in new.listeners]:
            self._listening.pop(listener).stop_accepting()
            del self._factories[listener]
        self.settings = new
        self._server_tls = tls
        limits = new.limits
        self.sessions.configure(
            total=limits.sessions,
            per_address=limits.sessions_per_address,
            per_account=limits.sessions_per_account,
        )
        self.engine.space.reserve_octets = limits.disk_reserve
        if limits.login_failures_per_hour != old.limits.login_failures_per_hour:
            # Counters of failed logins begin anew only when the limit itself is another.
            self.authenticator = self._authenticator()
        self.retention.configure(new.delivery.retention_s * 1000, new.delivery.history_s * 1000)
        self.monitor.hostname = new.server.hostname
        self.hooks.schedule = rules.schedule
        self.upkeep.settings = _upkeep_settings(new)
        self.delivery.configure(rules, self._finder())
        self._install_services()

    def _take_over(self, listener: Listener) -> bool:
        """Let *listener* have the open socket of one at the same place whose other settings changed."""
        place = (listener.address, listener.port)
        for known in list(self._listening):
            # Another service needs another factory; its own socket then finds the place taken.
            if (known.address, known.port) == place and factory_class(known) is factory_class(listener):
                self._listening[listener] = self._listening.pop(known)
                self._factories[listener] = self._factories.pop(known)
                return True
        return False

    # -- stop

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Drain; fires when everything is durable and closed."""
        super().stopService()  # type: ignore[no-untyped-call,unused-ignore]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        systemd.stopping()
        if self._watchdog is not None:
            # A stop that hangs is ended by the service manager's own time-out.
            self._watchdog.stop()
        for opened in self._listening.values():
            await opened.stop_accepting()
        if not hasattr(self, "store"):
            return
        self.monitor.stop()
        if self._status_socket is not None:
            await self._status_socket.stop()
        self.revocation.stop()
        await self.sessions.stop(DRAIN_S)
        await self.delivery.stop()
        await self.transport.close()
        await self.hooks.stop()
        await self.hook_client.close()
        await self.tls_results.stop()
        await self.retention.stop()
        await self.upkeep.stop()
        await self.store.stop()
        self.resolver.stop()
        self._hashers.stop()
        self._filers.stop()
        self.engine.close()
        log.info("everything is written and closed", event="stopped")
        self.recent.end()


def _sessions(settings: Settings, reactor: Any) -> Sessions:
    limits = settings.limits
    return Sessions(
        reactor,
        total=limits.sessions,
        per_address=limits.sessions_per_address,
        per_account=limits.sessions_per_account,
    )


def _upkeep_settings(settings: Settings) -> UpkeepSettings:
    kept = settings.mailboxes
    return UpkeepSettings(kept.undelete_s, kept.empty_trash_s or None, kept.empty_junk_s or None)
