"""One connection on Twisted: timeouts, back-pressure, trouble with the content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from fedaemon.delivery.transport import HostTls, Recipient
from fedaemon.smtp.client_blocks import BLOCK_OCTETS
from fedaemon.smtp.client_envelope import Envelope
from fedaemon.smtp.client_failure import ConnectionFailed
from fedaemon.smtp.client_protocol import ClientConnection
from fedaemon.smtp.client_target import Target
from fedaemon.smtp.client_timeouts import Timeouts
from tests.smtp_client.fakes import FakeTls, FakeTransport, Text, handshake_failure, unstuff

EHLO = b"250-mx.example.net\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"


class World:
    """A connection on a transport that only records."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.closed: list[ClientConnection] = []
        target = Target("mx.example.net", "192.0.2.1", 25, HostTls())
        self.connection = ClientConnection(
            target, "mail.example.org", self.clock, Timeouts(), self.closed.append
        )
        self.transport = FakeTransport()
        self.transport.protocol = self.connection
        connection: Any = self.connection
        connection.makeConnection(self.transport)
        self.result: list[Any] = []

    def watch(self, step: Deferred[Any]) -> None:
        self.result = []
        step.addBoth(self.result.append)

    def says(self, data: bytes) -> bytes:
        self.transport.take()
        self.connection.dataReceived(data)
        return self.transport.take()

    def ready(self) -> None:
        self.watch(self.connection.ready())
        self.says(b"220 mx\r\n")
        self.says(EHLO)
        assert self.result == [None]

    def send(self, content: Any) -> None:
        self.watch(self.connection.send(Envelope("a@x", (Recipient(0, "b@x"),), content.size), content))

    def in_content(self, content: Any) -> bytes:
        self.ready()
        self.send(content)
        return self.says(b"250 ok\r\n250 ok\r\n354 go\r\n")

    @property
    def failure(self) -> ConnectionFailed:
        [failure] = self.result
        assert isinstance(failure, Failure)
        error = failure.value
        assert isinstance(error, ConnectionFailed)
        return error


def at_greeting(world: World) -> None:
    world.watch(world.connection.ready())


def at_ehlo(world: World) -> None:
    at_greeting(world)
    world.says(b"220 mx\r\n")


def at_starttls(world: World) -> None:
    world.ready()
    world.watch(world.connection.start_tls(FakeTls().creator("mx.example.net", verify=False)))


def at_handshake(world: World) -> None:
    at_starttls(world)
    world.says(b"220 go\r\n")


def at_auth(world: World) -> None:
    world.ready()
    world.watch(world.connection.authenticate("alice", "secret"))


def at_mail(world: World) -> None:
    world.ready()
    world.send(Text(b"Hi\r\n"))


def at_rcpt(world: World) -> None:
    at_mail(world)
    world.says(b"250 ok\r\n")


def at_data(world: World) -> None:
    at_rcpt(world)
    world.says(b"250 ok\r\n")


def at_final(world: World) -> None:
    at_data(world)
    world.says(b"354 go\r\n")


PLACES: list[tuple[Callable[[World], None], float, str]] = [
    (at_greeting, 300, "greeting"),
    (at_ehlo, 300, "ehlo"),
    (at_starttls, 300, "tls"),
    (at_handshake, 60, "tls"),
    (at_auth, 300, "auth"),
    (at_mail, 300, "mail"),
    (at_rcpt, 300, "rcpt"),
    (at_data, 120, "data"),
    (at_final, 600, "content"),
]


@pytest.mark.parametrize(("reach", "timeout_s", "phase"), PLACES)
def test_each_wait_has_its_timeout(reach: Callable[[World], None], timeout_s: float, phase: str) -> None:
    world = World()
    reach(world)
    world.clock.advance(timeout_s - 1)
    assert world.result == []
    world.clock.advance(1)
    assert world.failure.reason.phase == phase
    assert f"timed out after {timeout_s:.0f} s" in world.failure.reason.text
    assert world.transport.aborted


@pytest.mark.parametrize(("reach", "timeout_s", "phase"), PLACES)
def test_a_lost_connection_is_told_with_its_phase(
    reach: Callable[[World], None], timeout_s: float, phase: str
) -> None:
    world = World()
    reach(world)
    world.connection.connectionLost(Failure(ConnectionLost()))
    assert (world.failure.reason.phase, world.failure.reason.code) == (phase, 0)
    assert world.closed == [world.connection]
    assert world.clock.getDelayedCalls() == []


def test_a_dripping_server_gains_no_time() -> None:
    """Only whole replies count: an octet a minute does not keep the connection."""
    world = World()
    at_mail(world)
    for octet in (b"2", b"5", b"0", b" "):
        world.clock.advance(60)
        world.says(octet)
    world.clock.advance(60)
    assert world.failure.reason.phase == "mail"


def test_a_session_has_an_end_however_slowly_it_goes_on() -> None:
    """A server that answers every command just in time is left after session_s."""
    world = World()
    world.ready()
    recipients = tuple(Recipient(number, f"b{number}@x") for number in range(100))
    world.watch(world.connection.send(Envelope("a@x", recipients, 4), Text(b"Hi\r\n")))
    for _ in range(60):
        world.says(b"250 ok\r\n")
        world.clock.advance(290)
        if world.result:
            break
    assert "session took longer" in world.failure.reason.text


def test_a_message_within_a_block_leaves_with_its_end_in_one_write() -> None:
    world = World()
    assert world.in_content(Text(b".Hi\r\n")) == b"..Hi\r\n.\r\n"
    assert world.transport.producer is None
    world.says(b"250 2.0.0 queued\r\n")
    assert world.result[0][0].delivered


def test_content_is_read_only_as_fast_as_the_network_takes_it() -> None:
    """Back-pressure: a paused transport gets at most the block it was being given."""
    world = World()
    content = Text(b"0123456789abcd\r\n" * (10 * BLOCK_OCTETS // 16))
    blocks = content.chunks()
    taken = 0

    def counted(size: int = 0, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        nonlocal taken
        for block in blocks:
            taken += 1
            if taken % 3 == 0:
                world.transport.producer.pauseProducing()
            yield block

    content.chunks = counted  # type: ignore[method-assign]
    sent = world.in_content(content)
    assert taken == 3
    while world.transport.producer is not None:
        before = taken
        world.transport.take()
        world.transport.producer.resumeProducing()
        sent += world.transport.take()
        assert taken - before <= 3
    assert unstuff(sent) == (content.data, b"")
    world.says(b"250 2.0.0 queued\r\n")
    assert world.result[0][0].delivered


def test_a_host_that_takes_no_content_is_left_after_three_minutes() -> None:
    world = World()
    content = Text(b"x" * 10 * BLOCK_OCTETS)

    def pausing(size: int = 0, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        for at in range(0, len(content.data), BLOCK_OCTETS):
            if at:
                world.transport.producer.pauseProducing()
            yield content.data[at : at + BLOCK_OCTETS]

    content.chunks = pausing  # type: ignore[method-assign]
    world.in_content(content)
    world.clock.advance(170)
    world.transport.producer.resumeProducing()
    world.clock.advance(170)
    assert world.result == []
    world.clock.advance(10)
    assert (world.failure.reason.phase, world.failure.answers) == ("content", (None,))
    assert world.transport.producer is None
    assert not world.transport.take().endswith(b"\r\n.\r\n")


@pytest.mark.parametrize("declared", [9, 11, 200_000])
def test_content_that_is_not_as_long_as_it_should_be_gets_no_end(declared: int) -> None:
    """A truncated file must not be delivered as if it were the message."""
    world = World()
    sent = world.in_content(Text(b"x" * 8 + b"\r\n", declared))
    assert not sent.endswith(b".\r\n")
    [answer] = world.failure.answers
    assert answer is not None
    assert (answer.phase, answer.status, answer.permanent) == ("content", "4.3.0", False)
    assert world.transport.aborted


def test_content_that_cannot_be_read_gets_no_end() -> None:
    world = World()
    content = Text(b"x" * 100_000)

    def failing(size: int = 0, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        yield b"x" * BLOCK_OCTETS
        raise OSError(5, "Input/output error")

    content.chunks = failing  # type: ignore[method-assign]
    sent = world.in_content(content)
    assert sent == b"x" * BLOCK_OCTETS
    assert "could not be read" in world.failure.reason.text
    assert world.transport.producer is None
    assert world.transport.aborted


def test_a_refusal_while_content_is_sent_stops_it_and_closes() -> None:
    world = World()
    content = Text(b"x" * 10 * BLOCK_OCTETS)

    def pausing(size: int = 0, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        yield content.data[:BLOCK_OCTETS]
        world.transport.producer.pauseProducing()
        yield content.data[BLOCK_OCTETS:]

    content.chunks = pausing  # type: ignore[method-assign]
    world.in_content(content)
    assert world.says(b"552 5.3.4 too big\r\n") == b""
    [[answer]] = world.result
    assert (answer.code, answer.permanent) == (552, True)
    assert world.transport.producer is None
    assert world.transport.aborted
    assert not world.connection.usable


def test_tls_is_described_and_the_conversation_begins_anew() -> None:
    world = World()
    at_handshake(world)
    assert world.transport.tls is not None
    world.transport.take()
    world.connection.handshakeCompleted()
    assert world.transport.take() == b"EHLO mail.example.org\r\n"
    assert world.result == []
    world.says(b"250 mx\r\n")
    assert world.result == [None]
    assert world.connection.tls == "TLSv1.3 TEST"


def test_a_failed_handshake_says_why() -> None:
    world = World()
    at_handshake(world)
    world.connection.connectionLost(Failure(handshake_failure()))
    reason = world.failure.reason
    assert (reason.phase, reason.status) == ("tls", "4.7.5")
    assert reason.text == "the TLS handshake failed: no shared cipher"


def test_quit_waits_for_nobody_longer_than_a_moment() -> None:
    world = World()
    world.ready()
    world.transport.take()
    world.connection.quit()
    assert world.transport.take() == b"QUIT\r\n"
    assert not world.transport.disconnecting
    world.clock.advance(5)
    assert world.transport.aborted


def test_quit_answered_closes_and_a_server_that_keeps_the_connection_is_cut_off() -> None:
    world = World()
    world.ready()
    world.connection.quit()
    world.says(b"221 bye\r\n")
    assert world.transport.disconnecting
    assert not world.transport.aborted
    world.clock.advance(5)
    assert world.transport.aborted


def test_a_refused_greeting_is_answered_by_quit_and_closing() -> None:
    world = World()
    at_greeting(world)
    assert world.says(b"554 5.7.1 go away\r\n") == b"QUIT\r\n"
    assert world.failure.reason.code == 554
    assert world.transport.disconnecting


def test_abandon_fails_what_is_under_way() -> None:
    world = World()
    at_data(world)
    world.connection.abandon("shutting down")
    assert world.failure.reason.text == "shutting down"
    assert world.transport.aborted
    world.connection.connectionLost(Failure(ConnectionDone()))
    assert world.closed == [world.connection]


def test_a_step_on_a_connection_that_was_lost_meanwhile_fails() -> None:
    world = World()
    world.ready()
    world.connection.connectionLost(Failure(ConnectionDone()))
    world.send(Text(b"Hi\r\n"))
    assert world.failure.reason.code == 0


def test_small_blocks_leave_in_one_write() -> None:
    """A signature and the message behind it are not two packets."""
    world = World()
    content = Text(b"DKIM-Signature: x\r\nSubject: y\r\n\r\nHi\r\n")

    def in_two(size: int = 0, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        return iter([content.data[:19], content.data[19:]])

    content.chunks = in_two  # type: ignore[method-assign]
    world.ready()
    world.send(content)
    world.transport.take()
    world.connection.dataReceived(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert world.transport.written == [content.data + b".\r\n"]


def test_a_transaction_that_is_given_up_ends_the_connection_without_a_word() -> None:
    """A QUIT in the middle of it could become part of a message."""
    world = World()
    at_mail(world)
    world.transport.take()
    world.connection.quit()
    assert world.transport.take() == b""
    assert world.transport.aborted


def test_content_that_cannot_even_be_opened_leaves_the_connection_in_order() -> None:
    world = World()
    world.ready()
    content = Text(b"Hi\r\n")

    def gone(size: int = 0, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        raise OSError(2, "No such file or directory")

    content.chunks = gone  # type: ignore[method-assign]
    with pytest.raises(OSError, match="No such file"):
        world.send(content)
    assert world.connection.usable
    world.send(Text(b"Hi\r\n"))
    assert world.says(b"250 ok\r\n250 ok\r\n354 go\r\n") == b"Hi\r\n.\r\n"


def test_a_connection_that_rests_has_no_timeout() -> None:
    world = World()
    world.ready()
    world.connection.rest()
    world.clock.advance(3000)
    assert not world.transport.aborted
    world.send(Text(b"Hi\r\n"))
    world.clock.advance(299)
    assert world.result == []
    world.clock.advance(1)
    assert world.failure.reason.phase == "mail"


def test_the_calendar_of_the_reactor_is_left_alone_from_step_to_step() -> None:
    """One entry for the connection, which stays where it is while its replies come in time."""
    world = World()
    world.ready()
    entries: set[tuple[int, float]] = set()
    for _ in range(50):
        world.send(Text(b"Hi\r\n"))
        world.says(b"250 ok\r\n250 ok\r\n354 go\r\n")
        world.says(b"250 queued\r\n")
        assert world.result[0][0].delivered
        world.clock.advance(1)
        calls: list[Any] = list(world.clock.getDelayedCalls())
        entries |= {(id(call), call.getTime()) for call in calls}
    assert len(entries) == 1
