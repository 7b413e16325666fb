"""The Twisted side of a session: log-in, the store, back-pressure, time-outs and the end of a connection."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, fail

from fedaemon.accounts.directory import put_account
from fedaemon.logs import Logger
from fedaemon.net import session_log
from fedaemon.net.server_connection import PROXY_TIMEOUT_S, TLS_HANDSHAKE_TIMEOUT_S
from fedaemon.pop3 import answers, inbox
from fedaemon.pop3.answers import BLOCK
from fedaemon.pop3.protocol import (
    BUFFERED,
    CLOSE_TIMEOUT_S,
    STOPPING,
)
from fedaemon.store.errors import StoreError, StoreFull
from fedaemon.store.spaces import MAIL_PURGE
from tests.accounts.scram_client import ScramClient
from tests.accounts.world import ALICE, make_account
from tests.net.memory_connection import EXPORTED
from tests.pop3.connection import LOG_IN, NOW_MS, UNDELETE_S, Server


def test_a_whole_session() -> None:
    """Log in, list, read, remove, leave; and the message is gone, but its content stays until it is purged."""
    server = Server()
    server.append(b"Subject: a\r\n\r\nx\r\n")
    server.append(b"Subject: b\r\n\r\n.\r\n")
    connection = server.connect()
    assert connection.log_in() == b"+OK Now the password\r\n+OK 2 messages (34 octets)\r\n"
    assert connection.say(b"RETR 2\r\n") == b"+OK the message follows\r\nSubject: b\r\n\r\n..\r\n.\r\n"
    assert connection.say(b"DELE 2\r\nQUIT\r\n").endswith(b"+OK Bye, 1 messages removed\r\n")
    assert connection.transport.disconnecting
    assert server.uids() == [1]
    entries = server.world.engine.entries
    assert sum(key[0] == "bytes" for key in entries) == 2
    assert [key[1] for key in entries if key[0] == MAIL_PURGE] == [NOW_MS // 1000 + UNDELETE_S]


def test_what_the_log_says_of_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Login, what was removed, and the end: the same session and account in each."""
    logged: list[dict[str, Any]] = []
    observer: Any = logged.append
    for module in (session_log, answers):
        monkeypatch.setattr(module, "log", Logger(observer=observer))
    server = Server()
    server.append(b"Subject: a\r\n\r\nx\r\n")
    connection = server.connect()
    connection.log_in()
    connection.say(b"DELE 1\r\nQUIT\r\n")
    connection.protocol.connectionLost()
    assert [event["event"] for event in logged] == ["login", "messages-removed", "session-ended"]
    about = ("pop3", connection.protocol.number, ALICE)
    assert {(event["service"], event["session"], event["account"]) for event in logged} == {about}
    assert (logged[0]["mechanism"], logged[1]["count"]) == ("USER", 1)
    assert logged[0]["tls"].startswith("TLSv1.3")


def test_unique_ids_stay() -> None:
    """RFC 1939 7: the same in the next session, whatever was removed before."""
    server = Server()
    for number in range(3):
        server.append(b"%d\r\n" % number)
    first = server.connect()
    first.log_in()
    listed = first.say(b"UIDL\r\n").splitlines()
    assert all(len(line.split()[1]) <= 70 for line in listed[1:-1])
    first.say(b"DELE 1\r\nQUIT\r\n")
    second = server.connect()
    second.log_in()
    ids = [line.split()[1] for line in second.say(b"UIDL\r\n").splitlines()[1:-1]]
    assert ids == [line.split()[1] for line in listed[2:4]]


def test_a_session_sees_what_was_there_at_its_log_in() -> None:
    """New mail has no number in it; what another session removed is readable until it is purged, and its removal
    is ignored.
    """
    server = Server()
    server.append(b"1\r\n")
    server.append(b"2\r\n")
    first, second = server.connect(), server.connect()
    first.log_in(), second.log_in()
    server.append(b"3\r\n")
    assert first.say(b"DELE 1\r\nQUIT\r\n").endswith(b"1 messages removed\r\n")
    assert second.say(b"STAT\r\n") == b"+OK 2 6\r\n"
    assert second.say(b"RETR 1\r\n").endswith(b"\r\n1\r\n.\r\n")
    server.purge()
    assert second.say(b"RETR 1\r\n") == b"-ERR This message was removed by another session\r\n"
    assert second.say(b"DELE 1\r\nDELE 2\r\nQUIT\r\n").endswith(b"+OK Bye, 1 messages removed\r\n")
    assert server.uids() == [3]


def test_a_lost_connection_removes_nothing() -> None:
    """RFC 1939 6: marks count after QUIT only."""
    server = Server()
    server.append(b"1\r\n")
    connection = server.connect()
    connection.log_in()
    connection.say(b"DELE 1\r\n")
    connection.protocol.connectionLost()
    assert server.uids() == [1]
    assert len(server.sessions) == 0


def test_a_maildrop_larger_than_a_slice_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """In several turns of the reactor, and each message once."""
    monkeypatch.setattr(inbox, "TAIL_ROWS", 5)
    server = Server()
    for _ in range(12):
        server.append(b"x\r\n")
    connection = server.connect()
    connection.send(LOG_IN)
    assert b"messages" not in connection.transport.value()
    assert connection.say(b"").endswith(b"+OK 12 messages (36 octets)\r\n")


def test_a_removal_larger_than_a_slice_is_answered_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """+OK counts all slices; when the store fails between two, -ERR says so and the first stays removed."""
    monkeypatch.setattr(inbox, "TAIL_ROWS", 2)
    server = Server()
    for _ in range(6):
        server.append(b"x\r\n")
    marks = b"DELE 1\r\nDELE 2\r\nDELE 3\r\nQUIT\r\n"
    first, second = server.connect(), server.connect()
    first.log_in()
    assert first.say(marks).endswith(b"+OK Bye, 3 messages removed\r\n")
    assert server.uids() == [4, 5, 6]
    second.log_in()
    write, full = server.store.write, iter([False, True])
    cast(Any, server.store).write = lambda function: (
        fail(StoreFull("no room")) if next(full) else write(function)
    )
    assert second.say(marks).endswith(b"-ERR [SYS/TEMP] no room\r\n")
    assert server.uids() == [6]


@pytest.mark.parametrize(
    ("flag", "name"), [("n", b"SCRAM-SHA-256"), ("p=tls-exporter", b"SCRAM-SHA-256-PLUS")]
)
def test_scram(flag: str, name: bytes) -> None:
    """RFC 5034: with the server's proof in a last challenge, also bound to the channel."""
    server = Server()
    connection = server.connect()
    client = ScramClient(ALICE, "alice's secret", flag=flag, binding=EXPORTED if flag != "n" else b"")
    first = connection.say(b"AUTH " + name + b" " + b64encode(client.first()) + b"\r\n")
    final = client.final(b64decode(first[2:]))
    proof = connection.say(b64encode(final) + b"\r\n")
    assert client.accepts(b64decode(proof[2:]))
    assert connection.say(b"\r\n") == b"+OK 0 messages (0 octets)\r\n"


def test_the_password_must_be_for_pop3() -> None:
    """An app password of another scope is no way in; one of this scope is."""
    server = Server()
    server.world.put(
        make_account(apps={"a": ("for imap", frozenset({"imap"})), "b": ("mine", frozenset({"pop3"}))})
    )
    connection = server.connect()
    user = f"USER {ALICE}\r\n".encode()
    assert b"\r\n-ERR [AUTH] This password is not for pop3" in connection.say(user + b"PASS for imap\r\n")
    assert connection.say(user + b"PASS mine\r\n").endswith(b"+OK 0 messages (0 octets)\r\n")


@pytest.mark.parametrize("command", [b"RETR 1\r\n", b"TOP 1 0\r\n", b"DELE 1\r\nQUIT\r\n"])
def test_a_session_ends_with_its_password(command: bytes) -> None:
    """Who logged in with a password that was removed since reads and removes nothing more."""
    server = Server()
    server.append(b"1\r\n")
    connection = server.connect()
    connection.log_in()
    changed = make_account(main="another secret")
    server.world.engine.transact(lambda transaction: put_account(transaction, changed))
    assert b"-ERR [SYS/PERM] The password of this session" in connection.say(command)
    assert connection.transport.disconnecting
    assert server.uids() == [1]


def test_a_store_that_refuses_the_removal() -> None:
    """-ERR [SYS/TEMP], and everything is still there."""
    server = Server()
    server.append(b"1\r\n")
    connection = server.connect()
    connection.log_in()
    cast(Any, server.store).write = lambda function: fail(StoreFull("no room"))
    assert connection.say(b"DELE 1\r\nQUIT\r\n").endswith(b"-ERR [SYS/TEMP] no room\r\n")
    assert connection.transport.disconnecting
    assert server.uids() == [1]


def test_a_bug_is_a_temporary_failure() -> None:
    """It tells nothing of the inside, and the session goes on."""
    server = Server()
    server.append(b"1\r\n")
    connection = server.connect()
    connection.log_in()
    cast(Any, server.store).read = lambda function: fail(ZeroDivisionError("secret"))
    said = connection.say(b"RETR 1\r\n")
    assert said.startswith(b"-ERR [SYS/TEMP] Internal error")
    assert b"secret" not in said


class Broken:
    """A content whose file ends early."""

    size = 3 * BLOCK

    def __init__(self, good: int) -> None:
        self.good = good

    def chunks(self, size: int = BLOCK, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        for _ in range(self.good):
            yield b"x" * size
        raise StoreError("too short")


def test_a_content_that_cannot_be_read() -> None:
    """Before the first octet it is an -ERR; later the connection is cut, never ended with a dot."""
    server = Server()
    server.append(b"1\r\n")
    for good, said in ((0, b"-ERR [SYS/TEMP] too short\r\n"), (2, b"")):
        connection = server.connect()
        connection.log_in()
        cast(Any, server.blobs).open = lambda snapshot, blob_id, good=good: Broken(good)
        answer = connection.say(b"RETR 1\r\n")
        assert answer.endswith(said)
        assert b"\r\n.\r\n" not in answer
        assert connection.transport.disconnected is (good > 0)


def test_a_client_that_stops_reading_costs_a_constant_amount() -> None:
    """A message of 100 blocks is made as the client reads it, and every octet arrives."""
    server = Server()
    message = (b"y" * 98 + b"\r\n") * (100 * BLOCK // 100)
    server.append(message)
    connection = server.connect()
    connection.log_in()
    connection.transport.room = BLOCK
    received = connection.say(b"RETR 1\r\nNOOP\r\n")
    assert len(received) <= 3 * BLOCK
    assert connection.say(b"") == b""
    while not received.endswith(b"\r\n.\r\n+OK\r\n"):
        connection.protocol.resumeProducing()
        more = connection.say(b"")
        assert more
        received += more
    assert received == b"+OK the message follows\r\n" + message + b".\r\n+OK\r\n"
    assert connection.transport.largest <= 3 * BLOCK


def test_many_commands_are_answered_as_the_client_reads() -> None:
    """Pipelined commands wait, then their reading stops: a flood costs no memory."""
    server = Server()
    server.append(b"z" * BLOCK)
    connection = server.connect()
    connection.log_in()
    connection.transport.room = BLOCK
    connection.send(b"RETR 1\r\n" * 100)
    assert connection.transport.largest <= 3 * BLOCK
    assert connection.transport.producerState == "producing"
    connection.send(b"RETR 1\r\n" * (BUFFERED // 8))
    assert connection.transport.producerState == "paused"
    assert connection.transport.largest <= 3 * BLOCK


def test_reading_goes_on_while_a_connection_closes() -> None:
    """A client that flooded us is still read from when it is sent away: its part of closing TLS is awaited."""
    server = Server()
    connection = server.connect()
    answer: Deferred[None] = Deferred()
    cast(Any, server.store).read = lambda function: answer
    connection.send(LOG_IN + b"x\r\n" * BUFFERED)
    assert connection.transport.producerState == "paused"
    answer.callback(None)
    assert connection.transport.read().endswith(b"-ERR Too many errors, closing the connection\r\n")
    assert connection.transport.disconnecting
    assert connection.transport.producerState == "producing"


def test_a_large_message_leaves_others_their_turn() -> None:
    """One block in a turn of the reactor."""
    server = Server()
    server.append(b"z" * (10 * BLOCK))
    connection = server.connect()
    connection.log_in()
    connection.send(b"RETR 1\r\n")
    assert len(connection.transport.value()) <= 2 * BLOCK
    assert len(connection.turns()) == 1
    written: list[int] = []
    connection.transport.write = lambda data: written.append(len(data))
    server.clock.advance(0)
    assert len(written) >= 8
    assert max(written) <= 2 * BLOCK


def test_stls() -> None:
    """The handshake begins after the reply, and log-in is possible after it only."""
    server = Server()
    connection = server.connect(tls=False)
    assert connection.say(b"") == b"+OK mail.example.test POP3 ready\r\n"
    assert connection.say(LOG_IN).count(b"-ERR Log in under TLS only") == 2
    assert connection.say(b"STLS\r\n") == b"+OK Begin TLS\r\n"
    assert connection.transport.factory == "the factory"
    connection.protocol.handshakeCompleted()
    assert connection.log_in().endswith(b"+OK 0 messages (0 octets)\r\n")


def test_stls_injection() -> None:
    """Commands behind STLS in the same packet end the session without TLS."""
    server = Server()
    connection = server.connect(tls=False)
    assert connection.say(b"STLS\r\n" + LOG_IN).endswith(
        b"-ERR Nothing may follow STLS before the TLS handshake\r\n"
    )
    assert connection.transport.factory is None
    assert connection.transport.disconnecting


def test_implicit_tls_greets_after_the_handshake() -> None:
    """Not a word in the clear, and no STLS."""
    server = Server(implicit_tls=True)
    connection = server.connect(tls=False)
    assert connection.transport.value() == b""
    connection.protocol.handshakeCompleted()
    assert (
        connection.say(b"STLS\r\n") == b"+OK mail.example.test POP3 ready\r\n-ERR TLS is active already\r\n"
    )
    silent = server.connect(tls=False)
    server.clock.pump([5.0] * (int(TLS_HANDSHAKE_TIMEOUT_S) // 5 + 2))
    assert silent.transport.disconnected


def test_an_idle_session_is_closed_without_a_word() -> None:
    """RFC 1939 3: after ten minutes, removing nothing and sending nothing; then it is cut."""
    server = Server()
    server.append(b"1\r\n")
    connection = server.connect()
    connection.log_in()
    connection.say(b"DELE 1\r\n")
    server.clock.pump([5.0] * 119)
    assert not connection.transport.disconnecting
    server.clock.pump([5.0] * 3)
    assert connection.transport.disconnecting
    assert connection.transport.value() == b""
    assert server.uids() == [1]
    server.clock.pump([5.0] * (int(CLOSE_TIMEOUT_S) // 5 + 2))
    assert connection.transport.disconnected


def test_a_client_that_never_reads_on_is_cut() -> None:
    """Sending commands does not keep it alive."""
    server = Server()
    server.append(b"z" * BLOCK * 4)
    connection = server.connect()
    connection.log_in()
    connection.transport.room = BLOCK
    connection.send(b"RETR 1\r\n")
    for _ in range(130):
        connection.send(b"NOOP\r\n")
        server.clock.advance(5.0)
    assert connection.transport.disconnected


def test_a_stop_ends_sessions_between_commands() -> None:
    """An idle one at once; one that is receiving a message after it; marks are forgotten."""
    server = Server()
    server.append(b"z" * (3 * BLOCK))
    idle, busy = server.connect(), server.connect()
    idle.log_in(), busy.log_in()
    idle.say(b"DELE 1\r\n")
    busy.send(b"RETR 1\r\nNOOP\r\n")
    server.sessions.stop(30.0)
    assert idle.transport.read() == STOPPING
    assert idle.transport.disconnecting
    assert not busy.transport.disconnecting
    assert busy.say(b"").endswith(b"z\r\n.\r\n" + STOPPING)
    assert busy.transport.disconnecting
    assert server.uids() == [1]


def test_a_stop_waits_for_the_removal_under_way() -> None:
    """Who said QUIT is told what became of it."""
    server = Server()
    server.append(b"1\r\n")
    connection = server.connect()
    connection.log_in()
    removal: Deferred[tuple[int, int]] = Deferred()
    cast(Any, server.store).write = lambda function: removal
    connection.say(b"DELE 1\r\nQUIT\r\n")
    server.sessions.stop(30.0)
    assert not connection.transport.disconnecting
    removal.callback((1, 1))
    assert connection.transport.value() == b"+OK Bye, 1 messages removed\r\n"
    assert connection.transport.disconnecting


def test_waiting_for_the_removal_is_no_time_out() -> None:
    """However long the store takes, the client is not to blame."""
    server = Server()
    server.append(b"1\r\n")
    connection = server.connect()
    connection.log_in()
    removal: Deferred[tuple[int, int]] = Deferred()
    cast(Any, server.store).write = lambda function: removal
    connection.say(b"DELE 1\r\nQUIT\r\n")
    server.clock.pump([5.0] * 200)
    removal.callback((1, 1))
    assert connection.transport.value() == b"+OK Bye, 1 messages removed\r\n"


def test_a_connection_lost_in_the_middle_of_a_message_is_at_rest() -> None:
    """No turn is left that would write to it."""
    server = Server()
    server.append(b"z" * (10 * BLOCK))
    connection = server.connect()
    connection.log_in()
    connection.send(b"RETR 1\r\n")
    assert connection.turns()
    connection.protocol.connectionLost()
    assert not connection.turns()


def test_limits_of_connections() -> None:
    """The one over the limit hears [SYS/TEMP] in place of the greeting, or of the maildrop."""
    server = Server(per_address=2, per_account=1)
    first, second = server.connect(), server.connect()
    assert first.log_in().endswith(b"octets)\r\n")
    assert b"-ERR [SYS/TEMP] too many connections of alice" in second.log_in()
    assert second.transport.disconnecting
    third = server.connect(tls=False)
    assert third.transport.value().startswith(b"-ERR [SYS/TEMP] too many connections from your address")
    assert third.transport.disconnecting


def test_who_left_during_the_log_in_is_not_counted() -> None:
    """Otherwise the account's limit would fill with sessions that are no more."""
    server = Server(per_account=1)
    answer: Deferred[object] = Deferred()
    read = server.store.read
    connection = server.connect()
    cast(Any, server.store).read = lambda function: answer
    connection.send(LOG_IN)
    connection.protocol.connectionLost()
    cast(Any, server.store).read = read
    answer.callback(None)
    assert server.connect().log_in().endswith(b"octets)\r\n")


def test_failed_log_ins_are_held_back_and_locked_out() -> None:
    """The lock-out of submission counts here, too, and says [SYS/TEMP]."""
    server = Server()
    wrong = f"USER {ALICE}\r\nPASS wrong\r\n".encode()
    answers = []
    for number in range(12):
        connection = server.connect()
        connection.send(wrong.replace(b"wrong", b"wrong%d" % number))
        server.clock.pump([1.0] * 30)
        answers.append(connection.transport.read().splitlines()[-1])
        connection.protocol.connectionLost()
    assert answers[0].startswith(b"-ERR [AUTH] Wrong user name or password")
    assert answers[-1].startswith(b"-ERR [SYS/TEMP] ")


def test_a_proxy_tells_the_address_of_the_client() -> None:
    """The PROXY header's address is the client's; anything else closes the connection without a word."""
    server = Server(proxy_protocol=True)
    connection = server.connect(tls=False)
    connection.send(b"PROXY TCP4 192.0.2.9 198.51.100.1 5000 110\r\n")
    assert connection.transport.read() == b"+OK mail.example.test POP3 ready\r\n"
    assert connection.protocol.address == "192.0.2.9"
    other, silent = server.connect(tls=False), server.connect(tls=False)
    other.send(b"CAPA\r\n")
    assert other.transport.disconnecting
    server.clock.pump([5.0] * (int(PROXY_TIMEOUT_S) // 5 + 2))
    assert silent.transport.disconnected
    assert other.transport.value() == silent.transport.value() == b""
