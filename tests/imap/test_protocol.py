"""The Twisted side of a session: log-in, limits, TLS, the PROXY protocol, what is logged."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import formatEvent, globalLogPublisher

from fedaemon.accounts.revocation import Revocation
from fedaemon.imap.session import BLOCK
from fedaemon.net.server_connection import PROXY_TIMEOUT_S, TLS_HANDSHAKE_TIMEOUT_S
from tests.accounts.scram_client import ScramClient
from tests.accounts.world import ALICE, make_account
from tests.imap.connection import LOG_IN, Server, change_account, pass_time
from tests.net.memory_connection import EXPORTED

MAIL = b"Subject: a\r\n\r\nx\r\n"
SELECT = b"x SELECT INBOX\r\n"
LARGE = b"Subject: l\r\n\r\n" + (b"y" * 98 + b"\r\n") * (20 * BLOCK // 100)


class TestLogIn:
    """RFC 9051 6.2.2, 6.2.3."""

    def test_a_whole_session(self) -> None:
        server = Server()
        server.append(MAIL)
        connection = server.connect(log_in=True)
        assert b"* 1 EXISTS\r\n" in connection.say(SELECT)
        assert connection.say(b"f FETCH 1 BODY.PEEK[TEXT]\r\n").startswith(
            b"* 1 FETCH (BODY[TEXT] {3}\r\nx\r\n)"
        )
        assert connection.say(b"q LOGOUT\r\n").startswith(b"* BYE ")
        assert connection.transport.disconnecting
        connection.protocol.connectionLost()
        assert len(server.sessions) == 0

    @pytest.mark.parametrize("initial", [True, False])
    def test_plain(self, initial: bool) -> None:
        connection = Server().connect()
        secret = b64encode(f"\0{ALICE}\0alice's secret".encode())
        if initial:
            said = connection.say(b"a AUTHENTICATE PLAIN " + secret + b"\r\n")
        else:
            assert connection.say(b"a AUTHENTICATE PLAIN\r\n") == b"+ \r\n"
            said = connection.say(secret + b"\r\n")
        assert said.startswith(b"a OK [CAPABILITY ")

    def test_login_mechanism(self) -> None:
        connection = Server().connect()
        assert connection.say(b"a AUTHENTICATE LOGIN\r\n").startswith(b"+ ")
        assert connection.say(b64encode(ALICE.encode()) + b"\r\n").startswith(b"+ ")
        said = connection.say(b64encode(b"alice's secret") + b"\r\n")
        assert said.startswith(b"a OK [CAPABILITY ")

    @pytest.mark.parametrize(
        ("flag", "name"), [("n", b"SCRAM-SHA-256"), ("p=tls-exporter", b"SCRAM-SHA-256-PLUS")]
    )
    def test_scram(self, flag: str, name: bytes) -> None:
        """RFC 5802: with the server's proof in a last challenge, also bound to the channel (RFC 9266)."""
        connection = Server().connect()
        client = ScramClient(ALICE, "alice's secret", flag=flag, binding=EXPORTED if flag != "n" else b"")
        first = connection.say(b"a AUTHENTICATE " + name + b" " + b64encode(client.first()) + b"\r\n")
        proof = connection.say(b64encode(client.final(b64decode(first[2:]))) + b"\r\n")
        assert client.accepts(b64decode(proof[2:]))
        assert connection.say(b"\r\n").startswith(b"a OK [CAPABILITY ")

    def test_an_exchange_that_is_ended(self) -> None:
        connection = Server().connect()
        connection.say(b"a AUTHENTICATE PLAIN\r\n")
        assert connection.say(b"*\r\n").startswith(b"a BAD ")
        assert b"l OK " in connection.say(LOG_IN)

    def test_the_password_must_be_for_imap(self) -> None:
        """An app password of another scope is no way in; one of this scope is."""
        server = Server()
        scopes = {"a": ("for pop3", frozenset({"pop3"})), "b": ("mine", frozenset({"imap"}))}
        server.world.put(make_account(apps=scopes))
        connection = server.connect()
        login = f"a LOGIN {ALICE} ".encode()
        assert connection.say(login + b'"for pop3"\r\n').startswith(b"a NO ")
        assert connection.say(login + b"mine\r\n").startswith(b"a OK ")

    def test_nothing_is_taken_before_tls(self) -> None:
        """RFC 9051 11.1: neither form, and the words are not looked at."""
        server = Server()
        connection = server.connect(tls=False)
        greeting = connection.say(b"")
        assert b"LOGINDISABLED" in greeting
        assert b"AUTH=" not in greeting
        for command in (LOG_IN, b"l AUTHENTICATE PLAIN AGEAYg==\r\n"):
            assert connection.say(command).startswith(b"l NO [PRIVACYREQUIRED] ")
        assert server.world.hashes == 0

    def test_failures_are_held_back_and_locked_out(self) -> None:
        """The lock-out is the one of submission and POP3: the address may not log in there either."""
        server = Server()
        answers = []
        for number in range(12):
            connection = server.connect()
            connection.send(f"a LOGIN {ALICE} wrong{number}\r\n".encode())
            server.clock.pump([1.0] * 30)
            answers.append(connection.transport.read().splitlines()[-1])
            connection.protocol.connectionLost()
        assert answers[0].startswith(b"a NO [AUTHENTICATIONFAILED] ")
        assert answers[-1].startswith(b"a NO [UNAVAILABLE] ")
        peer = connection.protocol.address
        with pytest.raises(Exception, match="Too many"):
            server.world.verify(scope="smtp", peer=peer)
        right = server.connect()
        assert right.say(LOG_IN).startswith(b"l NO [UNAVAILABLE] ")

    def test_wrong_passwords_end_the_session(self) -> None:
        """Who guesses on one connection is sent away."""
        server = Server(errors_per_session=3)
        connection = server.connect()
        for number in range(4):
            connection.send(f"a{number} LOGIN {ALICE} wrong{number}\r\n".encode())
            server.clock.pump([1.0] * 30)
        assert b"\r\n* BYE Too many errors" in connection.transport.read()
        assert connection.transport.disconnecting


class TestLimits:
    """How many connections there may be."""

    def test_of_connections(self) -> None:
        server = Server(per_address=2, per_account=1)
        first, second = server.connect(log_in=True), server.connect()
        assert second.say(LOG_IN).startswith(b"l NO [LIMIT] too many connections of alice")
        third = server.connect(tls=False)
        assert third.transport.value().startswith(
            b"* BYE [UNAVAILABLE] too many connections from your address"
        )
        assert third.transport.disconnecting
        first.protocol.connectionLost()
        assert b"l OK " in second.say(LOG_IN)

    def test_who_left_during_the_log_in_is_not_counted(self) -> None:
        server = Server(per_account=1)
        answer: Deferred[object] = Deferred()
        read = server.store.read
        connection = server.connect()
        cast(Any, server.store).read = lambda function: answer
        connection.send(LOG_IN)
        connection.protocol.connectionLost()
        cast(Any, server.store).read = read
        answer.callback(None)
        server.connect(log_in=True)

    def test_unauthenticate_takes_off_the_count(self) -> None:
        """RFC 8437 3."""
        server = Server(per_account=1)
        first = server.connect(log_in=True)
        assert first.say(b"u UNAUTHENTICATE\r\n").startswith(b"u OK ")
        server.connect(log_in=True)
        assert first.say(LOG_IN).startswith(b"l NO [LIMIT] ")


class TestTls:
    """RFC 9051 6.2.1."""

    def test_starttls(self) -> None:
        connection = Server().connect(tls=False)
        connection.say(b"")
        assert connection.say(b"s STARTTLS\r\n") == b"s OK Begin TLS now\r\n"
        assert connection.transport.factory == "the factory"
        connection.protocol.handshakeCompleted()
        assert connection.transport.value() == b""
        capability = connection.say(b"c CAPABILITY\r\n")
        assert b" AUTH=SCRAM-SHA-256 " in capability
        assert b"STARTTLS" not in capability

    @pytest.mark.parametrize("together", [True, False])
    def test_injection(self, together: bool) -> None:
        """Commands behind STARTTLS, in the same packet or before the handshake, are never run."""
        server = Server()
        connection = server.connect(tls=False)
        connection.say(b"")
        if together:
            said = connection.say(b"s STARTTLS\r\ni NOOP\r\n")
            assert connection.transport.factory is None
        else:
            said = connection.say(b"s STARTTLS\r\n")
            said += connection.say(b"i NOOP\r\n")
        assert b"i OK" not in said
        assert connection.transport.disconnecting

    def test_implicit_tls_greets_after_the_handshake(self) -> None:
        server = Server(implicit_tls=True)
        connection = server.connect(tls=False)
        assert connection.transport.value() == b""
        connection.protocol.handshakeCompleted()
        assert connection.say(b"s STARTTLS\r\n").startswith(b"* OK [CAPABILITY IMAP4rev2 ")
        silent = server.connect(tls=False)
        pass_time(server, TLS_HANDSHAKE_TIMEOUT_S + 10)
        assert silent.transport.disconnected
        assert silent.transport.value() == b""


class TestProxy:
    """The PROXY protocol: the header's address is the client's."""

    def test_the_address(self) -> None:
        server = Server(proxy_protocol=True)
        connection, other, silent = [server.connect(tls=False) for _ in range(3)]
        connection.send(b"PROXY TCP4 192.0.2.9 198.51.100.1 5000 143\r\nn NOOP\r\n")
        assert connection.say(b"").endswith(b"n OK Nothing done\r\n")
        assert connection.protocol.address == "192.0.2.9"
        other.send(b"n NOOP\r\n")
        assert other.transport.disconnecting
        pass_time(server, PROXY_TIMEOUT_S + 10)
        assert silent.transport.disconnected
        assert other.transport.value() == silent.transport.value() == b""
        pass_time(server, 120)
        assert not connection.transport.disconnecting


def test_every_line_of_the_log_has_the_address(logged: list[Any]) -> None:
    """Of log-ins, of refusals and of ends: fail2ban and people look for it; no password is in any."""
    server = Server(per_account=1)
    connection = server.connect()
    connection.send(f"a LOGIN {ALICE} wr0ng\r\n".encode())
    server.clock.pump([1.0] * 10)
    connection.say(LOG_IN)
    server.connect().say(LOG_IN)
    change_account(server, "password")
    revocation = Revocation(server.store, server.sessions, server.clock)
    revocation.look()
    connection.say(b"")
    server.connect()
    pass_time(server, 200)
    events = [event for event in logged if event.get("service") == "imap"]
    assert {event["event"] for event in events} >= {
        "login",
        "login-failed",
        "refused",
        "session-revoked",
        "session-timed-out",
    }
    for line in map(formatEvent, events):
        assert f"address={connection.protocol.address}" in line
        assert "wr0ng" not in line
        assert "secret" not in line


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """Return the list that gathers what is logged."""
    events: list[Any] = []
    globalLogPublisher.addObserver(cast(Any, events.append))
    yield events
    globalLogPublisher.removeObserver(cast(Any, events.append))
