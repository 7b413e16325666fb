"""APPEND: RFC 9051 6.3.12, RFC 3502 6.3.11, RFC 3516 4.4, RFC 6855 4, RFC 7889 4, RFC 9208 4.3.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fedaemon.imap.appending import intake
from fedaemon.imap.engine import Request
from fedaemon.imap.operations import Discard, Stage
from fedaemon.mailbox import reading
from fedaemon.mailbox.mailboxes import delete
from fedaemon.mailbox.rows import Row
from fedaemon.store.errors import StoreFull
from fedaemon.store.interface import Transaction
from tests.imap.kept import flags_of, kept
from tests.imap.lab import ACCOUNT, NOW_S, Client, Lab, modern

MESSAGE = b"From: a@example.org\r\nSubject: one\r\n\r\nText\r\n"
READY = b"+ OK\r\n"


@pytest.fixture
def client(lab: Lab) -> Client:
    return modern(lab)


def literal(content: bytes, kind: bytes = b"{%d+}") -> bytes:
    return kind % len(content) + b"\r\n" + content


def operations(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the list in which the operations of *client* will be."""
    seen: list[object] = []
    carry_out = client._carry_out

    def recording(request: Request) -> object:
        seen.append(request.operation)
        return carry_out(request)

    monkeypatch.setattr(client, "_carry_out", recording)
    return seen


def test_a_message_with_flags_and_a_date(lab: Lab, client: Client) -> None:
    """EXISTS comes before the tagged answer; another session is told too."""
    other = modern(lab)
    command = b'APPEND INBOX (\\Seen $Work) "25-Oct-1995 01:02:03 +0100" ' + literal(MESSAGE)
    assert client.send(command)[2:] == [b"* 1 EXISTS", b"OK [APPENDUID %d 1] Added" % NOW_S]
    message = kept(lab)[1]
    assert message.flags == {"\\Seen", "$Work"}
    assert (message.content, message.internal_s) == (MESSAGE, 814579323)
    assert b"* 1 EXISTS" in other.send(b"NOOP")


def test_the_date_is_now_without_one(lab: Lab, client: Client) -> None:
    """And the mailbox need not be selected."""
    assert client.send(b"APPEND Sent " + literal(MESSAGE)) == [b"OK [APPENDUID %d 1] Added" % (NOW_S + 2)]
    assert kept(lab, "Sent")[1].internal_s == NOW_S


@pytest.mark.parametrize("content", [b"\n", b"a: b\n\nbare LF\n.\n", b"no header", b"\r", b"\xff\x80\r\n"])
def test_what_comes_is_kept_octet_for_octet(lab: Lab, client: Client, content: bytes) -> None:
    """Whatever it is, but for NUL."""
    assert client.tagged(b"APPEND INBOX " + literal(content)).startswith(b"OK ")
    assert kept(lab)[1].content == content


def test_a_client_that_waits_is_asked(lab: Lab, client: Client) -> None:
    """Octet by octet; the content of 300 KiB goes to a file."""
    content = MESSAGE + b"x" * 300_000
    assert client.raw(b"t APPEND INBOX {%d}\r\n" % len(content)) == READY
    assert client.raw(content[:5]) == b""
    assert client.raw(content[5:] + b"\r") == b""
    assert client.raw(b"\n").endswith(b"t OK [APPENDUID %d 1] Added\r\n" % NOW_S)
    assert kept(lab)[1].content == content


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (b"APPEND nowhere {10}", b"NO [TRYCREATE] there is no mailbox nowhere"),
        (b"APPEND INBOX {1001}", b"NO [TOOBIG] A message has at most 1000 octets"),
        (b"REPLACE 1 nowhere {10}", b"NO [TRYCREATE] there is no mailbox nowhere"),
        (b"UID REPLACE 9 INBOX {10}", b"NO [NONEXISTENT] There is no message of that UID"),
        (b"REPLACE 9 INBOX {10}", b"BAD A sequence number beyond the last message"),
    ],
)
def test_refused_before_the_content(lab: Lab, command: bytes, refusal: bytes) -> None:
    """A client that waits need not send it; one that does not wait is passed over."""
    lab.deliver(MESSAGE)
    client = modern(lab, max_message_octets=1_000)
    assert client.send(command) == [refusal]
    size = int(command.partition(b"{")[2][:-1])
    assert client.send(command[:-1] + b"+}\r\n" + b"x" * size) == [refusal]
    assert client.tagged(b"NOOP") == b"OK Nothing done"


def test_over_quota(lab: Lab) -> None:
    """Before the content, and again where it is added: the second client was faster."""
    client, other = modern(lab, quota_octets=100), modern(lab, quota_octets=100)
    assert client.tagged(b"APPEND INBOX {101}").startswith(b"NO [OVERQUOTA] ")
    assert client.raw(b"t APPEND INBOX {60}\r\n") == READY
    assert other.tagged(b"APPEND INBOX " + literal(b"y" * 60)).startswith(b"OK ")
    assert b"t NO [OVERQUOTA] " in client.raw(b"x" * 60 + b"\r\n")
    assert [each.content for each in kept(lab).values()] == [b"y" * 60]


@pytest.mark.parametrize("size", [100, 2_000_000])
def test_nul_is_refused(lab: Lab, client: Client, size: int) -> None:
    """RFC 9051 4.3: no literal has it; RFC 3516 4.4: a literal8 may, and is refused by its code."""
    content = b"x" * (size - 1) + b"\0"
    assert client.send(b"APPEND INBOX " + literal(content)) == [b"BAD NUL in a message"]
    assert client.tagged(b"APPEND INBOX " + literal(content, b"~{%d+}")).startswith(b"NO [UNKNOWN-CTE] ")
    assert client.tagged(b"APPEND INBOX UTF8 (" + literal(content, b"~{%d+}") + b")").startswith(b"NO ")
    assert kept(lab) == {}


def test_literal8_without_nul(lab: Lab, client: Client) -> None:
    """Plain, and within UTF8."""
    content = "Subject: \u00e4\r\n\r\n".encode()
    assert client.tagged(b"APPEND INBOX " + literal(content, b"~{%d+}")).startswith(b"OK ")
    assert client.tagged(b"APPEND INBOX UTF8 (" + literal(content, b"~{%d+}") + b")").startswith(b"OK ")
    assert [each.content for each in kept(lab).values()] == [content, content]


def test_several_messages_at_once(lab: Lab, client: Client) -> None:
    """RFC 3502: their UIDs follow each other; one transaction."""
    writes = lab.writes
    command = b"APPEND INBOX (\\Seen) " + literal(b"one") + b" (\\Draft) " + literal(b"two")
    assert client.send(command + b" " + literal(b"three")) == [
        b"* 3 EXISTS",
        b"OK [APPENDUID %d 1:3] Added" % NOW_S,
    ]
    assert lab.writes - writes == 1
    assert flags_of(lab) == {1: {"\\Seen"}, 2: {"\\Draft"}, 3: set()}
    assert [each.content for each in kept(lab).values()] == [b"one", b"two", b"three"]


@pytest.mark.parametrize(
    ("last", "refusal"),
    [
        (literal(b""), b"NO A message without any octets is not added, and neither are those before it"),
        (literal(b"a\0b"), b"BAD NUL in a message"),
        (b"(\\Recent) " + literal(b"x"), b"BAD a flag that can be set expected"),
        (literal(b"x") + b" y", b"BAD a literal with the message expected"),
        (literal(b"x" * 901), b"NO [LIMIT] At most 1000 octets are added at once"),
        (literal(b"x" * 1_001), b"NO [TOOBIG] A message has at most 1000 octets"),
    ],
)
def test_all_of_them_or_none(lab: Lab, monkeypatch: pytest.MonkeyPatch, last: bytes, refusal: bytes) -> None:
    """What is wrong with the last keeps the first out; what was staged is discarded."""
    client = modern(lab, max_message_octets=1_000)
    seen = operations(client, monkeypatch)
    command = b"APPEND INBOX " + literal(b"x" * 50) + b" " + literal(b"x" * 50) + b" " + last
    assert client.tagged(command).startswith(refusal)
    assert kept(lab) == {}
    staged = sum(isinstance(each, Stage) for each in seen)
    assert sum(isinstance(each, Discard) for each in seen) == staged >= 1
    assert client.tagged(b"NOOP") == b"OK Nothing done"


def test_so_many_messages_at_once(lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are added in one transaction, so they are not endless."""
    monkeypatch.setattr(intake, "MAX_MESSAGES", 3)
    many = b" ".join([literal(b"x")] * 3)
    assert client.tagged(b"APPEND INBOX " + many).startswith(b"OK ")
    assert client.tagged(b"APPEND INBOX x " + many).startswith(b"BAD ")
    refusal = b"NO [LIMIT] At most 3 messages are added at once"
    assert client.tagged(b"APPEND INBOX " + many + b" " + literal(b"x")) == refusal


def failing(client: Client, lab: Lab, monkeypatch: pytest.MonkeyPatch, fail: Callable[[], object]) -> None:
    """Let *fail* run before the next write."""
    write = lab.write

    def once(function: Callable[[Transaction], Any]) -> Any:
        monkeypatch.setattr(lab, "write", write)
        fail()
        return write(function)

    monkeypatch.setattr(lab, "write", once)


def test_a_store_that_is_full(lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO for now, and nothing is left behind."""

    def full() -> None:
        raise StoreFull("cannot commit: no space left on device")

    failing(client, lab, monkeypatch, full)
    seen = operations(client, monkeypatch)
    answer = client.tagged(b"APPEND INBOX " + literal(MESSAGE))
    assert answer == b"NO [UNAVAILABLE] cannot commit: no space left on device"
    assert any(isinstance(each, Discard) for each in seen)
    assert kept(lab) == {}


def test_a_mailbox_that_is_deleted_while_the_content_comes(
    lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client may make it again."""
    write = lab.write
    failing(client, lab, monkeypatch, lambda: write(lambda t: delete(t, ACCOUNT, "Sent", NOW_S * 1000)))
    assert client.tagged(b"APPEND Sent " + literal(MESSAGE)) == b"NO [TRYCREATE] there is no mailbox Sent"


def test_the_shape_is_made_before(lab: Lab, client: Client) -> None:
    """So that SEARCH and FETCH find it; replies are in the thread of what they answer."""
    client.send(
        b"APPEND INBOX " + literal(b"Message-ID: <a@x>\r\nDate: Tue, 14 Nov 2023 22:13:29 +0000\r\n\r\n")
    )
    client.send(b"APPEND INBOX " + literal(b"References: <a@x>\r\n\r\n"))
    client.send(b"APPEND INBOX " + literal(b"Message-ID: <b@x>\r\n\r\n"))
    one, two, three = rows(lab)
    assert one.sent_s == NOW_S + 9
    assert one.thread == two.thread != three.thread


def rows(lab: Lab) -> list[Row]:
    return lab.store.view(lambda snapshot: list(reading.rows(snapshot, lab.mailbox_id())))


def test_a_command_that_breaks_behind_the_content(lab: Lab, client: Client) -> None:
    """A bare LF is the end of no command: the content before it is void."""
    assert client.raw(b"t APPEND INBOX " + literal(MESSAGE) + b"\nrest\r\n").startswith(b"t BAD ")
    assert kept(lab) == {}
    assert client.tagged(b"NOOP") == b"OK Nothing done"


def test_a_client_that_leaves_in_the_middle(lab: Lab, client: Client) -> None:
    """Nothing of the command is kept."""
    client.raw(b"t APPEND INBOX " + literal(MESSAGE) + b" {5+}\r\nabc")
    client.engine.drop()
    assert kept(lab) == {}
