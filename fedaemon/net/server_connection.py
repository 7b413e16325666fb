"""What every connection of a listener goes through before and after its protocol speaks.

The PROXY protocol's header, admission by the limits, TLS from the first octet or later, and an end that does
not wait for ever: the same for each service, and the wrong place for small differences.

Theory of operation: ``connectionMade`` leads, past the proxy's header and the handshake as the listener has
them, to ``greet``; from then on ``received`` is given what arrives. ``flush`` writes what the engine has ready,
and closes the connection when the engine is.

Invariants: what comes behind a proxy's header belongs to the peer, under TLS to its handshake; a connection
is counted once from its admission to its end; a peer that does not take our last words is cut off.
Limits: named constants below.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from itertools import count
from typing import Any, Final
from typing import Protocol as Structure

from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from fedaemon import counters
from fedaemon.errors import BadSyntax, Refused
from fedaemon.logs import Logger
from fedaemon.net.addresses import plain_address
from fedaemon.net.proxy_protocol import ProxyParser
from fedaemon.net.session_log import SessionLog
from fedaemon.net.sessions import FOREVER, Sessions
from fedaemon.net.tls import ServerTls, describe

PROXY_TIMEOUT_S: Final = 10.0
"""A proxy sends its header with the connection; who does not is no proxy."""
TLS_HANDSHAKE_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 1.0
"""How long a peer may take over our last words when the server stops."""

log = Logger()
_numbers = count(1)


class ServerService(Structure):
    """What the connections of one listener share; *tls* is None where no certificate is configured."""

    @property
    def sessions(self) -> Sessions:
        """The registry of open connections."""

    @property
    def tls(self) -> ServerTls | None:
        """Our certificates."""

    @property
    def implicit_tls(self) -> bool:
        """TLS from the first octet."""

    @property
    def proxy_protocol(self) -> bool:
        """Every connection begins with a PROXY protocol header."""


class Engine(Structure):
    """What is asked of a service's engine here."""

    @property
    def closed(self) -> bool:
        """True when nothing more will be said."""

    def take_output(self) -> bytes:
        """Return what is to be written, and forget it."""


@implementer(IHandshakeListener)
class ServerConnection(Protocol, SessionLog, ABC):
    """One connection.

    *deadline* is as ``net.sessions.Session`` has it; *open* is False once it is gone.
    """

    transport: Any  # ITCPTransport, with ITLSTransport once startTLS was called
    service: ServerService
    engine: Engine
    close_timeout_s: float = 10.0
    """How long a peer may take to read our last words and, under TLS, to answer the close."""

    def __init__(self) -> None:
        self.deadline = FOREVER
        self.number = next(_numbers)
        self._began = 0.0
        self.open = True
        self.closing = False
        self._proxy: ProxyParser | None = None
        self._handshaking = False
        self._reading = True

    # -- what a service fills in

    @abstractmethod
    def turned_away(self, refused: Refused) -> None:
        """There are too many connections: say so and close."""

    @abstractmethod
    def greet(self) -> None:
        """The peer is to be greeted."""

    @abstractmethod
    def protected(self) -> None:
        """The TLS handshake is done: begin anew."""

    @abstractmethod
    def received(self, data: bytes) -> None:
        """The peer sent *data*."""

    @abstractmethod
    def gone(self) -> None:
        """The connection is lost: forget everything."""

    @abstractmethod
    def timed_out(self) -> None:
        """See ``net.sessions.Session``."""

    @abstractmethod
    def shut_down(self) -> None:
        """See ``net.sessions.Session``."""

    # -- the beginning

    def came_from(self) -> None:
        """The peer's *address* is known; for services that judge by it."""

    def connectionMade(self) -> None:  # noqa: N802
        """Greet, or first take the proxy's header or the TLS handshake."""
        self.transport.registerProducer(self, True)
        if self.service.proxy_protocol:
            self._proxy = ProxyParser()
            self.deadline = self.service.sessions.now() + PROXY_TIMEOUT_S
            self.service.sessions.admit(self, "proxy")
        else:
            self._begin(plain_address(self.transport.getPeer().host))

    def _begin(self, address: str) -> None:
        """The peer's address is known: admit it and greet."""
        self.address = address
        self._began = self.service.sessions.now()
        self.came_from()
        try:
            self.service.sessions.admit(self, address)
        except Refused as refused:
            log.info(
                "there are too many connections",
                event="connection-refused",
                service=self.service_name,
                address=address,
                reason=refused.text,
            )
            self.turned_away(refused)
            return
        counters.count("sessions_total", service=self.service_name)
        if self.service.implicit_tls:
            self.start_tls()
        else:
            self.greet()

    @property
    def speechless(self) -> bool:
        """True while nothing can be said: before the proxy's header and during a handshake."""
        return self._handshaking or self._proxy is not None

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Take what arrived."""
        if self._proxy is not None:
            self._proxy_data(data)
        else:
            self.received(data)

    def _proxy_data(self, data: bytes) -> None:
        """Take the PROXY protocol's header; what follows it belongs to the peer."""
        assert self._proxy is not None
        try:
            header = self._proxy.feed(data)
        except BadSyntax as error:
            log.warn(
                "no PROXY header",
                event="proxy-header-bad",
                service=self.service_name,
                address=self.transport.getPeer().host,
                reason=error.text,
            )
            self.transport.loseConnection()
            return
        if header is None:
            return
        rest, self._proxy = data[header.consumed :], None
        self.service.sessions.leave(self)
        # A balancer's own health check says LOCAL: then it is the peer itself.
        self._begin(plain_address(header.source or self.transport.getPeer().host))
        if rest and self.open:
            # After startTLS the transport's protocol is the TLS layer, and these are its bytes.
            self.transport.protocol.dataReceived(rest)

    # -- TLS

    def start_tls(self) -> None:
        """Begin the handshake; ``protected`` follows."""
        assert self.service.tls is not None
        self._handshaking = True
        self.deadline = self.service.sessions.now() + TLS_HANDSHAKE_TIMEOUT_S
        self.transport.startTLS(self.service.tls.factory)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """The connection is protected (IHandshakeListener)."""
        self._handshaking = False
        self.tls = describe(self.transport.getHandle())
        self.protected()
        if self.service.implicit_tls:
            self.greet()

    def read_on(self, wanted: bool) -> None:
        """Read what the peer sends, or leave it where it is until there is room for it.

        While the connection closes it is always read: the peer's part of closing TLS is among it.
        """
        wanted = wanted or self.closing or self.engine.closed
        if wanted is self._reading or not self.open:
            return
        self._reading = wanted
        if wanted:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()

    def acknowledge(self) -> None:
        """Acknowledge at once what has arrived, of which the rest is still to come.

        A client that writes a content and its end in two pieces, without TCP_NODELAY, waits for it before the
        second: 40 ms for each message.
        """
        own = getattr(self.transport, "socket", None)
        if own is not None and hasattr(socket, "TCP_QUICKACK"):
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    # -- output and the end

    def flush(self) -> None:
        """Write what the engine has ready; close when it is closed."""
        output = self.engine.take_output()
        if not self.open:
            return
        if output:
            self.transport.write(self.encoded(output))
        if self.engine.closed:
            self.hang_up()

    def encoded(self, output: bytes) -> bytes:
        """Return *output* as it goes to the transport; a service may compress it."""
        return output

    def hang_up(self) -> None:
        """Close once everything is written; a peer that does not take it is cut off after the close time-out."""
        if self.closing:
            return
        self.closing = True
        # Under TLS a producer that is registered would hold the close back.
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self.deadline = self.service.sessions.now() + self.close_timeout_s

    def hurry(self) -> None:
        """The server stops: do not wait long for a peer that does not answer the close."""
        self.close_timeout_s = min(self.close_timeout_s, STOP_TIMEOUT_S)
        if self.closing:
            self.deadline = min(self.deadline, self.service.sessions.now() + self.close_timeout_s)

    def connectionLost(self, reason: Failure = Failure) -> None:  # type: ignore[assignment]  # noqa: N802
        """Forget everything."""
        if self.account_name:
            self.log_ended(self.service.sessions.now() - self._began)
        self.open = False
        self.deadline = FOREVER
        self.service.sessions.leave(self)
        self.gone()
