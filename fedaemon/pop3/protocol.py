"""One POP3 connection on Twisted: feeds the engine, asks the authenticator and the store, writes the replies.

Theory of operation: bytes go into the engine; its events are taken one by one, until one has to wait for a
decision, the client stops reading, or ``BLOCK`` octets are ready. They leave in one write, and the next block
is made in the reactor's next turn, so that a large message delays nobody.

Invariants: promise 3 (no waiting here), promise 4 (no more than a block or two in memory for a client that
does not read), promise 5 (nothing from before a TLS handshake becomes a command after it: the engine sees
to it); marked messages are removed after QUIT only.
Limits: named constants below and the settings of ``Pop3Service``.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fedaemon.errors import BadSyntax, MailError, Refused
from fedaemon.net.addresses import plain_address
from fedaemon.net.proxy_protocol import ProxyParser
from fedaemon.net.sessions import FOREVER
from fedaemon.pop3 import events
from fedaemon.pop3.answers import BLOCK, Answers
from fedaemon.pop3.engine import ServerEngine
from fedaemon.pop3.reply import refusal_of
from fedaemon.pop3.service import Pop3Service

BUFFERED: Final = 32 * 1024
"""Octets of commands that may wait in the engine; then reading stops."""
PROXY_TIMEOUT_S: Final = 10.0
"""A proxy sends its header with the connection; who does not is no proxy."""
TLS_HANDSHAKE_TIMEOUT_S: Final = 30.0
CLOSE_TIMEOUT_S: Final = 60.0
"""How long a client may take to read what is left; it may be the end of a large message."""

STOPPING = b"-ERR [SYS/TEMP] The server is stopping, try again soon\r\n"

log = Logger()
_session_numbers = count(1)


@implementer(IHandshakeListener, IPushProducer)
class Pop3Protocol(Protocol):
    """One connection."""

    transport: Any  # ITCPTransport, with ITLSTransport once startTLS was called

    def __init__(self, service: Pop3Service) -> None:
        self.service = service
        self.deadline = FOREVER
        self.number = next(_session_numbers)
        self.address = ""
        self._engine = ServerEngine(service.engine_settings())
        self._proxy: ProxyParser | None = None
        self._answers = Answers(service, self._engine, self)
        self._turn: Any = None
        self.open = True
        self._reading = True
        self._blocked = False
        self._running = False
        self._waiting = False
        self._stopping = False
        self._closing = False
        self._handshaking = False

    # -- the connection

    def connectionMade(self) -> None:
        """Greet, or first take the proxy's header or the TLS handshake."""
        self.transport.registerProducer(self, True)
        if self.service.proxy_protocol:
            self._proxy = ProxyParser()
            self.deadline = self.service.sessions.now() + PROXY_TIMEOUT_S
            self.service.sessions.admit(self, "proxy")
        else:
            self._begin(plain_address(self.transport.getPeer().host))

    def _begin(self, address: str) -> None:
        """The client's address is known: admit it and greet."""
        self.address = address
        try:
            self.service.sessions.admit(self, address)
        except Refused as refused:
            log.info("connection refused: {reason} address={address}", reason=refused.text, address=address)
            self._close_with(refusal_of(refused))
            return
        if self.service.implicit_tls:
            self._start_tls()
        else:
            self._greet()

    def _greet(self) -> None:
        self._engine.greeting()
        self._run()

    def dataReceived(self, data: bytes) -> None:
        """Take what arrived."""
        if self._proxy is not None:
            self._proxy_data(data)
            return
        self._engine.receive(data)
        self._run()
        self._mind_input()

    def _proxy_data(self, data: bytes) -> None:
        """Take the PROXY protocol's header; what follows it belongs to the client."""
        assert self._proxy is not None
        try:
            header = self._proxy.feed(data)
        except BadSyntax as error:
            log.warn("bad PROXY header: {reason}", reason=error.text)
            self.transport.loseConnection()
            return
        if header is None:
            return
        rest, self._proxy = data[header.consumed :], None
        self.service.sessions.leave(self)
        # A balancer's own health check says LOCAL: then it is the client itself.
        self._begin(plain_address(header.source or self.transport.getPeer().host))
        if rest and self.open:
            # After startTLS the transport's protocol is the TLS layer, and these are its bytes.
            self.transport.protocol.dataReceived(rest)

    def connectionLost(self, reason: Failure = Failure) -> None:  # type: ignore[assignment]
        """Forget everything: marks count only after QUIT (RFC 1939 6)."""
        self.open = False
        self.deadline = FOREVER
        self.service.sessions.leave(self)
        self._engine.drop()
        if self._turn is not None:
            self._turn.cancel()

    def timed_out(self) -> None:
        """See ``net.sessions.Session``: close without a word, as RFC 1939 3 asks."""
        log.info("session {session} timed out address={address}", session=self.number, address=self.address)
        if self._closing or self._blocked or self._handshaking or self._proxy is not None:
            self.transport.abortConnection()
        else:
            self._close_with(b"")

    def shut_down(self) -> None:
        """See ``net.sessions.Session``: at once, or after the message or decision that is under way."""
        self._stopping = True
        if self._handshaking or self._proxy is not None:
            self.transport.abortConnection()
        elif not self._waiting and not self._engine.sending:
            self._close_with(STOPPING)

    def _close_with(self, reply: bytes) -> None:
        self._engine.close(reply)
        self._flush()

    def _hang_up(self) -> None:
        """Close once everything is written; who does not take it is cut off after ``CLOSE_TIMEOUT_S``."""
        if self._closing:
            return
        # The peer's part of closing TLS is to be read.
        self._mind_input()
        self._closing = True
        # Under TLS a producer that is registered would hold the close back.
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self.deadline = self.service.sessions.now() + CLOSE_TIMEOUT_S

    # -- TLS

    def _start_tls(self) -> None:
        assert self.service.tls is not None
        self._flush()
        self._handshaking = True
        self.deadline = self.service.sessions.now() + TLS_HANDSHAKE_TIMEOUT_S
        self.transport.startTLS(self.service.tls.factory)

    def handshakeCompleted(self) -> None:
        """The connection is protected: begin anew (RFC 2595 4)."""
        self._handshaking = False
        self._engine.tls_started()
        if self.service.implicit_tls:
            self._greet()
        else:
            self.deadline = self.service.sessions.now() + self.service.idle_timeout_s

    # -- the engine's events

    def _run(self) -> None:
        """Go on until there is nothing to do, a decision is awaited, the client is behind, or a block is
        ready."""
        if self._running or self._waiting or self._blocked or self._closing or self._turn is not None:
            return
        self._running = True
        try:
            self.deadline = self.service.sessions.now() + self.service.idle_timeout_s
            more = self._take_events()
            self._flush()
            if more and self.open and not self._blocked:
                self._turn = self.service.clock.callLater(0, self._next_turn)
        except Exception as error:
            self._break_off(error)
        finally:
            self._running = False
        self._mind_input()

    def _next_turn(self) -> None:
        self._turn = None
        self._run()

    def _take_events(self) -> bool:
        """Take events; return whether there may be more at once."""
        engine = self._engine
        while not self._waiting and engine.queued < BLOCK:
            if self._stopping and not engine.sending:
                engine.close(STOPPING)
            event = engine.next_event()
            if event is None:
                return False
            if event is events.PROGRESS:
                continue
            if isinstance(event, events.StartTls):
                self._start_tls()
            else:
                self._waiting = True
                self._answers.to(event).addCallback(self._decided)
        return not self._waiting

    def _break_off(self, error: Exception) -> None:
        """End the session after a fault of ours; never with what looks like the end of a message."""
        if isinstance(error, MailError):
            log.warn("session {session} broken off: {reason}", session=self.number, reason=error.text)
        else:
            log.failure("a bug in session {session}", session=self.number)
        if self._engine.sending or self._handshaking:
            self._engine.drop()
            self.transport.abortConnection()
        else:
            self._close_with(refusal_of(error))

    def _flush(self) -> None:
        output = self._engine.take_output()
        if not self.open:
            return
        if output:
            self.transport.write(output)
        if self._engine.closed:
            self._hang_up()

    def _decided(self, _: None) -> None:
        self._waiting = False
        self._run()

    # -- back-pressure

    def pauseProducing(self) -> None:
        """The client does not read: make nothing more for it."""
        self._blocked = True

    def resumeProducing(self) -> None:
        """The client reads again."""
        self._blocked = False
        self._run()

    def stopProducing(self) -> None:
        """The connection is gone; ``connectionLost`` follows."""

    def _mind_input(self) -> None:
        """Read as long as not too many commands wait."""
        wanted = self._engine.buffered <= BUFFERED
        if wanted is self._reading or not self.open or self._closing:
            return
        self._reading = wanted
        if wanted:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()


class Pop3Factory(ServerFactory):
    """Makes the connections of one listener; *service* is set before the reactor runs, and anew when settings
    change."""

    noisy = False
    service: Pop3Service

    def buildProtocol(self, addr: object) -> Pop3Protocol:
        """Return the protocol of a new connection."""
        return Pop3Protocol(self.service)
