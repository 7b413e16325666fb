"""From settings to what answers on each listener.

Limits: the named constants; the rest are settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, succeed

from fedaemon import delivery_setup as setup
from fedaemon.accounts.authenticator import Authenticator
from fedaemon.accounts.directory import get_domain
from fedaemon.accounts.sasl import MECHANISMS
from fedaemon.config import Listener, Settings
from fedaemon.delivery.routes import match
from fedaemon.imap.protocol import ImapFactory
from fedaemon.imap.service import ImapService
from fedaemon.mailbox.live import LiveMailboxes
from fedaemon.mailbox.shaping import Shaper
from fedaemon.message.address import Address, parse_address
from fedaemon.net.resolver import Mx, Resolver
from fedaemon.net.sessions import Sessions
from fedaemon.net.tls import ServerTls
from fedaemon.pop3.protocol import Pop3Factory
from fedaemon.pop3.service import Pop3Service
from fedaemon.smtp.engine_settings import EngineSettings
from fedaemon.smtp.protocol import SmtpFactory, SmtpService
from fedaemon.store.async_store import AsyncStore
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.spool import Spool
from fedaemon.submission.intake import Intake, never_refuses
from fedaemon.submission.policy import MxPolicy, Policy, Rules, SubmissionPolicy
from fedaemon.web.advertised import advertised, https_port
from fedaemon.web.monitor import Monitor
from fedaemon.web.offer import Offer
from fedaemon.web.protocol import HttpFactory, HttpService
from fedaemon.web.site import PublicSite

NULL_MX_PATIENCE_S = 5.0
"""How long a client waits at RCPT for DNS; a domain about which nothing is known by then is taken."""
IMAP_IDLE_S = 1860.0
"""RFC 9051 5.4: a session may be idle for at least half an hour."""
POP3_IDLE_S = 600.0
"""RFC 1939 3: a session may be idle for at least ten minutes."""

Factory = SmtpFactory | Pop3Factory | ImapFactory | HttpFactory

FACTORIES: dict[str, type[Factory]] = {
    "imap": ImapFactory,
    "pop3": Pop3Factory,
    "http": HttpFactory,
}
"""The services that do not speak SMTP."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the services stand on.

    *wake* tells delivery that there is new work; *run_in_thread* runs a blocking function elsewhere.
    """

    reactor: Any
    store: AsyncStore
    engine: LmdbEngine
    authenticator: Authenticator
    sessions: Sessions
    resolver: Resolver
    shaper: Shaper
    live: LiveMailboxes
    tls: ServerTls | None
    monitor: Monitor
    wake: Callable[[], None]
    run_in_thread: Callable[..., Deferred[Any]]


def factory_class(listener: Listener) -> type[Factory]:
    """Return the class of what makes the connections of a listener: its protocol."""
    return FACTORIES.get(listener.service, SmtpFactory)


class Services:
    """Makes the services of *settings*."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts

    def install(self, factories: Mapping[Listener, Factory]) -> None:
        """Give every listener its service; connections that exist keep the one they have."""
        limits = self._settings.limits
        rules = Rules(
            hostname=self._settings.server.hostname,
            max_received=limits.max_received,
            header_octets=limits.header_size,
            daily_messages_per_account=limits.daily_messages_per_account,
            daily_messages_per_domain=limits.daily_messages_per_domain,
            show_client=self._settings.submission.show_client,
            postmaster=_address(self._settings.server.postmaster),
            max_hold_s=limits.max_hold_s,
            quota_octets=self._settings.mailboxes.quota or None,
        )
        policies: dict[str, Policy] = {"submission": SubmissionPolicy(rules), "mx": MxPolicy(rules)}
        intakes = {name: self._intake(policy) for name, policy in policies.items()}
        site = self._site()
        for listener, factory in factories.items():
            if isinstance(factory, HttpFactory):
                factory.service = self._http_service(listener, site)
            elif isinstance(factory, Pop3Factory):
                factory.service = self._pop3_service(listener)
            elif isinstance(factory, ImapFactory):
                factory.service = self._imap_service(listener)
            else:
                factory.service = self._smtp_service(listener, intakes[listener.service])

    def _intake(self, policy: Policy) -> Intake:
        return Intake(
            self._parts.store,
            self._parts.store.blobs,
            policy,
            new_spool=self._new_spool,
            check_space=self._parts.engine.check_space,
            clock=time.time,
            wake=self._parts.wake,
            refuses_mail=self._null_mx() if policy.service == "submission" else never_refuses,
        )

    def _smtp_service(self, listener: Listener, intake: Intake) -> SmtpService:
        limits = self._settings.limits
        submission = listener.service == "submission"
        has_tls = listener.tls != "none"
        engine = EngineSettings(
            hostname=self._settings.server.hostname,
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
            sessions=self._parts.sessions,
            tls=self._parts.tls if has_tls else None,
            authenticator=self._parts.authenticator if submission else None,
            implicit_tls=listener.tls == "implicit",
            proxy_protocol=listener.proxy_protocol,
            trusted_networks=listener.trusted_networks,
            idle_timeout_s=limits.idle_timeout_s,
            content_timeout_s=limits.data_timeout_s,
        )

    def _pop3_service(self, listener: Listener) -> Pop3Service:
        limits = self._settings.limits
        return Pop3Service(
            store=self._parts.store,
            blobs=self._parts.store.blobs,
            authenticator=self._parts.authenticator,
            sessions=self._parts.sessions,
            clock=self._parts.reactor,
            tls=self._parts.tls if listener.tls != "none" else None,
            hostname=self._settings.server.hostname,
            undelete_s=self._settings.mailboxes.undelete_s,
            implicit_tls=listener.tls == "implicit",
            proxy_protocol=listener.proxy_protocol,
            idle_timeout_s=max(POP3_IDLE_S, limits.idle_timeout_s),
            errors_per_session=limits.errors_per_session,
        )

    def _imap_service(self, listener: Listener) -> ImapService:
        limits, kept = self._settings.limits, self._settings.mailboxes
        return ImapService(
            store=self._parts.store,
            blobs=self._parts.store.blobs,
            live=self._parts.live,
            authenticator=self._parts.authenticator,
            sessions=self._parts.sessions,
            shaper=self._parts.shaper,
            clock=self._parts.reactor,
            now_s=time.time,
            new_spool=self._new_spool,
            check_space=self._parts.engine.check_space,
            run_in_thread=self._parts.run_in_thread,
            tls=self._parts.tls if listener.tls != "none" else None,
            hostname=self._settings.server.hostname,
            implicit_tls=listener.tls == "implicit",
            proxy_protocol=listener.proxy_protocol,
            idle_timeout_s=max(IMAP_IDLE_S, limits.idle_timeout_s),
            errors_per_session=limits.errors_per_session,
            max_message_octets=limits.max_message_size,
            undelete_s=kept.undelete_s,
            quota_octets=kept.quota or None,
        )

    def _http_service(self, listener: Listener, site: PublicSite) -> HttpService:
        return HttpService(
            site,
            self._parts.sessions,
            tls=self._parts.tls if listener.tls != "none" else None,
            implicit_tls=listener.tls == "implicit",
            proxy_protocol=listener.proxy_protocol,
        )

    def _site(self) -> PublicSite:
        hostname, listeners = self._settings.server.hostname, self._settings.listeners
        return PublicSite(
            Offer(hostname, advertised(hostname, listeners), https_port(hostname, listeners)),
            self._hosts,
            self._parts.monitor,
            self._parts.run_in_thread,
            sts_mode=self._settings.http.mta_sts,
            webroot=self._settings.http.webroot,
            metrics_networks=self._settings.http.metrics_networks,
        )

    async def _hosts(self, domain: str) -> bool:
        """Tell whether a domain is ours."""
        return await self._parts.store.read(lambda snapshot: get_domain(snapshot, domain)) is not None

    def _new_spool(self) -> Spool:
        return Spool(
            self._parts.engine.layout.spool, self._parts.run_in_thread, faults=self._parts.engine.faults
        )

    def _null_mx(self) -> Callable[[str], Deferred[bool]]:
        """Return the question whether a domain says that it takes no mail (RFC 7505)."""
        if self._settings.delivery.capture is not None:
            return never_refuses
        routes = setup.routes(self._settings)

        def ask(domain: str) -> Deferred[bool]:
            if domain.startswith("[") or match(routes, domain) is not None:
                return succeed(False)
            asked: Deferred[list[Mx]] = self._parts.resolver.mx(domain)
            answer: Deferred[bool] = asked.addCallback(_is_null)
            # Whatever DNS cannot say now, delivery will find out in its time.
            answer.addErrback(lambda failure: False)
            return answer.addTimeout(NULL_MX_PATIENCE_S, self._parts.reactor, lambda result, timeout: False)

        return ask


def _address(text: str | None) -> Address | None:
    return None if text is None else parse_address(text)


def _is_null(records: list[Mx]) -> bool:
    """True for the null MX: one record whose exchange is the root."""
    return bool(records) and all(mx.host in ("", ".") for mx in records)
