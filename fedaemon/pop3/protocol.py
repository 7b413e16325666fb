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

from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import ServerFactory
from zope.interface import implementer

from fedaemon.errors import MailError, Refused
from fedaemon.logs import Logger
from fedaemon.net.server_connection import ServerConnection
from fedaemon.pop3 import events
from fedaemon.pop3.answers import BLOCK, Answers
from fedaemon.pop3.engine import ServerEngine
from fedaemon.pop3.reply import refusal_of
from fedaemon.pop3.service import Pop3Service

BUFFERED: Final = 32 * 1024
"""Octets of commands that may wait in the engine; then reading stops."""
CLOSE_TIMEOUT_S: Final = 60.0
"""How long a client may take to read what is left; it may be the end of a large message."""

STOPPING = b"-ERR [SYS/TEMP] The server is stopping, try again soon\r\n"

log = Logger()


@implementer(IPushProducer)
class Pop3Protocol(ServerConnection):
    """One connection."""

    service: Pop3Service
    engine: ServerEngine
    service_name = "pop3"
    close_timeout_s = CLOSE_TIMEOUT_S

    def __init__(self, service: Pop3Service) -> None:
        super().__init__()
        self.service = service
        self.engine = ServerEngine(service.engine_settings())
        self._answers = Answers(service, self.engine, self)
        self._turn: Any = None
        self._blocked = False
        self._running = False
        self._waiting = False
        self._stopping = False

    # -- the connection

    @property
    def account_name(self) -> str:
        """See ``SessionLog``."""
        return self._answers.account.address if self._answers.account is not None else ""

    def turned_away(self, refused: Refused) -> None:
        """See ``ServerConnection``."""
        self._close_with(refusal_of(refused))

    def greet(self) -> None:
        """See ``ServerConnection``."""
        self.engine.greeting()
        self._run()

    def received(self, data: bytes) -> None:
        """Take what arrived."""
        self.engine.receive(data)
        self._run()
        self._mind_input()

    def gone(self) -> None:
        """Forget everything: marks count only after QUIT (RFC 1939 6)."""
        self.engine.drop()
        if self._turn is not None:
            self._turn.cancel()

    def timed_out(self) -> None:
        """See ``net.sessions.Session``: close without a word, as RFC 1939 3 asks."""
        self.log_timeout()
        if self.closing or self._blocked or self.speechless:
            self.transport.abortConnection()
        else:
            self._close_with(b"")

    def shut_down(self) -> None:
        """See ``net.sessions.Session``: at once, or after the message or decision that is under way."""
        self.hurry()
        self._stopping = True
        if self.speechless:
            self.transport.abortConnection()
        elif not self._waiting and not self.engine.sending:
            self._close_with(STOPPING)

    def _close_with(self, reply: bytes) -> None:
        self.engine.close(reply)
        self.flush()

    def hang_up(self) -> None:
        """See ``ServerConnection``; the peer's part of closing TLS is to be read."""
        self._mind_input()
        super().hang_up()

    def protected(self) -> None:
        """The connection is protected: begin anew (RFC 2595 4)."""
        self.engine.tls_started()
        self.deadline = self.service.sessions.now() + self.service.idle_timeout_s

    # -- the engine's events

    def _run(self) -> None:
        """Go on until there is nothing to do, a decision is awaited, the client is behind, or a block is
        ready."""
        if self._running or self._waiting or self._blocked or self.closing or self._turn is not None:
            return
        self._running = True
        try:
            self.deadline = self.service.sessions.now() + self.service.idle_timeout_s
            more = self._take_events()
            self.flush()
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
        engine = self.engine
        while not self._waiting and engine.queued < BLOCK:
            if self._stopping and not engine.sending:
                engine.close(STOPPING)
            event = engine.next_event()
            if event is None:
                return False
            if event is events.PROGRESS:
                continue
            if isinstance(event, events.StartTls):
                self.flush()
                self.start_tls()
            else:
                self._waiting = True
                self._answers.to(event).addCallback(self._decided)
        return not self._waiting

    def _break_off(self, error: Exception) -> None:
        """End the session after a fault of ours; never with what looks like the end of a message."""
        if isinstance(error, MailError):
            log.warn(event="session-broken-off", **self.session_fields(), reason=error.text)
        else:
            self.log_defect()
        if self.engine.sending or self.speechless:
            self.engine.drop()
            self.transport.abortConnection()
        else:
            self._close_with(refusal_of(error))

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
        self.read_on(self.engine.buffered <= BUFFERED)


class Pop3Factory(ServerFactory):
    """Makes the connections of one listener; *service* is set before the reactor runs, and anew when settings
    change."""

    noisy = False
    service: Pop3Service

    def buildProtocol(self, addr: object) -> Pop3Protocol:
        """Return the protocol of a new connection."""
        return Pop3Protocol(self.service)
