"""The Twisted side of a session: time-outs, and how connections end."""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, fail

from fedaemon.accounts.revocation import Revocation
from fedaemon.imap.protocol import CLOSE_TIMEOUT_S
from fedaemon.imap.session import BLOCK
from fedaemon.net.server_connection import TLS_HANDSHAKE_TIMEOUT_S
from fedaemon.store.errors import StoreFull
from tests.accounts.world import ALICE
from tests.imap.connection import Server, change_account, pass_time

MAIL = b"Subject: a\r\n\r\nx\r\n"
SELECT = b"x SELECT INBOX\r\n"
LARGE = b"Subject: l\r\n\r\n" + (b"y" * 98 + b"\r\n") * (20 * BLOCK // 100)


class TestTime:
    """RFC 9051 5.4."""

    def test_before_the_log_in(self) -> None:
        """Three minutes in all: talk does not prolong it."""
        server = Server()
        connection = server.connect()
        pass_time(server, 100)
        assert connection.say(b"n NOOP\r\n").startswith(b"n OK ")
        pass_time(server, 75)
        assert not connection.transport.disconnecting
        pass_time(server, 15)
        assert connection.transport.read().startswith(b"* BYE ")
        assert connection.transport.disconnecting

    def test_behind_unauthenticate(self) -> None:
        """The time to log in begins anew."""
        server = Server()
        connection = server.connect(log_in=True)
        pass_time(server, 1000)
        connection.say(b"u UNAUTHENTICATE\r\n")
        pass_time(server, 170)
        assert not connection.transport.disconnecting
        pass_time(server, 20)
        assert connection.transport.disconnecting

    def test_a_handshake_that_does_not_come(self) -> None:
        """Behind STARTTLS as on the port for implicit TLS; nothing can be said any more."""
        server = Server()
        connection = server.connect(tls=False)
        connection.say(b"s STARTTLS\r\n")
        pass_time(server, TLS_HANDSHAKE_TIMEOUT_S + 10)
        assert connection.transport.disconnected
        assert connection.transport.value() == b""

    @pytest.mark.parametrize("idle", [False, True])
    def test_after_it(self, idle: bool) -> None:
        """Half an hour at least, IDLE or not; then BYE, and who does not take that is cut."""
        server = Server()
        connection = server.connect(log_in=True)
        if idle:
            assert connection.say(b"i IDLE\r\n") == b"+ idling\r\n"
        pass_time(server, 1800)
        assert not connection.transport.disconnecting
        pass_time(server, 75)
        assert connection.transport.read().startswith(b"* BYE ")
        assert connection.transport.disconnecting
        pass_time(server, CLOSE_TIMEOUT_S + 10)
        assert connection.transport.disconnected

    def test_news_do_not_keep_a_client_alive(self) -> None:
        """A client that is gone without a word is found out, also where mail comes every minute."""
        server = Server()
        server.append(MAIL)
        connection = server.connect(log_in=True)
        connection.say(SELECT + b"i IDLE\r\n")
        for _ in range(32):
            pass_time(server, 60)
            server.append(MAIL)
            connection.say(b"")
        assert connection.transport.disconnecting

    def test_waiting_for_the_store_is_no_time_out(self) -> None:
        server = Server()
        connection = server.connect(log_in=True)
        answer: Deferred[Any] = Deferred()
        cast(Any, server.store).write = lambda function: answer
        connection.send(b"c CREATE x\r\n")
        pass_time(server, 4000)
        assert not connection.transport.disconnecting
        answer.errback(StoreFull("no room"))
        assert connection.say(b"").startswith(b"c NO ")

    def test_a_content_that_stops_half_way(self) -> None:
        """What was collected of it is thrown away."""
        server = Server()
        connection = server.connect(log_in=True)
        connection.say(b"a APPEND INBOX {100+}\r\nhalf")
        pass_time(server, 1900)
        assert connection.transport.disconnecting
        connection.protocol.connectionLost()
        assert [spool.discarded for spool in server.spools] == [True]


class TestEnd:
    """RFC 9051 7.1.5."""

    def test_a_stop_ends_sessions_between_commands(self) -> None:
        server = Server()
        server.append(LARGE)
        idle, waiting, busy = [server.connect(log_in=True) for _ in range(3)]
        waiting.say(SELECT + b"i IDLE\r\n")
        busy.say(SELECT)
        busy.send(b"f FETCH 1 BODY.PEEK[]\r\nn NOOP\r\n")
        server.sessions.stop(30.0)
        for connection in (idle, waiting):
            assert connection.transport.read().startswith(b"* BYE [UNAVAILABLE] ")
            assert connection.transport.disconnecting
        assert not busy.transport.disconnecting
        said = busy.say(b"")
        assert b"\r\nf OK " in said
        assert b"\r\n* BYE [UNAVAILABLE] " in said
        assert busy.transport.disconnecting

    @pytest.mark.parametrize("idle", [False, True])
    @pytest.mark.parametrize("how", ["password", "disabled", "removed app password"])
    def test_a_session_ends_with_its_password(self, how: str, idle: bool) -> None:
        """Also one that only listens: ``accounts.revocation`` looks after each commit of another process."""
        server = Server()
        connection = server.connect()
        secret = "app secret" if "app" in how else "alice's secret"
        assert b"a OK " in connection.say(f'a LOGIN {ALICE} "{secret}"\r\n'.encode())
        other = server.connect(log_in=True) if "app" in how else None
        if idle:
            connection.say(b"i IDLE\r\n")
        revocation = Revocation(server.store, server.sessions, server.clock)
        revocation.look()
        assert connection.say(b"") == b""
        change_account(server, how)
        revocation.look()
        assert connection.say(b"").startswith(b"* BYE ")
        assert connection.transport.disconnecting
        if other is not None:
            assert other.say(b"n NOOP\r\n").startswith(b"n OK ")

    def test_a_bug_is_no_end(self) -> None:
        """It tells nothing of the inside, and the session goes on."""
        server = Server()
        connection = server.connect(log_in=True)
        read = server.store.read
        cast(Any, server.store).read = lambda function: fail(ZeroDivisionError("secret"))
        said = connection.say(SELECT)
        assert said.startswith(b"x NO [SERVERBUG] ")
        assert b"secret" not in said
        cast(Any, server.store).read = read
        assert b"x OK " in connection.say(SELECT)

    def test_a_connection_lost_in_the_middle_is_at_rest(self) -> None:
        """No turn is left that would write to it, and no mailbox is watched for it."""
        server = Server()
        server.append(LARGE)
        connection = server.connect(log_in=True)
        connection.say(SELECT)
        connection.send(b"f FETCH 1 BODY.PEEK[]\r\n")
        assert connection.turns()
        connection.protocol.connectionLost()
        assert not connection.turns()
        assert not server.live._open
