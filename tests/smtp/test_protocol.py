"""The Twisted side of a session: waiting, ordering, back-pressure, time-outs and the end of a connection."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from fedaemon.errors import Refused, Unavailable
from fedaemon.logs import Logger
from fedaemon.logs.line import line
from fedaemon.net.server_connection import PROXY_TIMEOUT_S
from fedaemon.net.sessions import Sessions
from fedaemon.smtp import protocol
from fedaemon.smtp.engine_settings import EngineSettings
from fedaemon.smtp.protocol import (
    BUFFERED_WHILE_WAITING,
    CLOSE_TIMEOUT_S,
    SmtpFactory,
    SmtpProtocol,
    SmtpService,
)
from fedaemon.submission.envelope import Envelope, EnvelopeRecipient, Peer
from fedaemon.submission.wishes import NO_TERMS, Offer, Terms, Wishes

TRANSACTION = b"EHLO x\r\nMAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n"
CONTENT = b"Subject: x\r\n\r\nhello\r\n.\r\n"


class FakeMessage:
    """A message that notes what is written to it; *pause* is what ``write`` returns."""

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        self.queue_id = "ID1"
        self.size = 0
        self.message_id = ""
        self.content = b""
        self.pause: Deferred[None] | None = None
        self.finished: Deferred[str] = Deferred()
        self.aborted = False

    def write(self, data: bytes) -> Deferred[None] | None:
        self.content += data
        return self.pause

    def finish(self) -> Deferred[str]:
        return self.finished

    def abort(self) -> None:
        self.aborted = True


class FakeIntake:
    """An intake whose decisions a test makes."""

    policy = SimpleNamespace(service="submission")

    def __init__(self) -> None:
        self.decision: Deferred[Terms] | None = None
        self.messages: list[FakeMessage] = []
        self.pause: Deferred[None] | None = None

    def offer(self, peer: Peer) -> Offer | None:
        return Offer(3600, "2030-01-01T00:00:00Z", True) if peer.trusted else None

    def sender(self, peer: Peer, sender: object, wishes: Wishes | None) -> Deferred[Terms]:
        if wishes is not None:
            return succeed(Terms(priority=min(wishes.priority, 0)))
        return self.decision or succeed(NO_TERMS)

    def recipient(self, peer: Peer, envelope: Envelope, recipient: EnvelopeRecipient) -> Deferred[None]:
        envelope.add(recipient)
        return succeed(None)

    def message(self, peer: Peer, envelope: Envelope) -> FakeMessage:
        message = FakeMessage(envelope)
        message.pause = self.pause
        self.messages.append(message)
        return message


class Connection:
    """A protocol on a fake transport."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.intake = FakeIntake()
        self.sessions = Sessions(self.clock, per_address=settings.pop("per_address", 0))
        self.sessions.start()
        service = SmtpService(
            engine=EngineSettings("mail.example.test"),
            intake=cast(Any, self.intake),
            sessions=self.sessions,
            tls=None,
            authenticator=None,
            **settings,
        )
        factory = SmtpFactory()
        factory.service = service
        self.protocol: SmtpProtocol = factory.buildProtocol(None)
        self.transport: Any = StringTransport()
        cast(Any, self.protocol).makeConnection(self.transport)

    def said(self) -> bytes:
        """Return what the server wrote since last asked."""
        value: bytes = self.transport.value()
        self.transport.clear()
        return value

    def codes(self) -> list[bytes]:
        """Return the codes of the replies since last asked."""
        return [line[:3] for line in self.said().splitlines() if line[3:4] == b" "]


def test_replies_of_a_pipelined_group_leave_in_one_write() -> None:
    """One group of commands, one write, in the order of the commands."""
    connection = Connection()
    connection.said()
    writes: list[bytes] = []
    connection.transport.write = writes.append
    connection.protocol.dataReceived(TRANSACTION)
    assert len(writes) == 1
    assert [line[:3] for line in writes[0].splitlines() if line[3:4] == b" "] == [b"250"] * 3 + [b"354"]


def test_no_reply_overtakes_a_decision() -> None:
    """While the sender is being decided on, pipelined commands wait; afterwards all are answered in order."""
    connection = Connection()
    connection.said()
    connection.intake.decision = Deferred()
    connection.protocol.dataReceived(TRANSACTION)
    assert connection.codes() == [b"250"]
    connection.intake.decision.callback(NO_TERMS)
    assert connection.codes() == [b"250", b"250", b"354"]


def test_what_is_accepted_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, with what it is found by; a copy that is not queued again has a line of its own."""
    logged: list[dict[str, Any]] = []
    observer: Any = logged.append
    monkeypatch.setattr(protocol, "log", Logger(observer=observer))
    connection = Connection()
    for queue_id in ("ID1", "ID0"):
        connection.protocol.dataReceived(TRANSACTION)
        connection.protocol.dataReceived(CONTENT)
        connection.intake.messages[-1].finished.callback(queue_id)
    first, second = [line(event) for event in logged]
    assert first.startswith("accepted id=ID1 from=<")
    assert f" service=submission session={connection.protocol.number} address=" in first
    assert second.startswith("duplicate: accepted before id=ID0 service=submission ")


def test_the_250_waits_for_the_queue() -> None:
    """The reply to the final dot comes when the message is durable, with its id, and not before."""
    connection = Connection()
    connection.protocol.dataReceived(TRANSACTION)
    connection.said()
    connection.protocol.dataReceived(CONTENT + b"NOOP\r\n")
    assert connection.said() == b""
    (message,) = connection.intake.messages
    assert message.content == b"Subject: x\r\n\r\nhello\r\n"
    message.finished.callback("ID1")
    assert connection.said() == b"250 2.0.0 Ok: queued as ID1\r\n250 2.0.0 Ok\r\n"


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (Refused("not you"), b"550 5.7.1 not you\r\n"),
        (Unavailable("disk"), b"451 4.3.0 disk\r\n"),
        (Refused("later", code=450, status="4.7.1"), b"450 4.7.1 later\r\n"),
    ],
)
def test_a_refused_message_gets_its_reply(error: Exception, reply: bytes) -> None:
    """The error family decides the reply, and the session goes on."""
    connection = Connection()
    connection.protocol.dataReceived(TRANSACTION)
    connection.said()
    connection.protocol.dataReceived(CONTENT)
    connection.intake.messages[0].finished.errback(Failure(error))
    assert connection.said() == reply
    connection.protocol.dataReceived(b"MAIL FROM:<a@example.test>\r\n")
    assert connection.codes() == [b"250"]


def test_a_bug_is_a_temporary_failure() -> None:
    """Whatever goes wrong inside is 451, never permanent, and tells nothing of the inside."""
    connection = Connection()
    connection.protocol.dataReceived(TRANSACTION)
    connection.said()
    connection.protocol.dataReceived(CONTENT)
    connection.intake.messages[0].finished.errback(Failure(ZeroDivisionError("secret")))
    said = connection.said()
    assert said.startswith(b"451 4.3.0 ")
    assert b"secret" not in said


def test_reading_stops_while_the_spool_is_behind() -> None:
    """A spool that asks for a pause stops the reading, and its Deferred starts it again."""
    connection = Connection()
    connection.intake.pause = Deferred()
    connection.protocol.dataReceived(TRANSACTION)
    connection.protocol.dataReceived(b"Subject: x\r\n")
    assert connection.transport.producerState == "paused"
    connection.intake.messages[0].pause = None
    connection.intake.pause.callback(None)
    assert connection.transport.producerState == "producing"


def test_reading_stops_when_a_client_floods_while_it_waits() -> None:
    """What piles up behind an open decision is bounded."""
    connection = Connection()
    connection.intake.decision = Deferred()
    connection.protocol.dataReceived(b"EHLO x\r\nMAIL FROM:<a@example.test>\r\n")
    connection.protocol.dataReceived(b"NOOP\r\n" * (BUFFERED_WHILE_WAITING // 6))
    assert connection.transport.producerState == "producing"
    connection.protocol.dataReceived(b"NOOP\r\n" * 10)
    assert connection.transport.producerState == "paused"
    connection.intake.decision.callback(NO_TERMS)
    assert connection.transport.producerState == "producing"


def test_reading_stops_while_the_peer_does_not_read() -> None:
    """A peer that does not take our replies is not read from."""
    connection = Connection()
    connection.protocol.pauseProducing()
    assert connection.transport.producerState == "paused"
    connection.protocol.resumeProducing()
    assert connection.transport.producerState == "producing"


def test_an_idle_session_is_closed_with_421() -> None:
    """After the idle time the client is told and the connection closed; after the close time it is cut."""
    connection = Connection(idle_timeout_s=60.0)
    connection.said()
    connection.clock.pump([5.0] * 11)
    assert connection.said() == b""
    connection.clock.pump([5.0] * 2)
    assert connection.said().startswith(b"421 4.4.2 ")
    assert connection.transport.disconnecting
    connection.clock.advance(CLOSE_TIMEOUT_S + 5.0)
    assert connection.transport.disconnected


def test_a_slow_content_ends_at_its_deadline() -> None:
    """A client that trickles content keeps the idle time away, but not the time for the whole content."""
    connection = Connection(idle_timeout_s=60.0, content_timeout_s=120.0)
    connection.protocol.dataReceived(TRANSACTION)
    connection.said()
    for _ in range(23):
        connection.clock.advance(5.0)
        connection.protocol.dataReceived(b"x")
    assert connection.said() == b""
    connection.clock.pump([5.0] * 2)
    assert connection.said().startswith(b"421 4.4.2 ")


def test_waiting_for_the_store_is_no_time_out() -> None:
    """While the message is being stored the client is not to blame."""
    connection = Connection(idle_timeout_s=60.0, content_timeout_s=60.0)
    connection.protocol.dataReceived(TRANSACTION + CONTENT)
    connection.said()
    connection.clock.pump([5.0] * 50)
    assert connection.said() == b""


def test_too_many_connections_are_told() -> None:
    """The connection over the limit hears 421 instead of the greeting."""
    connection = Connection(per_address=1)
    assert connection.said().startswith(b"220 ")
    other: Any = SmtpProtocol(connection.protocol.service)
    transport = StringTransport()
    other.makeConnection(transport)
    assert transport.value().startswith(b"421 4.7.0 ")
    assert transport.disconnecting


def test_content_of_a_lost_connection_is_thrown_away() -> None:
    """A client that goes in the middle of its content leaves nothing."""
    connection = Connection()
    connection.protocol.dataReceived(TRANSACTION + b"half")
    connection.protocol.connectionLost()
    assert connection.intake.messages[0].aborted
    assert len(connection.sessions) == 0


def test_a_stop_ends_idle_sessions_at_once_and_others_after_their_message() -> None:
    """Nobody is cut off in a transaction, and nobody begins another."""
    idle, busy = Connection(), Connection()
    busy.protocol.dataReceived(TRANSACTION)
    idle.said(), busy.said()
    idle.sessions.stop(30.0)
    busy.sessions.stop(30.0)
    assert idle.said().startswith(b"421 4.3.2 ")
    assert busy.said() == b""
    busy.protocol.dataReceived(CONTENT)
    busy.intake.messages[0].finished.callback("ID1")
    assert [line[:3] for line in busy.said().splitlines()] == [b"250", b"421"]
    assert busy.transport.disconnecting


def test_a_proxy_tells_the_address_of_the_client() -> None:
    """The PROXY header's address is the peer's, and what follows it in the same packet is the client's."""
    connection = Connection(proxy_protocol=True)
    assert connection.said() == b""
    connection.protocol.dataReceived(b"PROXY TCP4 192.0.2.9 198.51.100.1 5000 25\r\n")
    assert connection.said().startswith(b"220 ")
    assert connection.protocol.peer.address == "192.0.2.9"


def test_a_listener_that_expects_a_proxy_takes_no_other() -> None:
    """Anything but a header closes the connection without a word, and so does silence."""
    connection = Connection(proxy_protocol=True)
    connection.protocol.dataReceived(b"EHLO x\r\n")
    assert connection.said() == b""
    assert connection.transport.disconnecting
    silent = Connection(proxy_protocol=True)
    silent.clock.advance(PROXY_TIMEOUT_S + 5.0)
    assert silent.transport.disconnected


@pytest.mark.parametrize(("parameter", "size"), [(b"", None), (b" SIZE=0", None), (b" SIZE=1234", 1234)])
def test_the_size_declared_stands_in_the_envelope(parameter: bytes, size: int | None) -> None:
    """Whoever judges the recipients needs it (RFC 1870 6.4)."""
    connection = Connection()
    connection.protocol.dataReceived(TRANSACTION.replace(b"a@example.test>", b"a@example.test>" + parameter))
    assert connection.intake.messages[0].envelope.size == size
