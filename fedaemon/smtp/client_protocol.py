"""One SMTP connection to another server on Twisted: the engine, timeouts, content with back-pressure.

Each step (``ready``, ``start_tls``, ``authenticate``, ``send``) gives a Deferred that fires when the step is
done, or fails with ``ConnectionFailed``, after which the connection closes by itself.

Standards: RFC 5321 4.5.3.2 (timeouts).
Invariants: only a whole reply, or content that the network took, extends a timeout: a server that drips
octets does not hold a connection; content whose blocks do not add up to its size never gets an end of data.
Limits: content is read a block (``BLOCK_OCTETS``) at a time, as fast as the network takes it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from fedaemon.net.tls import describe
from fedaemon.net.tls_client import ClientConnectionCreator, failure_text
from fedaemon.smtp.client_capabilities import Capabilities
from fedaemon.smtp.client_engine import ClientEngine
from fedaemon.smtp.client_envelope import Envelope
from fedaemon.smtp.client_events import Ended, Failed, Goodbye, TlsGranted
from fedaemon.smtp.client_failure import ConnectionFailed
from fedaemon.smtp.client_flow import ContentFlow
from fedaemon.smtp.client_pipeline import Wait
from fedaemon.smtp.client_reply import printable
from fedaemon.smtp.client_target import Target
from fedaemon.smtp.client_timeouts import AWAITED, StepTimer, Timeouts
from fedaemon.smtp.client_transaction import Answer
from fedaemon.store.interface import Content


@implementer(IHandshakeListener)
class ClientConnection(Protocol):
    """One connection, from the greeting to QUIT.

    :param target: what it was made to.
    :param hostname: our name in EHLO.
    :param clock: for the timeouts (IReactorTime).
    :param on_close: called once with this connection when it is gone.
    """

    def __init__(
        self,
        target: Target,
        hostname: str,
        clock: Any,
        timeouts: Timeouts,
        on_close: Callable[[ClientConnection], None],
    ) -> None:
        self.opened: Deferred[None] = Deferred()
        """Fires when there is a connection; who connects makes it fail when there will be none."""
        self.target = target
        self.tls = ""
        """What protects the connection, such as "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" for nothing."""
        self.certificate = ""
        """What was found about the server's certificate."""
        self.tls_failure = ""
        """The result type of RFC 8460 4.3 of what failed of TLS, also where that makes no difference."""
        self.source = ""
        """The local address."""
        self.ended_by_421_after_s = inf
        """How long after the last transaction the server ended the connection with 421."""
        self._engine = ClientEngine(hostname)
        self._clock = clock
        self._timeouts = timeouts
        self._on_close = on_close
        self._waiter: Deferred[Any] | None = None
        self._timer = StepTimer(clock, self._timed_out)
        self._deadline_s = 0.0
        self._ended_s = -inf
        self._creator: Any = None  # ClientConnectionCreator, from start_tls on
        self._failure: Failed | None = None
        self._flow = ContentFlow(self._engine, self._flush, self._pump)
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

    @property
    def carried(self) -> int:
        """How many transactions have ended on the connection."""
        return self._engine.carried

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
        self._flow.begin(content)
        self._engine.begin(envelope)
        self._deadline_s = self._clock.seconds() + self._timeouts.session_s
        return self._step()

    def rest(self) -> None:
        """Wait, as long as the owner likes, until ``send`` or ``quit`` is called."""
        self._timer.rest()

    def quit(self) -> None:
        """Close the connection politely, without anyone waiting for it."""
        if self._engine.closed:
            self._hang_up()
        elif self._engine.in_transaction:
            # Whatever was sent now might be taken for content.
            self.abandon("the transaction was given up")
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
        self._flow.transport = transport
        if ITCPTransport.providedBy(transport):
            # Commands and content leave in whole groups already; waiting for an ACK would only delay them.
            transport.setTcpNoDelay(True)
        self.source = transport.getHost().host
        self._deadline_s = self._clock.seconds() + self._timeouts.session_s
        self.opened.callback(None)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Feed the engine."""
        if self._engine.receive(data):
            self._pump()

    def handshakeCompleted(self) -> None:  # noqa: N802
        """The handshake succeeded (IHandshakeListener); nothing is said before the certificate is judged."""
        transport: Any = self.transport
        connection = transport.getHandle()
        self.tls = describe(connection)
        verdict = self._creator.judge(connection)
        self.certificate = verdict.certificate
        if self._creator.problem:
            self._handshake_failed(None)
        else:
            if self.target.tls.testing:
                self.tls_failure = verdict.failure
            self._engine.tls_started()
        self._pump()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Whatever is under way fails."""
        self._lost = True
        self._flow.lost()
        self._timer.cancel()
        if self._engine.awaiting is Wait.HANDSHAKE:
            self._handshake_failed(reason.value)
        elif reason.check(ConnectionDone):
            self._engine.fail(
                f"the host closed the connection while we waited for {AWAITED[self._engine.awaiting]}"
            )
        elif reason.check(ConnectionLost):
            self._engine.fail(f"the connection was lost while we waited for {AWAITED[self._engine.awaiting]}")
        else:
            self._engine.fail(printable(f"the connection failed: {reason.value}"))
        self._pump()
        self._on_close(self)

    # Inside

    def _handshake_failed(self, error: BaseException | None) -> None:
        creator = self._creator
        self.tls_failure = creator.failure
        self.certificate = creator.certificate
        self._engine.fail(
            printable(f"the TLS handshake failed: {failure_text(error, creator)}"), status="4.7.5"
        )

    def _pump(self) -> None:
        """Send what is to be sent, and act on what happened; a step has one event at its end."""
        self._flow.move()
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
        self._flow.stop()
        self._ended_s = self._clock.seconds()
        if self._engine.closed:
            self._abort()
        if (waiter := self._waiter) is not None:
            self._waiter = None
            waiter.callback(result)

    def _failed(self, event: Failed) -> None:
        self._failure = event
        self._flow.stop()
        if event.reason.code == 421:
            self.ended_by_421_after_s = self._clock.seconds() - self._ended_s
        if event.reason.code:
            self._hang_up()
        else:
            self._abort()
        if (waiter := self._waiter) is not None:
            self._waiter = None
            waiter.errback(
                ConnectionFailed(
                    event.reason,
                    event.answers,
                    untouched=event.untouched,
                    tls=self.tls,
                    certificate=self.certificate,
                    tls_failure=self.tls_failure,
                )
            )

    def _flush(self) -> None:
        output = self._engine.take_output()
        if output:
            transport: Any = self.transport
            transport.write(output)

    def _hang_up(self) -> None:
        """Close once everything is written; a server that does not let us waits for nobody."""
        transport: Any = self.transport
        transport.loseConnection()
        self._start_timer(self._timeouts.quit_s)

    def _abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()

    def _set_timer(self) -> None:
        left_s = self._deadline_s - self._clock.seconds()
        self._start_timer(max(0.0, min(self._timeouts.of[self._engine.awaiting], left_s)))

    def _start_timer(self, delay_s: float) -> None:
        if not self._lost:
            self._timer.set(delay_s)

    def _timed_out(self) -> None:
        if self._clock.seconds() >= self._deadline_s:
            self._engine.fail(f"the session took longer than {self._timeouts.session_s:.0f} s")
        else:
            awaited = self._engine.awaiting
            self._engine.fail(
                f"timed out after {self._timeouts.of[awaited]:.0f} s waiting for {AWAITED[awaited]}"
            )
        self._pump()
        self._abort()
