"""The transport that carries messages to other servers by SMTP: where attempts run and connections come from.

An attempt (client_attempt) asks for a connection to one address and gets it ready to take messages: greeted,
protected as the policy demands, logged in. What an attempt needs of a connection's making is here and nowhere
else.

Standards: RFC 5321 3.1, RFC 3207 and RFC 7435 (opportunistic TLS), RFC 4954 (AUTH).
Invariants: ``attempt`` never fails; credentials leave only under TLS or to this machine; under ``REQUIRED``
and ``VERIFY`` no envelope and no content leaves unprotected; plain text after a failed handshake is tried on
a new connection only.
Known gaps: every attempt opens connections of its own; no choice of the source address.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from fedaemon.delivery.transport import Attempt, NextHost, Outcome, TlsPolicy
from fedaemon.net.tls import ClientTls
from fedaemon.smtp.client_attempt import AttemptRun
from fedaemon.smtp.client_protocol import ClientConnection, ConnectionFailed, Timeouts
from fedaemon.smtp.client_reply import printable
from fedaemon.smtp.client_transaction import Answer

DRAIN_S = 30.0
"""How long ``close`` lets attempts run on: within what service managers grant before they kill."""

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


class SmtpTransport:
    """Carries messages to other servers (``delivery.transport.Transport``).

    :param reactor: a reactor that can connect by TCP, or a stand-in for it.
    :param hostname: our name in EHLO.
    :param tls: makes the client's side of handshakes.
    :param timeouts: how long to wait for what.
    """

    def __init__(
        self,
        reactor: Any,
        hostname: str,
        tls: ClientTls,
        *,
        timeouts: Timeouts | None = None,
        drain_s: float = DRAIN_S,
    ) -> None:
        self._reactor = reactor
        self._hostname = hostname
        self._tls = tls
        self._timeouts = timeouts or Timeouts()
        self._drain_s = drain_s
        self._running = 0
        self._dialling: set[Any] = set()  # IConnector
        self._connections: set[ClientConnection] = set()
        self._closing = False
        self._drain_timer: Any = None  # IDelayedCall
        self._close_waiters: list[Deferred[None]] = []

    def attempt(self, attempt: Attempt) -> Deferred[list[Outcome]]:
        """Try to hand the message over; fire with exactly one outcome for each recipient, never fail."""
        return Deferred.fromCoroutine(self._run(attempt))

    def close(self) -> Deferred[None]:
        """Let running attempts end (at most the drain time), then close what is open."""
        waiter: Deferred[None] = Deferred()
        self._close_waiters.append(waiter)
        if not self._closing:
            self._closing = True
            self._drain_timer = self._reactor.callLater(self._drain_s, self._abandon)
        self._check_closed()
        return waiter

    @property
    def closing(self) -> bool:
        """True from ``close`` on: attempts try no further host."""
        return self._closing

    async def open(self, host: NextHost, address: str, tls: TlsPolicy) -> ClientConnection:
        """Return a connection to *address* that can take messages; raise ``ConnectionFailed``.

        With opportunistic TLS a failed handshake is followed by a connection without TLS, except where that
        would show credentials.
        """
        if tls is TlsPolicy.OPPORTUNISTIC and host.username is not None and not _is_loopback(address):
            tls = TlsPolicy.REQUIRED
        try:
            return await self._open(host, address, tls)
        except ConnectionFailed as failure:
            reason = failure.reason
            # A server whose TLS is broken may also complete the handshake and then say nothing.
            tls_failed = reason.phase == "tls" or (reason.phase == "ehlo" and not reason.code and failure.tls)
            if tls is not TlsPolicy.OPPORTUNISTIC or not tls_failed or self._closing:
                raise
            log.info(
                "no TLS with {host} [{address}]: {reason}; trying without",
                host=host.name,
                address=address,
                reason=reason.text,
            )
        return await self._open(host, address, TlsPolicy.NONE)

    async def _run(self, attempt: Attempt) -> list[Outcome]:
        run = AttemptRun(attempt, self, self._reactor)
        self._running += 1
        try:
            return await run.run()
        except Exception:
            log.failure("{queue_id}: the attempt failed by a defect of ours", queue_id=attempt.queue_id)
            return run.finish("internal error, see the log", status="4.3.0")
        finally:
            self._running -= 1
            self._check_closed()

    async def _open(self, host: NextHost, address: str, tls: TlsPolicy) -> ClientConnection:
        connection = await self._dial(address, host.port)
        try:
            await connection.ready()
            if tls is not TlsPolicy.NONE:
                await self._protect(connection, host, tls)
            if host.username is not None:
                await self._log_in(connection, host, address)
        except BaseException:
            connection.quit()
            raise
        return connection

    async def _dial(self, address: str, port: int) -> ClientConnection:
        connect_s = self._timeouts.connect_s
        connection = ClientConnection(self._hostname, self._reactor, self._timeouts, self._closed)
        connector = self._reactor.connectTCP(address, port, _Dialling(connection), timeout=connect_s)
        self._dialling.add(connector)
        try:
            await connection.opened
        except error.TimeoutError:
            problem = f"timed out after {connect_s:.0f} s"
        except error.ConnectError as failure:
            problem = str(failure.args[0] if failure.args else failure)
        else:
            self._connections.add(connection)
            return connection
        finally:
            self._dialling.discard(connector)
        text = printable(f"could not connect to port {port}: {problem}")
        raise ConnectionFailed(Answer("connect", 0, "4.4.1", text))

    async def _protect(self, connection: ClientConnection, host: NextHost, tls: TlsPolicy) -> None:
        """Start TLS as the policy demands."""
        if "STARTTLS" in connection.capabilities:
            await connection.start_tls(self._tls.creator(host.name, verify=tls is TlsPolicy.VERIFY))
        elif tls is not TlsPolicy.OPPORTUNISTIC:
            raise ConnectionFailed(
                Answer("tls", 0, "4.7.4", "TLS is required, and the host does not offer it")
            )

    async def _log_in(self, connection: ClientConnection, host: NextHost, address: str) -> None:
        """Show the credentials of *host*."""
        if not connection.tls and not _is_loopback(address):
            text = 'the route has credentials, which are only sent under TLS; give it tls = "required"'
            raise ConnectionFailed(Answer("auth", 0, "4.7.0", text))
        await connection.authenticate(host.username or "", host.password or "")

    def _closed(self, connection: ClientConnection) -> None:
        self._connections.discard(connection)
        self._check_closed()

    def _abandon(self) -> None:
        """The drain time is over."""
        self._drain_timer = None
        for connector in list(self._dialling):
            connector.stopConnecting()
        for connection in list(self._connections):
            connection.abandon("the server is shutting down")

    def _check_closed(self) -> None:
        if not self._closing or self._running or self._connections:
            return
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None
        waiters, self._close_waiters = self._close_waiters, []
        for waiter in waiters:
            waiter.callback(None)


def _is_loopback(address: str) -> bool:
    return ip_address(address.partition("%")[0]).is_loopback
