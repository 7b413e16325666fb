"""One SMTP connection to another server on Twisted: the engine, timeouts, content with back-pressure.

Each step (``ready``, ``start_tls``, ``authenticate``, ``send``) gives a Deferred that fires when the step is
done, or fails with ``ConnectionFailed``, after which the connection closes by itself.

Standards: RFC 5321 4.5.3.2 (timeouts).
Invariants: only a whole reply, or content that the network took, extends a timeout: a server that drips
octets does not hold a connection; content whose blocks do not add up to its size never gets an end of data.
Limits: content is read a block (``BLOCK_OCTETS``) at a time, as fast as the network takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fedaemon.errors import MailError
from fedaemon.net.tls import ClientConnectionCreator, describe, failure_text
from fedaemon.smtp.client_capabilities import Capabilities
from fedaemon.smtp.client_engine import ClientEngine, Ended, Failed, Goodbye, TlsGranted
from fedaemon.smtp.client_envelope import Envelope
from fedaemon.smtp.client_pipeline import Wait
from fedaemon.smtp.client_reply import printable
from fedaemon.smtp.client_transaction import Answer
from fedaemon.store.interface import Content

BLOCK_OCTETS = 65536

log = Logger()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for what, in seconds.

    Spec: RFC 5321 4.5.3.2; connect, tls, quit and session are not in it.
    """

    connect_s: float = 30.0
    greeting_s: float = 300.0
    tls_s: float = 60.0
    command_s: float = 300.0
    data_s: float = 120.0
    block_s: float = 180.0
    final_s: float = 600.0
    quit_s: float = 5.0
    session_s: float = 4 * 3600.0  # bounds what a server can hold by answering each command just in time


_TIMEOUT_OF: dict[Wait, Callable[[Timeouts], float]] = {
    Wait.GREETING: attrgetter("greeting_s"),
    Wait.EHLO: attrgetter("command_s"),
    Wait.STARTTLS: attrgetter("command_s"),
    Wait.HANDSHAKE: attrgetter("tls_s"),
    Wait.AUTH: attrgetter("command_s"),
    Wait.RESET: attrgetter("command_s"),
    Wait.MAIL: attrgetter("command_s"),
    Wait.RCPT: attrgetter("command_s"),
    Wait.DATA: attrgetter("data_s"),
    Wait.BLOCK: attrgetter("block_s"),
    Wait.FINAL: attrgetter("final_s"),
    Wait.QUIT: attrgetter("quit_s"),
    Wait.IDLE: attrgetter("command_s"),
}

_AWAITED = {
    Wait.GREETING: "the greeting",
    Wait.EHLO: "the reply to EHLO",
    Wait.STARTTLS: "the reply to STARTTLS",
    Wait.HANDSHAKE: "the TLS handshake",
    Wait.AUTH: "the reply to AUTH",
    Wait.RESET: "the reply to RSET",
    Wait.MAIL: "the reply to MAIL",
    Wait.RCPT: "the reply to RCPT",
    Wait.DATA: "the reply to DATA",
    Wait.BLOCK: "the host to take the message",
    Wait.FINAL: "the reply to the end of the message",
    Wait.QUIT: "the reply to QUIT",
    Wait.IDLE: "something to do",
}


class ConnectionFailed(Exception):
    """The connection is of no use: *reason* says what happened, *answers* what recipients were told before.

    *tls* is what protected the connection then.
    """

    def __init__(self, reason: Answer, answers: tuple[Answer | None, ...] = (), tls: str = "") -> None:
        super().__init__(reason.text)
        self.reason = reason
        self.answers = answers
        self.tls = tls


@implementer(IHandshakeListener, IPushProducer)
class ClientConnection(Protocol):
    """One connection, from the greeting to QUIT.

    :param hostname: our name in EHLO.
    :param clock: for the timeouts (IReactorTime).
    :param on_close: called once with this connection when it is gone.
    """

    def __init__(
        self,
        hostname: str,
        clock: Any,
        timeouts: Timeouts,
        on_close: Callable[[ClientConnection], None],
    ) -> None:
        self.opened: Deferred[None] = Deferred()
        """Fires when there is a connection; who connects makes it fail when there will be none."""
        self.tls = ""
        """What protects the connection, such as "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" for nothing."""
        self._engine = ClientEngine(hostname)
        self._clock = clock
        self._timeouts = timeouts
        self._on_close = on_close
        self._waiter: Deferred[Any] | None = None
        self._timer: Any = None  # IDelayedCall
        self._deadline = 0.0
        self._creator: ClientConnectionCreator | None = None
        self._failure: Failed | None = None
        self._blocks: Iterator[bytes] | None = None
        self._octets_left = 0
        self._producing = False
        self._paused = False
        self._lost = False

    # Steps

    @property
    def capabilities(self) -> Capabilities:
        """What the server offers now."""
        return self._engine.capabilities

    @property
    def usable(self) -> bool:
        """True when ``send`` can be called."""
        return self._engine.usable

    def ready(self) -> Deferred[None]:
        """Fire when the server has greeted and answered EHLO."""
        return self._step()

    def start_tls(self, creator: ClientConnectionCreator) -> Deferred[None]:
        """Protect the connection; fire when the handshake is done and EHLO answered again."""
        self._creator = creator
        self._engine.start_tls()
        return self._step()

    def authenticate(self, username: str, password: str) -> Deferred[None]:
        """Log in."""
        self._engine.authenticate(username, password)
        return self._step()

    def send(self, envelope: Envelope, content: Content) -> Deferred[tuple[Answer | None, ...]]:
        """Run one transaction; fire with an answer for each recipient, None for those to be offered again.

        Raises ValueError when the envelope holds what cannot be written in a command.
        """
        self._engine.begin(envelope)
        self._blocks = content.chunks(BLOCK_OCTETS)
        self._octets_left = content.size
        self._paused = False
        return self._step()

    def quit(self) -> None:
        """Close the connection politely, without anyone waiting for it."""
        if self._engine.closed:
            self._hang_up()
        else:
            self._engine.quit()
            self._pump()

    def abandon(self, text: str) -> None:
        """Close the connection now; a step that is under way fails with *text*."""
        self._engine.fail(text, status="4.3.2")
        self._pump()
        self._abort()

    def _step(self) -> Deferred[Any]:
        waiter: Deferred[Any] = Deferred()
        self._waiter = waiter
        if self._failure is not None:
            self._failed(self._failure)
        else:
            self._pump()
        return waiter

    # Twisted's side

    def connectionMade(self) -> None:  # noqa: N802
        """There is a connection."""
        transport: Any = self.transport
        if ITCPTransport.providedBy(transport):
            # Commands and content leave in whole groups already; waiting for an ACK would only delay them.
            transport.setTcpNoDelay(True)
        self._deadline = self._clock.seconds() + self._timeouts.session_s
        self.opened.callback(None)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Feed the engine."""
        if self._engine.receive(data):
            self._pump()

    def handshakeCompleted(self) -> None:  # noqa: N802
        """The handshake succeeded (IHandshakeListener)."""
        transport: Any = self.transport
        self.tls = describe(transport.getHandle())
        self._engine.tls_started()
        self._pump()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Whatever is under way fails."""
        self._lost = True
        self._producing = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._engine.awaiting is Wait.HANDSHAKE:
            text = printable(f"the TLS handshake failed: {failure_text(reason.value, self._creator)}")
            self._engine.fail(text, status="4.7.5")
        elif reason.check(ConnectionDone):
            self._engine.fail(
                f"the host closed the connection while we waited for {_AWAITED[self._engine.awaiting]}"
            )
        elif reason.check(ConnectionLost):
            self._engine.fail(
                f"the connection was lost while we waited for {_AWAITED[self._engine.awaiting]}"
            )
        else:
            self._engine.fail(printable(f"the connection failed: {reason.value}"))
        self._pump()
        self._on_close(self)

    def pauseProducing(self) -> None:  # noqa: N802
        """The network is behind (IPushProducer)."""
        self._paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        """The network took what it was given (IPushProducer)."""
        self._paused = False
        self._pump()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is going away; ``connectionLost`` follows (IPushProducer)."""
        self._paused = True

    # Inside

    def _pump(self) -> None:
        """Send what is to be sent, and act on what happened; a step has one event at its end."""
        if self._blocks is not None:
            self._send_blocks()
        self._flush()
        event = self._engine.next_event()
        if event is None:
            self._set_timer()
        elif isinstance(event, TlsGranted):
            self._set_timer()
            transport: Any = self.transport
            transport.startTLS(self._creator)
        elif isinstance(event, Goodbye):
            self._hang_up()
        elif isinstance(event, Failed):
            self._failed(event)
        else:
            self._done(event.answers if isinstance(event, Ended) else None)

    def _done(self, result: tuple[Answer | None, ...] | None) -> None:
        self._stop_content()
        if self._engine.closed:
            self._abort()
        if (waiter := self._waiter) is not None:
            self._waiter = None
            waiter.callback(result)

    def _failed(self, event: Failed) -> None:
        self._failure = event
        self._stop_content()
        if event.reason.code:
            self._hang_up()
        else:
            self._abort()
        if (waiter := self._waiter) is not None:
            self._waiter = None
            waiter.errback(ConnectionFailed(event.reason, event.answers, self.tls))

    def _flush(self) -> None:
        output = self._engine.take_output()
        if output:
            transport: Any = self.transport
            transport.write(output)

    def _send_blocks(self) -> None:
        """Send content until the network is behind, or a reply is needed, or it is all sent."""
        engine = self._engine
        while self._blocks is not None and engine.content_wanted and not self._paused:
            try:
                block = next(self._blocks, b"")
            except (OSError, MailError):
                log.failure("a message could not be read while it was being sent")
                self._give_up_content("the message could not be read from the store")
                return
            self._octets_left -= len(block)
            if self._octets_left < 0 or (self._octets_left > 0 and not block):
                log.error("a message in the store does not have its size")
                self._give_up_content("the message in the store is damaged: it does not have its size")
            elif block:
                engine.send_content(block)
                if self._octets_left > 0:  # otherwise what ends the message leaves in the same write
                    self._produce()
                    self._flush()
            else:
                engine.end_content()
                self._stop_content()

    def _give_up_content(self, text: str) -> None:
        self._stop_content()
        self._engine.abandon_content(text)

    def _produce(self) -> None:
        if not self._producing:
            self._producing = True
            transport: Any = self.transport
            transport.registerProducer(self, True)

    def _stop_content(self) -> None:
        self._blocks = None
        if self._producing:
            self._producing = False
            transport: Any = self.transport
            transport.unregisterProducer()

    def _hang_up(self) -> None:
        """Close once everything is written; a server that does not let us waits for nobody."""
        transport: Any = self.transport
        transport.loseConnection()
        self._start_timer(self._timeouts.quit_s)

    def _abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()

    def _set_timer(self) -> None:
        left = self._deadline - self._clock.seconds()
        self._start_timer(max(0.0, min(_TIMEOUT_OF[self._engine.awaiting](self._timeouts), left)))

    def _start_timer(self, delay_s: float) -> None:
        if self._lost:
            return
        if self._timer is None:
            self._timer = self._clock.callLater(delay_s, self._timed_out)
        else:
            self._timer.reset(delay_s)

    def _timed_out(self) -> None:
        self._timer = None
        if self._clock.seconds() >= self._deadline:
            self._engine.fail(f"the session took longer than {self._timeouts.session_s:.0f} s")
        else:
            waited_s = _TIMEOUT_OF[self._engine.awaiting](self._timeouts)
            self._engine.fail(
                f"timed out after {waited_s:.0f} s waiting for {_AWAITED[self._engine.awaiting]}"
            )
        self._pump()
        self._abort()
