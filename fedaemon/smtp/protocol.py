"""One SMTP connection on Twisted: feeds the engine, asks the intake and the authenticator, and writes the
replies.

Theory of operation: bytes go into the engine; its events are taken one by one. What needs a decision is
answered to the engine when the decision is there, often at once; until then no further event is taken, so
replies keep the order of the commands while a client pipelines. All replies that became ready together leave
in one write.

Invariants: promise 3 (no waiting here), promise 4 (reading stops while the spool, the store or the peer's own
reading is behind), promise 5 (what arrived before a TLS handshake never becomes a command after it: the
engine sees to it).
Limits: named constants below and the settings of ``SmtpService``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from fedaemon.accounts.authenticator import Authenticator
from fedaemon.accounts.conversation import Conversation, Success
from fedaemon.accounts.sasl import Challenge
from fedaemon.delivery.event_log import rfc3339
from fedaemon.errors import MailError, Refused
from fedaemon.logs import Logger
from fedaemon.net import tls
from fedaemon.net.addresses import Network, in_networks
from fedaemon.net.server_connection import ServerConnection
from fedaemon.net.sessions import FOREVER, Sessions
from fedaemon.smtp import events
from fedaemon.smtp.engine import ServerEngine
from fedaemon.smtp.engine_settings import EngineSettings
from fedaemon.smtp.reply import Reply, reply_to
from fedaemon.submission.envelope import Envelope, EnvelopeRecipient, Peer
from fedaemon.submission.incoming import IncomingMessage
from fedaemon.submission.intake import Intake
from fedaemon.submission.wishes import NO_TERMS, Terms

BUFFERED_WHILE_WAITING = 128 * 1024
"""Octets that may pile up in the engine while a decision is awaited; then reading stops."""
CLOSE_TIMEOUT_S = 10.0
"""How long a peer may take to read our last words and, under TLS, to answer the close."""

_OUTPUT, _CONTENT = 1, 2  # reasons to stop reading, as bits

log = Logger()


@dataclass(frozen=True, slots=True)
class SmtpService:
    """What all connections of one listener share.

    *tls* is None where no certificate is configured. *authenticator* is None on services without AUTH.
    """

    engine: EngineSettings
    intake: Intake
    sessions: Sessions
    tls: tls.ServerTls | None
    authenticator: Authenticator | None
    implicit_tls: bool = False
    proxy_protocol: bool = False
    trusted_networks: tuple[Network, ...] = ()
    idle_timeout_s: float = 300.0
    content_timeout_s: float = 600.0

    def trusts(self, address: str) -> bool:
        """True when *address* is in a network that needs no login."""
        return bool(self.trusted_networks) and in_networks(address, self.trusted_networks)


@implementer(IPushProducer)
class SmtpProtocol(ServerConnection):
    """One connection."""

    service: SmtpService
    engine: ServerEngine
    close_timeout_s = CLOSE_TIMEOUT_S

    def __init__(self, service: SmtpService) -> None:
        super().__init__()
        self.service = service
        self.service_name = service.intake.policy.service
        self.engine = ServerEngine(service.engine)
        self.peer = Peer("")
        self._envelope: Envelope | None = None
        self._message: IncomingMessage | None = None
        self._conversation: Conversation | None = None
        self._mechanism = ""
        self._content_deadline = FOREVER
        self._waiting = False
        self._running = False
        self._paused = 0
        self._stopping = False

    # -- the connection

    @property
    def account_name(self) -> str:
        """See ``SessionLog``."""
        return self.peer.login

    def came_from(self) -> None:
        """See ``ServerConnection``."""
        self.peer.address = self.address
        self.peer.trusted = self.service.trusts(self.address)

    def turned_away(self, refused: Refused) -> None:
        """See ``ServerConnection``."""
        self.engine.refuse_connection(reply_to(refused))
        self.flush()

    def greet(self) -> None:
        """See ``ServerConnection``."""
        if self.peer.trusted:
            self.engine.authentication_not_required()
            self.engine.make_offer(self.service.intake.offer(self.peer))
        self.engine.greeting()
        self.deadline = self.service.sessions.now() + self.service.idle_timeout_s
        self.flush()

    def received(self, data: bytes) -> None:
        """Take what arrived."""
        engine = self.engine
        engine.receive(data)
        if self.closing:
            return
        if self._waiting:
            if engine.buffered > BUFFERED_WHILE_WAITING:
                self._pause(_CONTENT)
            return
        self.deadline = min(self.service.sessions.now() + self.service.idle_timeout_s, self._content_deadline)
        self._run()

    def gone(self) -> None:
        """Forget everything; content that was not complete is thrown away."""
        if self._message is not None and not self._waiting:
            self._message.abort()
            self._message = None

    def timed_out(self) -> None:
        """See ``net.sessions.Session``."""
        if self.closing or self.speechless:
            # There is nobody to tell, or no way to tell it.
            self.transport.abortConnection()
            return
        self.log_timeout()
        self._close_with(Reply(421, "4.4.2", "time-out, closing the connection"))

    def shut_down(self) -> None:
        """See ``net.sessions.Session``: between transactions at once, else after the running one."""
        self.hurry()
        self._stopping = True
        if self.speechless:
            self.transport.abortConnection()
        elif self._envelope is None and not self._waiting:
            self._close_with(Reply(421, "4.3.2", "the server is stopping, try again soon"))

    def _close_with(self, reply: Reply) -> None:
        self.engine.close(reply)
        self.flush()

    def protected(self) -> None:
        """The connection is protected: begin anew (RFC 3207 4.2)."""
        self.peer.tls = self.tls
        self.engine.tls_started()

    # -- the engine's events

    def _run(self) -> None:
        """Take events until one has to wait or there are no more, then write all replies at once."""
        if self._running:
            return
        self._running = True
        engine = self.engine
        try:
            while not self._waiting:
                event = engine.next_event()
                if event is None:
                    break
                _ACTIONS[type(event)](self, event)
        except Exception:
            self.log_defect()
            self._close_with(Reply(421, "4.3.0", "internal error, try again later"))
        finally:
            self._running = False
        self.flush()
        if self._stopping and self.open and self._envelope is None and not self._waiting:
            self._close_with(Reply(421, "4.3.2", "the server is stopping, try again soon"))

    def _wait(self, decision: Deferred[Any], decided: Callable[[Any], None]) -> None:
        """Answer the engine with *decided* when *decision* fires, or with what its failure means."""
        self._waiting = True
        decision.addCallback(decided).addErrback(self._refused).addCallback(self._decided)

    def _refused(self, failure: Failure) -> None:
        error: BaseException = failure.value  # type: ignore[assignment]
        if isinstance(error, MailError):
            self.log_refusal(error)
        else:
            self.log_defect(failure)
        self.engine.refuse(reply_to(error))

    def _decided(self, _: None) -> None:
        self._waiting = False
        self._resume(_CONTENT)
        if not self._running:
            self.deadline = min(
                self.service.sessions.now() + self.service.idle_timeout_s, self._content_deadline
            )
            self._run()

    def _hello(self, event: events.Hello) -> None:
        self.peer.helo = event.name
        self.peer.extended = event.extended
        self._forget_transaction()

    def _starttls(self, event: events.StartTls) -> None:
        self.flush()
        self.start_tls()

    def _mail(self, event: events.MailFrom) -> None:
        params = event.params

        def allowed(terms: Terms) -> None:
            self._envelope = Envelope(
                event.sender,
                params.body,
                params.smtputf8,
                params.require_tls,
                params.ret,
                params.envid,
                terms,
                params.size,
            )
            lowered = params.wishes is not None and terms.priority != params.wishes.priority
            self.engine.accept(_lowered(terms.priority) if lowered else None)

        self._wait(self.service.intake.sender(self.peer, event.sender, params.wishes), allowed)

    def _rcpt(self, event: events.RcptTo) -> None:
        assert self._envelope is not None
        recipient = EnvelopeRecipient(event.recipient, event.params.notify, event.params.orcpt)
        self._wait(self.service.intake.recipient(self.peer, self._envelope, recipient), self._accept)

    def _accept(self, _: None) -> None:
        self.engine.accept()

    def _data(self, event: events.DataStart) -> None:
        assert self._envelope is not None
        self._message = self.service.intake.message(self.peer, self._envelope)
        self._content_deadline = self.service.sessions.now() + self.service.content_timeout_s
        self.engine.accept()

    def _content(self, event: events.Content) -> None:
        if self._message is None:
            return
        more = self._message.write(event.data)
        if more is not None:
            self._waiting = True
            self._pause(_CONTENT)
            more.addErrback(self.log_defect).addCallback(self._decided)

    def _content_end(self, event: events.ContentEnd) -> None:
        message, self._message = self._message, None
        assert message is not None
        if event.eight_bit and message.envelope.body == "7BIT":
            # Some clients send 8-bit content without saying so; the next server shall be told (RFC 6152 3).
            message.envelope.body = "8BITMIME"
        self._content_deadline = self.deadline = FOREVER

        def queued(queue_id: str) -> None:
            self._log_accepted(queue_id, message)
            self._envelope = None
            self.engine.accept(Reply(250, "2.0.0", f"Ok: queued as {queue_id}"))

        def refused(failure: Failure) -> Failure:
            self._envelope = None
            return failure

        self._wait(message.finish().addErrback(refused), queued)

    def _log_accepted(self, queue_id: str, message: IncomingMessage) -> None:
        if queue_id != message.queue_id:
            log.info("accepted before", event="duplicate", id=queue_id, **self.session_fields())
            return
        envelope = message.envelope
        log.info(
            event="accepted",
            id=queue_id,
            **{"from": str(envelope.sender or "")},
            recipients=len(envelope.recipients),
            size=message.size,
            **self.session_fields(),
            tls=self.tls,
            message_id=message.message_id,
        )
        if envelope.terms is not NO_TERMS:
            _log_terms(queue_id, envelope.terms)

    def _content_aborted(self, event: events.ContentAborted) -> None:
        self._forget_transaction()

    def _reset(self, event: events.Reset) -> None:
        self._forget_transaction()

    def _forget_transaction(self) -> None:
        self._content_deadline = FOREVER
        self._envelope = None
        if self._message is not None:
            self._message.abort()
            self._message = None

    def _auth_start(self, event: events.AuthStart) -> None:
        authenticator = self.service.authenticator
        assert authenticator is not None
        # Only SCRAM looks at the channel; for the others the bindings would be work for nothing.
        scram = event.mechanism.startswith("SCRAM")
        bindings = tls.channel_bindings(self.transport.getHandle()) if scram else {}
        self._mechanism = event.mechanism
        self._conversation = authenticator.converse(event.mechanism, bindings, "smtp", self.address)
        self._wait(self._conversation.start(event.initial), self._auth_step)

    def _auth_response(self, event: events.AuthResponse) -> None:
        assert self._conversation is not None
        self._wait(self._conversation.respond(event.data), self._auth_step)

    def _auth_step(self, step: Challenge | Success) -> None:
        if isinstance(step, Challenge):
            self.engine.auth_challenge(step.data)
            return
        self._conversation = None
        self.service.sessions.login(self, step.account.address)
        self.peer.account = step.account
        self.log_login(self._mechanism)
        self.engine.make_offer(self.service.intake.offer(self.peer))
        self.engine.auth_succeeded()

    def _auth_cancel(self, event: events.AuthCancel) -> None:
        self._conversation = None

    def _quit(self, event: events.Quit) -> None:
        """The engine has queued its good-bye and is closed; ``flush`` closes the connection."""

    def _too_many_errors(self, event: events.TooManyErrors) -> None:
        self.log_cut_off("too many errors")

    def _abuse(self, event: events.Abuse) -> None:
        self.log_cut_off(event.reason)

    # -- back-pressure

    def pauseProducing(self) -> None:
        """The peer does not read our replies: read no more commands."""
        self._pause(_OUTPUT)

    def resumeProducing(self) -> None:
        """The peer reads again."""
        self._resume(_OUTPUT)

    def stopProducing(self) -> None:
        """The connection is gone; ``connectionLost`` follows."""

    def _pause(self, reason: int) -> None:
        if not self._paused:
            self.transport.pauseProducing()
        self._paused |= reason

    def _resume(self, reason: int) -> None:
        if not self._paused:
            return
        self._paused &= ~reason
        if not self._paused and self.open:
            self.transport.resumeProducing()


_ACTIONS: dict[type, Callable[[SmtpProtocol, Any], None]] = {
    events.Hello: SmtpProtocol._hello,
    events.StartTls: SmtpProtocol._starttls,
    events.MailFrom: SmtpProtocol._mail,
    events.RcptTo: SmtpProtocol._rcpt,
    events.DataStart: SmtpProtocol._data,
    events.Content: SmtpProtocol._content,
    events.ContentEnd: SmtpProtocol._content_end,
    events.ContentAborted: SmtpProtocol._content_aborted,
    events.Reset: SmtpProtocol._reset,
    events.AuthStart: SmtpProtocol._auth_start,
    events.AuthResponse: SmtpProtocol._auth_response,
    events.AuthCancel: SmtpProtocol._auth_cancel,
    events.Quit: SmtpProtocol._quit,
    events.TooManyErrors: SmtpProtocol._too_many_errors,
    events.Abuse: SmtpProtocol._abuse,
}


def _log_terms(queue_id: str, terms: Terms) -> None:
    log.info(
        event="scheduled",
        id=queue_id,
        release=rfc3339(terms.release_ms) if terms.release_ms else "",
        deliver_by=rfc3339(terms.deliver_by_ms) if terms.deliver_by_ms else "",
        mode=terms.deliver_by_mode,
        priority=terms.priority,
    )


def _lowered(priority: int) -> Reply:
    """Return the answer to MAIL where the priority is another than was asked for. Spec: RFC 6710 4.1"""
    return Reply(
        250, "2.3.6", f"{priority} is the priority: a higher one is for accounts that were granted it"
    )


class SmtpFactory(ServerFactory):
    """Makes the connections of one listener; *service* is set before the reactor runs, and anew when settings
    change."""

    noisy = False
    service: SmtpService

    def buildProtocol(self, addr: object) -> SmtpProtocol:
        """Return the protocol of a new connection."""
        return SmtpProtocol(self.service)
