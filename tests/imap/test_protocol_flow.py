"""The Twisted side of a session: back-pressure, turns of the reactor, compression."""

from __future__ import annotations

import zlib
from typing import Any, cast

from fedaemon.imap.protocol import BUFFERED
from fedaemon.imap.session import BLOCK
from tests.imap.connection import Connection, Server, pass_time

MAIL = b"Subject: a\r\n\r\nx\r\n"
SELECT = b"x SELECT INBOX\r\n"
LARGE = b"Subject: l\r\n\r\n" + (b"y" * 98 + b"\r\n") * (20 * BLOCK // 100)


def read_on(connection: Connection, until: bytes) -> bytes:
    """Read as a client that takes what there is, until *until* has come."""
    received = b""
    while not received.endswith(until):
        connection.protocol.resumeProducing()
        more = connection.say(b"")
        assert more
        received += more
    return received


class TestRoom:
    """Promise 4: what a client does not read is not made."""

    def test_a_large_message_is_made_as_it_is_read(self) -> None:
        server = Server()
        server.append(LARGE)
        connection = server.connect(log_in=True)
        connection.say(SELECT)
        connection.transport.room = BLOCK
        received = connection.say(b"f FETCH 1 BODY.PEEK[]\r\nn NOOP\r\n")
        assert len(received) <= 3 * BLOCK
        assert connection.say(b"") == b""
        received += read_on(connection, b"n OK Nothing done\r\n")
        assert b"{%d}\r\n" % len(LARGE) + LARGE in received
        assert connection.transport.largest <= 3 * BLOCK

    def test_who_reads_slowly_is_not_cut(self) -> None:
        """Also when it takes longer than a silent client may."""
        server = Server()
        server.append(LARGE)
        connection = server.connect(log_in=True)
        connection.say(SELECT)
        connection.transport.room = 1_000
        received, waited_s = connection.say(b"f FETCH 1 BODY.PEEK[]\r\n"), 0
        while not received.endswith(b"f OK Fetched\r\n"):
            pass_time(server, 300)
            waited_s += 300
            connection.protocol.resumeProducing()
            received += connection.say(b"")
        assert not connection.transport.disconnected
        assert waited_s > 2000

    def test_a_fetch_of_everything(self) -> None:
        """Many small answers are no more than one large one."""
        server = Server()
        server.append(MAIL, count=20_000)
        connection = server.connect(log_in=True)
        connection.say(SELECT)
        connection.transport.room = BLOCK
        received = connection.say(b"f FETCH 1:* (UID FLAGS)\r\n")
        received += read_on(connection, b"f OK Fetched\r\n")
        assert received.count(b" FETCH ") == 20_000
        assert connection.transport.largest <= 3 * BLOCK

    def test_reading_stops_while_commands_wait(self) -> None:
        server = Server()
        server.append(LARGE)
        connection = server.connect(log_in=True)
        connection.say(SELECT)
        connection.transport.room = BLOCK
        connection.send(b"f FETCH 1 BODY.PEEK[]\r\n" * 10)
        assert connection.transport.producerState == "producing"
        connection.send(b"n NOOP\r\n" * (BUFFERED // 8 + 1))
        assert connection.transport.producerState == "paused"
        assert connection.transport.largest <= 3 * BLOCK

    def test_who_never_reads_is_cut(self) -> None:
        """Sending commands does not keep it alive."""
        server = Server()
        server.append(LARGE)
        connection = server.connect(log_in=True)
        connection.say(SELECT)
        connection.transport.room = BLOCK
        connection.send(b"f FETCH 1 BODY.PEEK[]\r\n")
        while connection.turns():
            server.clock.advance(0)
        for _ in range(32):
            connection.send(b"n NOOP\r\n")
            pass_time(server, 60)
        assert connection.transport.disconnected

    def test_a_large_answer_leaves_others_their_turn(self) -> None:
        server = Server()
        server.append(LARGE)
        connection = server.connect(log_in=True)
        connection.say(SELECT)
        connection.send(b"f FETCH 1 BODY.PEEK[]\r\n")
        assert len(connection.transport.value()) <= 2 * BLOCK
        assert len(connection.turns()) == 1

    def test_a_hundred_thousand_commands_leave_others_their_turn(self) -> None:
        """So many in a turn, whatever came in one packet."""
        server = Server()
        connection, other = server.connect(log_in=True), server.connect(log_in=True)
        connection.send(b"n NOOP\r\n" * 100_000)
        first = connection.transport.read().count(b"\r\n")
        assert 0 < first < 1_000
        other.send(b"o NOOP\r\n")
        assert other.transport.read().startswith(b"o OK ")
        assert first + connection.say(b"").count(b"\r\n") == 100_000


class TestCompress:
    """RFC 4978."""

    def start(self, server: Server) -> tuple[Connection, Any, Any]:
        connection = server.connect(log_in=True)
        assert connection.say(b"z COMPRESS DEFLATE\r\n").startswith(b"z OK ")
        return connection, zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def test_both_directions(self) -> None:
        server = Server()
        server.append(MAIL)
        connection, deflate, inflate = self.start(server)
        sent = deflate.compress(SELECT + b"c CAPABILITY\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH)
        said = b"".join(
            inflate.decompress(connection.say(sent[place : place + 1])) for place in range(len(sent))
        )
        assert b"* 1 EXISTS\r\n" in said
        assert b"\r\nc OK " in said
        assert b"COMPRESS=DEFLATE" not in said

    def test_what_came_with_it(self) -> None:
        """Octets behind the command in its packet are deflated already."""
        server = Server()
        connection = server.connect(log_in=True)
        deflate, inflate = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
        sent = deflate.compress(b"n NOOP\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH)
        said = connection.say(b"z COMPRESS DEFLATE\r\n" + sent)
        clear, _, rest = said.partition(b"\r\n")
        assert clear.startswith(b"z OK ")
        assert inflate.decompress(rest).startswith(b"n OK ")

    def test_a_bomb(self) -> None:
        """A few octets that stand for many: they are inflated as they are read, and refused as any long line."""
        server = Server()
        connection, deflate, inflate = self.start(server)
        sent = deflate.compress(b"n NOOP " + b"x" * (1 << 29)) + deflate.flush(zlib.Z_SYNC_FLUSH)
        assert len(sent) < 1 << 20
        for place in range(0, len(sent), 1 << 16):
            connection.send(sent[place : place + 65536])
            while connection.turns():
                server.clock.advance(0)
        assert b"* BYE " in inflate.decompress(connection.transport.read())
        assert connection.transport.disconnecting

    def test_a_bomb_of_commands(self) -> None:
        """No more is inflated than is read; the rest waits as it came."""
        server = Server()
        connection, deflate, inflate = self.start(server)
        sent = deflate.compress(b"n NOOP\r\n" * 60_000) + deflate.flush(zlib.Z_SYNC_FLUSH)
        engine, waited = connection.protocol.engine, list[int]()
        receive = engine.receive

        def receiving(data: bytes) -> None:
            receive(data)
            waited.append(engine.buffered)

        cast(Any, engine).receive = receiving
        assert inflate.decompress(connection.say(sent)).count(b"n OK ") == 60_000
        assert max(waited) <= 2 * BUFFERED

    def test_news_are_no_shorter_than_they_are(self) -> None:
        """Thunderbird in IDLE may inflate as many octets as came deflated, and miss what is behind them."""
        server = Server()
        connection, deflate, inflate = self.start(server)

        def say(words: bytes) -> tuple[int, bytes]:
            sent = deflate.compress(words) + deflate.flush(zlib.Z_SYNC_FLUSH) if words else b""
            deflated = connection.say(sent)
            return len(deflated), inflate.decompress(deflated)

        say(SELECT)
        for exists in range(1, 10, 2):
            server.append(MAIL)
            length, said = say(b"i IDLE\r\n")
            assert said.startswith(b"+ idling\r\n* %d EXISTS\r\n" % exists)
            assert length >= len(said)
            server.append(MAIL)
            length, said = say(b"")
            assert said.startswith(b"* %d EXISTS\r\n" % (exists + 1))
            assert length >= len(said)
            assert say(b"DONE\r\n")[1].startswith(b"i OK ")

    def test_rubbish(self) -> None:
        connection, _, inflate = self.start(Server())
        assert inflate.decompress(connection.say(b"n NOOP\r\n\xff\xff\xff")).startswith(b"* BYE ")
        assert connection.transport.disconnecting
