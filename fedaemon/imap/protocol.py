"""One IMAP connection on Twisted: feeds the engine, asks the authenticator and the store, writes the answers.

Theory of operation: octets go into the engine; its requests are carried out one by one, until one has to wait,
the client stops reading, or a turn's worth is done. A change of a mailbox that the session cares for wakes it.

Invariants: promise 3 (no waiting here), promise 4 (no more than a block or two in memory for a client that does
not read), promise 5 (nothing from before a TLS handshake becomes a command after it: the engine sees to it).
Limits: named constants below and the settings of ``ImapService``.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from fedaemon.errors import BadSyntax, MailError, Refused
from fedaemon.imap import operations as o
from fedaemon.imap.answers import Answers
from fedaemon.imap.compression import Deflation
from fedaemon.imap.engine import Request, ServerEngine
from fedaemon.imap.service import ImapService
from fedaemon.logs import Logger
from fedaemon.net.server_connection import ServerConnection
from fedaemon.net.sessions import FOREVER

BUFFERED: Final = 128 * 1024
"""Octets that may wait to be read by the engine; then reading stops."""
REQUESTS_A_TURN: Final = 64
"""A request takes some 10 to 100 µs, and those that take longer give way by themselves."""
CLOSE_TIMEOUT_S: Final = 60.0
"""How long a client may take to read what is left; it may be the end of a large message."""

log = Logger()


@implementer(IPushProducer)
class ImapProtocol(ServerConnection):
    """One connection."""

    service: ImapService
    engine: ServerEngine
    service_name = "imap"
    close_timeout_s = CLOSE_TIMEOUT_S

    def __init__(self, service: ImapService) -> None:
        super().__init__()
        self.service = service
        self.engine = ServerEngine(service.engine_settings())
        self.engine.session.wake = self._wake
        self._answers = Answers(service, self)
        self._deflation: Deflation | None = None
        self._turn: Any = None
        self._ready: Request | None = None
        self._for_room: Request | None = None
        self._for_tls: Request | None = None
        self._blocked = False
        self._heard = False
        self._log_in_by: float | None = None
        self._running = False
        self._stopping = False

    # -- the connection

    def turned_away(self, refused: Refused) -> None:
        """See ``ServerConnection``."""
        self._close_with(refused.text, b"UNAVAILABLE")

    def greet(self) -> None:
        """See ``ServerConnection``."""
        self.engine.greeting()
        self._run()

    def received(self, data: bytes) -> None:
        """Take what arrived."""
        self._heard = True
        if self._deflation is not None:
            self._deflation.receive(data)
        else:
            self.engine.receive(data)
        self._run()
        self._mind_input()
        if self.open and self.engine.expecting:
            self.acknowledge()

    def gone(self) -> None:
        """Forget everything."""
        self.engine.drop()
        self._answers.drop()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def timed_out(self) -> None:
        """See ``net.sessions.Session``. Spec: RFC 9051 5.4"""
        self.log_timeout()
        if self.closing or self._blocked or self.speechless:
            self.transport.abortConnection()
        else:
            self._close_with("Nothing was said for too long")

    def shut_down(self) -> None:
        """See ``net.sessions.Session``: at once, or behind the command that is under way."""
        self.hurry()
        self._stopping = True
        if self.speechless:
            self.transport.abortConnection()
        elif not self.engine.busy:
            self._say_stopping()

    def _say_stopping(self) -> None:
        self._close_with("The server is stopping, try again soon", b"UNAVAILABLE")

    def account_changed(self, error: MailError) -> None:
        """The session's credentials are no longer valid (``accounts.revocation``)."""
        if self.open and not self.closing:
            log.info(event="session-revoked", **self.session_fields(), reason=error.text)
            self._close_with("The password has changed: log in again")

    @property
    def account_name(self) -> str:
        """See ``SessionLog``."""
        return self.account.address if self.account is not None else ""

    @property
    def account(self) -> Any:
        """The account that is logged in, or None."""
        return self._answers.account

    def _close_with(self, words: str, code: bytes = b"") -> None:
        self.engine.close(words, code)
        self.flush()

    def hang_up(self) -> None:
        """See ``ServerConnection``; the peer's part of closing TLS is to be read."""
        self._mind_input()
        super().hang_up()

    def protected(self) -> None:
        """The connection is protected: begin anew."""
        request, self._for_tls = self._for_tls, None
        if request is None:
            self.engine.tls_started()
        else:
            self._decided(request, None)

    def encoded(self, output: bytes) -> bytes:
        """See ``ServerConnection``."""
        if self._deflation is None:
            return output
        return self._deflation.deflated(output, alone=self.engine.listening)

    # -- the engine's requests

    def _wake(self) -> None:
        """A mailbox has changed; who waits for that is told in a turn of its own."""
        if self.engine.listening:
            self._later()

    def _later(self, request: Request | None = None) -> None:
        """Go on in the next turn, with *request* answered then."""
        self._ready = request or self._ready
        if self._turn is None and self.open:
            self._turn = self.service.clock.callLater(0, self._next_turn)

    def _next_turn(self) -> None:
        self._turn = None
        request, self._ready = self._ready, None
        if request is not None:
            self.engine.answer(request, None)
        self._run()

    def _run(self) -> None:
        """Go on until there is nothing to do, an answer is awaited, the client is behind, or the turn is over."""
        if self._running or self._blocked or self.closing or self._turn is not None:
            return
        self._running = True
        try:
            more = self._take_requests()
            self.flush()
            self._set_deadline()
            if more:
                self._later()
        except BadSyntax as error:
            self._close_with(error.text)
        except Exception:
            self.log_defect()
            self._close_with("Internal error, try again later")
        finally:
            self._running = False
        self._mind_input()

    def _set_deadline(self) -> None:
        """Time runs from what the client said or took last, and from the end of our work for it; not from news.

        To log in it has a time that no talk prolongs.
        """
        if self.closing or not self.open or self.speechless:
            return
        now, service = self.service.sessions.now(), self.service
        if self.account is None:
            if self._log_in_by is None:
                self._log_in_by = now + service.login_timeout_s
            self.deadline = self._log_in_by
            return
        self._log_in_by = None
        if self.engine.busy and not self.engine.awaits_client and not self._blocked:
            self.deadline = FOREVER
        elif self._heard or self.deadline == FOREVER:
            self.deadline = now + service.idle_timeout_s
            self._heard = False

    def _take_requests(self) -> bool:
        """Carry out requests; return whether there may be more at once."""
        engine = self.engine
        for _ in range(REQUESTS_A_TURN):
            request = engine.next_request()
            while engine.bugs:
                self.log_defect(Failure(engine.bugs.pop()))
            if request is not None:
                self._carry_out(request)
            elif self._stopping and not engine.busy:
                self._say_stopping()
                return False
            elif not self._inflate():
                return False
            if self.closing or engine.closed:
                return False
        return True

    def _inflate(self) -> bool:
        """Give the engine more of what came deflated; False when there is none, or it has enough to do."""
        if self._deflation is None or self.engine.buffered > BUFFERED:
            return False
        data = self._deflation.inflated()
        self.engine.receive(data)
        return bool(data)

    def _carry_out(self, request: Request) -> None:
        """Carry out a request; its answer may come later, and others may come before it."""
        operation = request.operation
        if isinstance(operation, o.Room | o.Turn):
            self.flush()
            if self._blocked and isinstance(operation, o.Room):
                self._for_room = request
            else:
                self._later(request)
        elif isinstance(operation, o.StartTls):
            self.flush()
            self._for_tls = request
            self.start_tls()
        elif isinstance(operation, o.Compress):
            self.flush()
            self._deflation = Deflation()
            self._deflation.receive(self.engine.take_pending())
            self.engine.answer(request, None)
        else:
            answer = self._answers.to(operation)
            answer.addCallbacks(
                lambda value: self._decided(request, value), lambda failure: self._failed(request, failure)
            )

    def _decided(self, request: Request, value: object) -> None:
        self.engine.answer(request, value)
        self._run()

    def _failed(self, request: Request, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, MailError):
            self.log_refusal(error)
        assert isinstance(error, Exception)
        self.engine.fail(request, error)
        self._run()

    # -- back-pressure

    def pauseProducing(self) -> None:
        """The client does not read: make nothing more for it."""
        self._blocked = True

    def resumeProducing(self) -> None:
        """The client reads again."""
        self._blocked = False
        self._heard = True
        request, self._for_room = self._for_room, None
        if request is not None:
            self._later(request)
        else:
            self._run()

    def stopProducing(self) -> None:
        """The connection is gone; ``connectionLost`` follows."""

    def _mind_input(self) -> None:
        """Read as long as not too much waits."""
        held = self.engine.buffered + (self._deflation.held if self._deflation is not None else 0)
        self.read_on(held <= BUFFERED)


class ImapFactory(ServerFactory):
    """Makes the connections of one listener; *service* is set before the reactor runs, and anew when settings
    change."""

    noisy = False
    service: ImapService

    def buildProtocol(self, addr: object) -> ImapProtocol:
        """Return the protocol of a new connection."""
        return ImapProtocol(self.service)
