"""The transport that carries messages to other servers by SMTP: where attempts run and what they share.

An attempt (client_attempt) asks for a connection to one address; it gets one that has waited for a message
(connection_pool), or a new one (client_dialling), and gives it back.

Standards: RFC 5321 4.5.4.1.
Invariants: ``attempt`` never fails; after ``close`` no connection is opened but by attempts that run, and none
is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from twisted.internet.defer import Deferred

from fedaemon.delivery.transport import Attempt, ConnectionLimits, NextHost, Outcome
from fedaemon.logs import Logger
from fedaemon.net.tls_client import ClientTls
from fedaemon.smtp.client_attempt import AttemptRun
from fedaemon.smtp.client_dialling import Dialler
from fedaemon.smtp.client_protocol import ClientConnection
from fedaemon.smtp.client_target import Target
from fedaemon.smtp.client_timeouts import Timeouts
from fedaemon.smtp.connection_pool import ConnectionPool
from fedaemon.smtp.session_result import SessionResult

DRAIN_S: Final = 30.0
"""How long ``close`` lets attempts run on: within what service managers grant before they kill."""

log = Logger()


class SmtpTransport:
    """Carries messages to other servers (``delivery.transport.Transport``).

    :param reactor: a reactor that can connect by TCP, or a stand-in for it.
    :param hostname: our name in EHLO, where an attempt's source has none of its own.
    :param tls: makes the client's side of handshakes.
    :param timeouts: how long to wait for what.
    :param on_session: told how TLS went with each connection that was opened, or was not because of it.
    """

    def __init__(
        self,
        reactor: Any,
        hostname: str,
        tls: ClientTls,
        *,
        timeouts: Timeouts | None = None,
        drain_s: float = DRAIN_S,
        on_session: Callable[[SessionResult], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._pool = ConnectionPool(reactor)
        self._dialler = Dialler(reactor, hostname, tls, timeouts or Timeouts(), self._closed, on_session)
        self._on_session = on_session
        self._drain_s = drain_s
        self._running = 0
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
            self._dialler.stop_falling_back()
            self._pool.close()
        self._check_closed()
        return waiter

    # What attempts ask for (client_attempt.Connections)

    @property
    def closing(self) -> bool:
        """True from ``close`` on: attempts try no further host."""
        return self._closing

    def take(self, target: Target) -> ClientConnection | None:
        """Return a connection that has waited for a message to *target*, or None."""
        return self._pool.take(target)

    def open(self, target: Target, domain: str) -> Coroutine[Any, Any, ClientConnection]:
        """Return a new connection that can take messages for *domain*; raise ``ConnectionFailed``."""
        return self._dialler.open(target, domain)

    def is_unreachable(self, address: str, port: int) -> bool:
        """True when the last attempt to connect there failed, not long ago."""
        return self._dialler.is_unreachable(address, port)

    def has_room(self, connection: ClientConnection, limits: ConnectionLimits) -> bool:
        """True when the connection can carry one message more."""
        return self._pool.has_room(connection, limits)

    def give_back(self, connection: ClientConnection, limits: ConnectionLimits) -> None:
        """Take a connection of which the attempt has no more need."""
        self._pool.put(connection, limits)

    def refuse(self, host: NextHost, domain: str) -> None:
        """Tell that *host* was not even dialled for *domain*, because of ``host.tls.problem``."""
        if self._on_session is not None:
            tls = host.tls
            self._on_session(
                SessionResult(domain, host.name, "", tls.policy, False, tls.failure, tls.problem)
            )

    # Inside

    async def _run(self, attempt: Attempt) -> list[Outcome]:
        run = AttemptRun(attempt, self, self._reactor)
        self._running += 1
        try:
            return await run.run()
        except Exception:
            log.failure("an attempt failed", event="defect", id=attempt.queue_id)
            return run.finish("internal error, see the log", status="4.3.0")
        finally:
            self._running -= 1
            if self._closing:
                self._check_closed()

    def _closed(self, connection: ClientConnection) -> None:
        self._pool.gone(connection)
        self._check_closed()

    def _abandon(self) -> None:
        """The drain time is over."""
        self._drain_timer = None
        self._dialler.abandon("the server is shutting down")

    def _check_closed(self) -> None:
        if not self._closing or self._running or self._dialler.connections:
            return
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None
        waiters, self._close_waiters = self._close_waiters, []
        for waiter in waiters:
            waiter.callback(None)
