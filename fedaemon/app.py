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
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from fedaemon import delivery_setup as setup
from fedaemon.accounts.authenticator import Authenticator
from fedaemon.accounts.lockout import Lockout
from fedaemon.accounts.revocation import Revocation
from fedaemon.accounts.sasl import MECHANISMS
from fedaemon.config import BadSettings, Listener, Settings, read_settings
from fedaemon.delivery.capture import CaptureFinder, CaptureTransport
from fedaemon.delivery.hooks.client import HookClient
from fedaemon.delivery.hooks.lane import HookLane
from fedaemon.delivery.manager import DeliveryManager, wall_clock_ms
from fedaemon.delivery.mx import HostFinder
from fedaemon.delivery.remote import Finder
from fedaemon.delivery.retention import Retention
from fedaemon.delivery.routes import match
from fedaemon.delivery.sites.registry import Sites
from fedaemon.delivery.tls_policy.finder import Policies, PolicyFinder
from fedaemon.delivery.tls_policy.results import TlsResults, policy_type
from fedaemon.delivery.tls_policy.sts import NoPolicies, StsPolicies
from fedaemon.delivery.transport import Transport
from fedaemon.errors import MailError
from fedaemon.imap.protocol import ImapFactory
from fedaemon.imap.service import ImapService
from fedaemon.mailauth.signer import Signer
from fedaemon.mailbox.live import LiveMailboxes
from fedaemon.mailbox.shaping import Shaper
from fedaemon.mailbox.upkeep import Upkeep, UpkeepSettings
from fedaemon.message.address import Address, parse_address
from fedaemon.net import systemd
from fedaemon.net.https import HttpsClient
from fedaemon.net.listeners import CannotListen, Listeners, open_listeners
from fedaemon.net.resolver import Mx, Resolver
from fedaemon.net.sessions import Sessions
from fedaemon.net.threads import WorkerThreads
from fedaemon.net.tls import BadCertificate, ClientTls, ServerTls
from fedaemon.pop3.protocol import Pop3Factory
from fedaemon.pop3.service import Pop3Service
from fedaemon.smtp.engine_settings import EngineSettings
from fedaemon.smtp.protocol import SmtpFactory, SmtpService
from fedaemon.smtp.session_result import SessionResult
from fedaemon.smtp.transport import SmtpTransport
from fedaemon.store.async_store import AsyncStore
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.spool import Spool
from fedaemon.submission.intake import Intake, never_refuses
from fedaemon.submission.policy import MxPolicy, Policy, Rules, SubmissionPolicy

DRAIN_S = 15.0
"""How long sessions may go on with the transaction they are in when the server stops."""
HASH_THREADS = max(2, (os.cpu_count() or 2) // 2)
"""A password hash takes 70 ms of a processor: half of them at most, so that mail goes on meanwhile."""
FILE_THREADS = 4
"""For large messages, which are files: enough that one slow fsync does not hold up the others."""
NULL_MX_PATIENCE_S = 5.0
"""How long a client waits at RCPT for DNS; a domain about which nothing is known by then is taken."""

IMAP_IDLE_S = 1860.0
"""RFC 9051 5.4: a session may be idle for at least half an hour."""
POP3_IDLE_S = 600.0
"""RFC 1939 3: a session may be idle for at least ten minutes."""
TRUST_AD = {"auto": None, "yes": True, "no": False}

FACTORIES: dict[str, type[SmtpFactory | Pop3Factory | ImapFactory]] = {
    "imap": ImapFactory,
    "pop3": Pop3Factory,
}
"""The services that do not speak SMTP."""

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
        self._server_tls = _server_tls(settings)
        self._client_tls = ClientTls(settings.delivery.ca_file)
        self._factories: dict[Listener, SmtpFactory | Pop3Factory | ImapFactory] = {}
        self._listening: dict[Listener, Listeners] = {}
        self._watchdog: LoopingCall | None = None

    # -- start

    def privilegedStartService(self) -> None:  # noqa: N802
        """Open the listening sockets; nothing is accepted before the reactor runs."""
        for listener in self.settings.listeners:
            self._listen(listener)

    def _listen(self, listener: Listener) -> None:
        factory = FACTORIES.get(listener.service, SmtpFactory)()
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
        self.tls_results.start()
        self.retention.start()
        self.hooks.start()
        self.delivery.start()
        self.upkeep.start()
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
        log.info("ready: {status}", status=self._status())
        if self._on_ready is not None:
            self._on_ready()

    def _status(self) -> str:
        places = [
            f"{listener.service} {address} port {port}"
            for listener, opened in self._listening.items()
            for address, port in opened.ports()
        ]
        return f"{self.settings.server.hostname} listens on " + ", ".join(places)

    # -- the parts

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
        looked.addErrback(lambda failure: log.failure("cannot look for changed mailboxes", failure))

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
        limits = self.settings.limits
        rules = Rules(
            hostname=self.settings.server.hostname,
            max_received=limits.max_received,
            header_octets=limits.header_size,
            daily_messages_per_account=limits.daily_messages_per_account,
            daily_messages_per_domain=limits.daily_messages_per_domain,
            show_client=self.settings.submission.show_client,
            postmaster=_address(self.settings.server.postmaster),
            max_hold_s=limits.max_hold_s,
            quota_octets=self.settings.mailboxes.quota or None,
        )
        policies: dict[str, Policy] = {"submission": SubmissionPolicy(rules), "mx": MxPolicy(rules)}
        intakes = {name: self._intake(policy) for name, policy in policies.items()}
        for listener, factory in self._factories.items():
            if isinstance(factory, Pop3Factory):
                factory.service = self._pop3_service(listener)
            elif isinstance(factory, ImapFactory):
                factory.service = self._imap_service(listener)
            else:
                factory.service = self._service(listener, intakes[listener.service])

    def _intake(self, policy: Policy) -> Intake:
        return Intake(
            self.store,
            self.store.blobs,
            policy,
            new_spool=self._new_spool,
            check_space=self.engine.check_space,
            clock=time.time,
            wake=self.delivery.wake,
            refuses_mail=self._null_mx() if policy.service == "submission" else never_refuses,
        )

    def _service(self, listener: Listener, intake: Intake) -> SmtpService:
        limits = self.settings.limits
        submission = listener.service == "submission"
        has_tls = listener.tls != "none"
        engine = EngineSettings(
            hostname=self.settings.server.hostname,
            max_message_size=limits.max_message_size,
            max_recipients=limits.max_recipients,
            tls_available=listener.tls == "starttls",
            auth_mechanisms=tuple(MECHANISMS) if submission and has_tls else (),
            require_auth=submission,
            require_tls=submission,
            bare_lf="normalise" if listener.bare_lf == "normalise" else "refuse",
            errors_per_session=limits.errors_per_session,
        )
        return SmtpService(
            engine=engine,
            intake=intake,
            sessions=self.sessions,
            tls=self._server_tls if has_tls else None,
            authenticator=self.authenticator if submission else None,
            implicit_tls=listener.tls == "implicit",
            proxy_protocol=listener.proxy_protocol,
            trusted_networks=listener.trusted_networks,
            idle_timeout_s=limits.idle_timeout_s,
            content_timeout_s=limits.data_timeout_s,
        )

    def _pop3_service(self, listener: Listener) -> Pop3Service:
        limits = self.settings.limits
        return Pop3Service(
            store=self.store,
            blobs=self.store.blobs,
            authenticator=self.authenticator,
            sessions=self.sessions,
            clock=self._reactor,
            tls=self._server_tls if listener.tls != "none" else None,
            hostname=self.settings.server.hostname,
            undelete_s=self.settings.mailboxes.undelete_s,
            implicit_tls=listener.tls == "implicit",
            proxy_protocol=listener.proxy_protocol,
            idle_timeout_s=max(POP3_IDLE_S, limits.idle_timeout_s),
            errors_per_session=limits.errors_per_session,
        )

    def _imap_service(self, listener: Listener) -> ImapService:
        limits, kept = self.settings.limits, self.settings.mailboxes
        return ImapService(
            store=self.store,
            blobs=self.store.blobs,
            live=self.live,
            authenticator=self.authenticator,
            sessions=self.sessions,
            shaper=self.shaper,
            clock=self._reactor,
            now_s=time.time,
            new_spool=self._new_spool,
            check_space=self.engine.check_space,
            run_in_thread=self._file_thread,
            tls=self._server_tls if listener.tls != "none" else None,
            hostname=self.settings.server.hostname,
            implicit_tls=listener.tls == "implicit",
            proxy_protocol=listener.proxy_protocol,
            idle_timeout_s=max(IMAP_IDLE_S, limits.idle_timeout_s),
            errors_per_session=limits.errors_per_session,
            max_message_octets=limits.max_message_size,
            undelete_s=kept.undelete_s,
            quota_octets=kept.quota or None,
        )

    def _new_spool(self) -> Spool:
        return Spool(self.engine.layout.spool, self._file_thread, faults=self.engine.faults)

    def _null_mx(self) -> Callable[[str], Deferred[bool]]:
        """Return the question whether a domain says that it takes no mail (RFC 7505)."""
        if self.settings.delivery.capture is not None:
            return never_refuses
        routes = setup.routes(self.settings)

        def ask(domain: str) -> Deferred[bool]:
            if domain.startswith("[") or match(routes, domain) is not None:
                return succeed(False)
            asked: Deferred[list[Mx]] = self.resolver.mx(domain)
            answer: Deferred[bool] = asked.addCallback(_is_null)
            # Whatever DNS cannot say now, delivery will find out in its time.
            answer.addErrback(lambda failure: False)
            return answer.addTimeout(NULL_MX_PATIENCE_S, self._reactor, lambda result, timeout: False)

        return ask

    def _file_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return self._filers.run(function, *arguments)

    # -- reload

    def reload(self) -> None:
        """Read settings and certificates again; on any error everything stays as it is."""
        systemd.reloading()
        try:
            self._apply(read_settings(self.settings.source))
            log.info("settings and certificates were read again")
        except (BadSettings, BadCertificate, CannotListen, MailError) as error:
            log.warn("nothing was changed: {error}", error=error)
        systemd.ready(self._status())

    def _apply(self, new: Settings) -> None:
        old = self.settings
        if new.server.data_dir != old.server.data_dir or new.dns != old.dns:
            log.warn("server.data_dir and [dns] take effect at the next start")
            server = replace(new.server, data_dir=old.server.data_dir)
            new = replace(new, server=server, dns=old.dns)
        # What can fail comes first: certificates, then new sockets.
        tls = _server_tls(new)
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
        self.hooks.schedule = rules.schedule
        self.upkeep.settings = _upkeep_settings(new)
        self.delivery.configure(rules, self._finder())
        self._install_services()

    def _take_over(self, listener: Listener) -> bool:
        """Let *listener* have the open socket of one at the same place whose other settings changed."""
        place = (listener.address, listener.port)
        for known in list(self._listening):
            # Another service needs another factory; its own socket then finds the place taken.
            if (known.address, known.port) == place and _speaks(known) == _speaks(listener):
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
        log.info("stopped")


def _server_tls(settings: Settings) -> ServerTls | None:
    if settings.tls is None:
        return None
    sites = [(site.certificate, site.private_key) for site in settings.tls.sites]
    return ServerTls(settings.tls.certificate, settings.tls.private_key, sites)


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


def _speaks(listener: Listener) -> str:
    return FACTORIES.get(listener.service, SmtpFactory).__name__


def _address(text: str | None) -> Address | None:
    return None if text is None else parse_address(text)


def _is_null(records: list[Mx]) -> bool:
    """True for the null MX: one record whose exchange is the root."""
    return bool(records) and all(mx.host in ("", ".") for mx in records)
