"""Clients that mean harm: each command is answered, costs bounded memory, and leaves others their turns."""

from __future__ import annotations

from typing import Any

import pytest

from fedaemon.imap.engine import COMMANDS_A_TURN
from fedaemon.imap.limits import AFTER_LOGIN, BEFORE_LOGIN
from fedaemon.imap.operations import Turn
from fedaemon.imap.session import BLOCK
from fedaemon.mailbox.words import MAX_KEYWORDS
from tests.imap.contents import MESSAGES
from tests.imap.kept import flags_of, state_of
from tests.imap.lab import Client, Lab, split

MAIL = b"Subject: s\r\n\r\ntext\r\n"
LINE = 60_000
"""Octets that fit into a line with some room."""


def times(part: bytes, room: int = LINE) -> bytes:
    """Return *part* as often as it fits."""
    return part * (room // len(part))


def nested(opening: bytes, kernel: bytes, closing: bytes, room: int = LINE) -> bytes:
    depth = room // (len(opening) + len(closing))
    return opening * depth + kernel + closing * depth


BOMBS = {
    "search in parentheses": b"SEARCH " + nested(b"(", b"ALL", b")"),
    "search not not": b"SEARCH " + times(b"NOT ") + b"ALL",
    "search or or": b"SEARCH " + nested(b"OR ALL ", b"ALL", b""),
    "search or and": b"SEARCH " + nested(b"OR (", b"ALL", b") ALL"),
    "search keys": b"SEARCH " + times(b"SUBJECT a ") + b"ALL",
    "search texts": b"SEARCH " + times(b"TEXT a ", 7_000) + b"ALL",
    "search sets": b"SEARCH " + times(b"NOT 1:* ") + b"1:*",
    "search returns": b"SEARCH RETURN (" + times(b"COUNT ") + b"ALL) ALL",
    "search not closed": b"SEARCH " + times(b"("),
    "search headers": b"SEARCH " + times(b"HEADER References x ", 20_000) + b"ALL",
    "sort criteria": b"SORT (" + times(b"REVERSE SUBJECT ") + b"DATE) UTF-8 ALL",
    "fetch of a deep part": b"FETCH 1 BODY.PEEK[" + times(b"1.") + b"1]",
    "fetch of a part with a high number": b"FETCH 1 BODY.PEEK[" + times(b"9") + b"]",
    "fetch of many items": b"FETCH 1:* (" + times(b"BODY.PEEK[1] ", 13_000) + b"UID)",
    "fetch of the same": b"FETCH 1:* (" + times(b"FLAGS ") + b"UID)",
    "fetch of header fields": b"FETCH 1:* BODY.PEEK[HEADER.FIELDS (" + times(b"x ") + b"y)]",
    "fetch in parentheses": b"FETCH 1 " + nested(b"(", b"UID", b")"),
    "fetch of a far piece": b"FETCH 1:* BODY.PEEK[]<4294967295.4294967295>",
    "a set of everything, often": b"UID FETCH " + times(b"1:*,") + b"* UID",
    "a set of single numbers": b"UID FETCH "
    + b",".join(b"%d" % n for n in range(4_000_000_000, 4_000_005_000))
    + b" UID",
    "a set upside down": b"UID FETCH " + times(b"4294967295:1,") + b"1 UID",
    "keywords": b"STORE 1:* +FLAGS (" + b" ".join(b"k%d" % n for n in range(8_000)) + b")",
    "the same keyword": b"STORE 1:* +FLAGS (" + times(b"word ") + b"word)",
    "wildcards": b'LIST "" "' + times(b"*%a") + b'"',
    "patterns": b'LIST "" (' + times(b"* ") + b"%)",
    "list choices": b"LIST (" + times(b"SUBSCRIBED ") + b'REMOTE) "" *',
    "a deep mailbox": b"CREATE " + times(b"a/") + b"a",
    "a long mailbox": b"CREATE " + times(b"a"),
    "a mailbox of many parents": b"CREATE " + times(b"a/", 600) + b"a",
    "enable": b"ENABLE " + times(b"X ") + b"Y",
    "id": b"ID (" + times(b'"a" "b" ') + b'"c" "d")',
    "status items": b"STATUS INBOX (" + times(b"MESSAGES ") + b"UIDNEXT)",
    "notify groups": b"NOTIFY SET " + times(b"(personal (MessageNew MessageExpunge)) ").rstrip(),
    "notify names": b"NOTIFY SET (mailboxes (" + times(b"Sent ") + b"Sent) (MessageNew MessageExpunge))",
    "metadata": b"GETMETADATA INBOX (" + times(b"/private/comment ") + b"/private/x)",
    "copy to a deep mailbox": b"COPY 1 " + times(b"a/") + b"a",
    "base64 of nothing": b"CREATE " + times(b"&AAA-"),
    "shifts": b"CREATE " + times(b"&2D3eCg-"),
}


class Turns(Client):
    """A client that counts the turns of the reactor."""

    turns = 0

    def _carry_out(self, request: Any) -> object:
        self.turns += isinstance(request.operation, Turn)
        return super()._carry_out(request)


@pytest.fixture
def client(lab: Lab) -> Client:
    lab.deliver(MAIL, MAIL, MAIL)
    return lab.client(select="INBOX")


@pytest.mark.parametrize("bomb", BOMBS)
def test_one_command_too_much(client: Client, bomb: str) -> None:
    """It is answered once, whatever the answer is, and the session goes on with nothing kept of it."""
    lines = split(client.raw(b"x " + BOMBS[bomb] + b"\r\n"))
    assert [line for line in lines if line.startswith(b"x ")] == [lines[-1]]
    assert client.engine._reader.held() == 0
    assert sum(map(len, lines)) < 1 << 21
    assert client.largest_queue < 3 * BLOCK
    assert client.tagged(b"NOOP") == b"OK Nothing done"


@pytest.mark.parametrize("log_in", [False, True])
def test_lines_without_an_end(lab: Lab, log_in: bool) -> None:
    """What is kept of it is a line; who has not logged in is not listened to for long."""
    client = lab.client(log_in=log_in)
    limits = AFTER_LOGIN if log_in else BEFORE_LOGIN
    said, largest = b"", 0
    for _ in range(16):
        said += client.raw(b"x" * BLOCK)
        largest = max(largest, client.engine._reader.held())
    assert largest <= limits.line_octets
    if log_in:
        assert client.raw(b"\r\n").startswith(b"* BAD ")
        assert client.tagged(b"NOOP").startswith(b"OK ")
    else:
        assert said.startswith(b"* BYE ")
        assert client.engine.closed


@pytest.mark.parametrize("literal", [b"{0+}\r\n", b"{1+}\r\na", b"~{0+}\r\n"])
def test_floods_of_literals(client: Client, literal: bytes) -> None:
    """Empty ones cost, too."""
    client.engine.receive(b"x SEARCH SUBJECT")
    largest = 0
    for _ in range(100):
        client.raw((b" " + literal) * 1000)
        largest = max(largest, client.engine._reader.held())
    assert largest <= AFTER_LOGIN.command_octets + AFTER_LOGIN.line_octets
    assert client.raw(b"\r\n").startswith(b"x BAD ")
    assert client.tagged(b"NOOP").startswith(b"OK ")


def test_literals_that_are_only_announced(client: Client) -> None:
    """A size costs nothing before the octets are there, and one that cannot be is refused."""
    for size in (b"4294967296", b"99999999999999999999", b"65537"):
        assert client.raw(b"x SEARCH SUBJECT {" + size + b"}\r\n").startswith(b"x BAD ")
    assert client.raw(b"x APPEND INBOX {999999999999}\r\n").startswith(b"x NO [TOOBIG] ")
    assert client.engine._reader.held() == 0
    assert client.tagged(b"NOOP").startswith(b"OK ")


def test_keywords_are_numbered(lab: Lab, client: Client) -> None:
    """What does not fit changes nothing."""
    names = [b"k%d" % number for number in range(MAX_KEYWORDS + 1)]
    store = b"STORE 1 +FLAGS (%b)"
    assert client.tagged(store % b" ".join(names[:64])).startswith(b"OK ")
    assert client.tagged(store % b" ".join(names[64:])).startswith(b"NO [LIMIT] ")
    assert len(flags_of(lab)[1]) == 64
    assert client.tagged(store % b" ".join(names[64:-1])).startswith(b"OK ")
    assert client.tagged(store % names[-1]).startswith(b"NO [LIMIT] ")
    assert len(flags_of(lab)[1]) == MAX_KEYWORDS


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_that_are_none(lab: Lab, name: str) -> None:
    """Whatever is in a mailbox, all that can be asked of it has an answer, and the content is as it came."""
    content = MESSAGES[name]()
    lab.deliver(content, MAIL)
    client = lab.client(select="INBOX")
    for items in (
        b"FULL",
        b"BODYSTRUCTURE",
        b"PREVIEW",
        b"BODY.PEEK[1.MIME]",
        b"BODY.PEEK[HEADER.FIELDS (TO)]",
    ):
        lines = client.send(b"FETCH 1:2 " + (items if items == b"FULL" else b"(UID " + items + b")"))
        assert len(lines) == 3
        assert lines[-1] == b"OK Fetched"
    assert client.tagged(b"FETCH 1 BINARY.PEEK[1]").startswith((b"OK ", b"NO [UNKNOWN-CTE] "))
    whole = b"BODY[] {%d}\r\n%b" % (len(content), content) if b"\0" not in content else b""
    assert whole in client.raw(b"w FETCH 1 BODY.PEEK[]\r\n")
    assert client.send(b"SEARCH SUBJECT s TEXT text")[0] == b"* SEARCH 2"
    assert client.tagged(b"SORT (SUBJECT FROM) UTF-8 ALL").startswith(b"OK ")
    assert client.tagged(b"THREAD REFERENCES UTF-8 ALL").startswith(b"OK ")


def test_many_commands_give_way(lab: Lab) -> None:
    """A packet full of commands that need nothing takes many turns."""
    client = Turns(lab, {})
    client.send(b"LOGIN a@example.org secret")
    said = client.raw(b"n NOOP\r\n" * 10_000)
    assert said.count(b"n OK ") == 10_000
    assert client.turns >= 10_000 // COMMANDS_A_TURN


def test_refusals_have_an_end(lab: Lab) -> None:
    """Nobody is refused for ever."""
    client = lab.client()
    said = client.raw(b"x RUBBISH\r\n" * 1_000)
    assert said.count(b"x BAD ") == client.engine.session.settings.errors_per_session + 1
    assert said.endswith(b"* BYE Too many errors\r\n")
    assert client.engine.closed
    assert client.raw(b"n NOOP\r\n") == b""


def test_a_fetch_of_much_is_made_as_it_is_taken(lab: Lab) -> None:
    """Many pieces of large messages: never more than a few blocks wait."""
    lab.deliver(*[b"Subject: l\r\n\r\n" + b"y" * (4 * BLOCK)] * 4)
    client = lab.client(select="INBOX")
    client.raw(b"f FETCH 1:* (" + b"BODY.PEEK[] BODY.PEEK[TEXT] RFC822.TEXT " * 10 + b"UID)\r\n")
    assert client.largest_queue <= 3 * BLOCK
    assert state_of(lab).exists == 4
