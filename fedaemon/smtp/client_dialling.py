"""Making a connection that can take messages: dialled, greeted, protected as the policy demands, logged in.

Standards: RFC 5321 3.1, RFC 3207 and RFC 7435 (opportunistic TLS), RFC 7672 2.2, RFC 8461 5, RFC 4954 (AUTH).
Invariants: credentials leave only under TLS or to this machine; where the policy demands TLS no envelope and
no content leaves unprotected; plain text after a failed handshake is tried on a new connection only.
Limits: a server whose TLS did not work is spoken to without it for ``BROKEN_S``, where that is allowed, so
that not every message pays for a handshake in vain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet import error
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure

from fedaemon import counters
from fedaemon.delivery.transport import TlsPolicy
from fedaemon.logs import Logger
from fedaemon.net.tls_client import HANDSHAKE_FAILED, ClientTls
from fedaemon.smtp.client_failure import ConnectionFailed
from fedaemon.smtp.client_protocol import ClientConnection
from fedaemon.smtp.client_reply import printable
from fedaemon.smtp.client_target import Target, is_loopback
from fedaemon.smtp.client_timeouts import Timeouts
from fedaemon.smtp.client_transaction import Answer
from fedaemon.smtp.remembered import Remembered
from fedaemon.smtp.session_result import SessionResult

BROKEN_S: Final = 600.0

UNREACHABLE_S: Final = 120.0
"""An address that could not be reached is tried after all others for this long."""

NO_STARTTLS: Final = "starttls-not-supported"
"""Spec: RFC 8460 4.3.1"""

log = Logger()


class _Dialling(ClientFactory):
    """Brings one connection about (endpoints would write two log lines for each)."""

    noisy = False

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: IAddress | None) -> ClientConnection:  # noqa: N802
        """The connection is there."""
        return self._connection

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:  # noqa: N802
        """There will be none."""
        self._connection.opened.errback(reason)


class Dialler:
    """Opens connections and knows which are open.

    :param hostname: our name in EHLO where no source has one of its own.
    :param on_close: told of each connection that is gone.
    :param on_session: told how TLS went, once for each connection that came so far.
    """

    def __init__(
        self,
        reactor: Any,
        hostname: str,
        tls: ClientTls,
        timeouts: Timeouts,
        on_close: Callable[[ClientConnection], None],
        on_session: Callable[[SessionResult], None] | None,
    ) -> None:
        self.connections: set[ClientConnection] = set()
        """What is open."""
        self._reactor = reactor
        self._hostname = hostname
        self._tls = tls
        self._timeouts = timeouts
        self._on_close = on_close
        self._on_session = on_session
        self._broken: Remembered[str] = Remembered(reactor, BROKEN_S)
        self._unreachable: Remembered[bool] = Remembered(reactor, UNREACHABLE_S)
        self._dialling: set[Any] = set()  # IConnector
        self._stopped = False

    async def open(self, target: Target, domain: str) -> ClientConnection:
        """Return a connection to *target* that can take messages for *domain*; raise ``ConnectionFailed``.

        Where TLS is optional a failed handshake is followed by a connection without it.
        """
        if not target.lenient:
            return await self._open(target, domain, protect=target.tls.level is not TlsPolicy.NONE)
        failure_type = self._broken.get(target.place)
        if failure_type is None:
            try:
                return await self._open(target, domain, protect=True)
            except ConnectionFailed as failure:
                if not _is_of_tls(failure) or self._stopped:
                    raise
                failure_type = failure.tls_failure
                log.info(
                    "TLS failed, going on without",
                    event="tls-given-up",
                    host=target.host,
                    address=target.address,
                    reason=failure.reason.text,
                )
            self._broken.put(target.place, failure_type)
        connection = await self._open(target, domain, protect=False)
        connection.tls_failure = failure_type
        return connection

    def is_unreachable(self, address: str, port: int) -> bool:
        """True when the last attempt to connect there failed, not long ago."""
        return self._unreachable.get((address, port)) is not None

    def stop_falling_back(self) -> None:
        """The server is about to stop: a connection that fails is not followed by another."""
        self._stopped = True

    def abandon(self, text: str) -> None:
        """End everything now; what is under way fails with *text*."""
        for connector in list(self._dialling):
            connector.stopConnecting()
        for connection in list(self.connections):
            connection.abandon(text)

    async def _open(self, target: Target, domain: str, *, protect: bool) -> ClientConnection:
        connection = await self._dial(target)
        try:
            await connection.ready()
            if protect:
                await self._protect(connection, target, domain)
            if target.username is not None:
                await self._log_in(connection, target)
        except BaseException:
            connection.quit()
            raise
        counters.count("connections_opened_total", tls=connection.tls.partition(" ")[0] or "none")
        return connection

    async def _dial(self, target: Target) -> ClientConnection:
        connect_s = self._timeouts.connect_s
        source = target.source
        hostname = self._hostname if source is None else source.hostname
        connection = ClientConnection(target, hostname, self._reactor, self._timeouts, self._closed)
        connector = self._reactor.connectTCP(
            target.address,
            target.port,
            _Dialling(connection),
            timeout=connect_s,
            bindAddress=None if source is None else (source.address, 0),
        )
        self._dialling.add(connector)
        try:
            await connection.opened
        except error.TimeoutError:
            problem = f"timed out after {connect_s:.0f} s"
        except error.ConnectError as failure:
            problem = str(failure.args[0] if failure.args else failure)
            if isinstance(failure, error.ConnectBindError) and source is not None:
                problem = f"the source address {source.address} cannot be used: {problem}"
        else:
            self._unreachable.forget(target.place)
            self.connections.add(connection)
            return connection
        finally:
            self._dialling.discard(connector)
        self._unreachable.put(target.place, True)
        text = printable(f"could not connect to port {target.port}: {problem}")
        raise ConnectionFailed(Answer("connect", 0, "4.4.1", text))

    async def _protect(self, connection: ClientConnection, target: Target, domain: str) -> None:
        """Start TLS as the policy demands."""
        tls = target.tls
        if "STARTTLS" not in connection.capabilities:
            self._tell(target, domain, NO_STARTTLS, "the host does not offer STARTTLS")
            if not target.lenient:
                text = f"TLS is required, and the host does not offer it (policy: {tls.policy})"
                raise ConnectionFailed(Answer("tls", 0, "4.7.4", text), tls_failure=NO_STARTTLS)
            if tls.testing:
                connection.tls_failure = tls.failure or NO_STARTTLS
            return
        dane = tls.level is TlsPolicy.DANE
        creator = self._tls.creator(
            # RFC 7672 8.1: with DANE the server is told the name at which its TLSA records are.
            tls.names[0] if dane and tls.names else target.host,
            verify=tls.level is TlsPolicy.VERIFY and not tls.testing,
            names=tls.names,
            tlsa=tls.tlsa if dane else (),
        )
        try:
            await connection.start_tls(creator)
        except ConnectionFailed as failure:
            if _is_of_tls(failure):
                failure.tls_failure = failure.tls_failure or HANDSHAKE_FAILED
                self._tell(target, domain, failure.tls_failure, failure.reason.text)
                if not target.lenient:
                    failure.name_policy(tls.policy)
            raise
        if tls.testing and tls.problem:
            connection.tls_failure = tls.failure
            self._tell(target, domain, tls.failure, tls.problem)
        elif connection.tls_failure:
            self._tell(target, domain, connection.tls_failure, creator.found)
        else:
            self._tell(target, domain)

    def _tell(self, target: Target, domain: str, failure: str = "", text: str = "") -> None:
        """Tell of a session with *target*, a good one unless there is a *failure*."""
        if self._on_session is not None:
            result = SessionResult(
                domain, target.host, target.address, target.tls.policy, not failure, failure, text
            )
            self._on_session(result)

    async def _log_in(self, connection: ClientConnection, target: Target) -> None:
        """Show the credentials."""
        if not connection.tls and not is_loopback(target.address):
            text = 'the route has credentials, which are only sent under TLS; give it tls = "required"'
            raise ConnectionFailed(Answer("auth", 0, "4.7.0", text))
        await connection.authenticate(target.username or "", target.password or "")

    def _closed(self, connection: ClientConnection) -> None:
        self.connections.discard(connection)
        self._on_close(connection)


def _is_of_tls(failure: ConnectionFailed) -> bool:
    """True when TLS is what failed.

    A server whose TLS is broken may also complete the handshake and then say nothing.
    """
    reason = failure.reason
    return reason.phase == "tls" or (reason.phase == "ehlo" and not reason.code and bool(failure.tls))
