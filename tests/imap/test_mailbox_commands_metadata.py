"""GETMETADATA and SETMETADATA: RFC 5464 4.2, 4.3, 4.4.1."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedaemon.imap.engine import Request
from fedaemon.imap.operations import Room
from fedaemon.mailbox import metadata
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import MAILBOX_META
from tests.imap.lab import Client, Lab

DONE = b"OK That is all"


@pytest.fixture
def client(lab: Lab) -> Client:
    return lab.client()


def test_set_and_get(client: Client, lab: Lab) -> None:
    """RFC 5464 4.2, 4.3: for all sessions; the case of names does not count, each value in the client's order."""
    set_both = b'SETMETADATA INBOX (/private/Comment "My \\"new\\" comment" /shared/comment "")'
    assert client.send(set_both) == [b"OK Written"]
    assert lab.client().send(b"GETMETADATA INBOX (/shared/comment /PRIVATE/comment)") == [
        b'* METADATA INBOX (/shared/comment "" /private/comment "My \\"new\\" comment")',
        DONE,
    ]
    assert client.send(b"SETMETADATA INBOX (/private/comment NIL)") == [b"OK Written"]
    assert client.send(b"GETMETADATA INBOX /private/comment") == [
        b"* METADATA INBOX (/private/comment NIL)",
        DONE,
    ]


def test_of_the_account(client: Client) -> None:
    """RFC 5464 4.2: the empty name is the server; what all share there is the administrator's."""
    assert client.send(b'SETMETADATA "" (/private/vendor/x/y "z")') == [b"OK Written"]
    assert client.send(b'GETMETADATA "" (/private/vendor/x/y /shared/admin)') == [
        b'* METADATA "" (/private/vendor/x/y "z" /shared/admin NIL)',
        DONE,
    ]
    refused = client.send(b'SETMETADATA "" (/private/a "1" /shared/comment "2")')
    assert refused[0].startswith(b"NO [NOPERM] ")
    assert client.send(b'GETMETADATA "" /private/a')[0] == b'* METADATA "" (/private/a NIL)'


def test_octets_and_names(client: Client) -> None:
    """RFC 5464 5: values with NUL as literal8; UTF-8 quoted where it is enabled, a literal otherwise."""
    client.send(b"CREATE &AOk-")
    client.send(b"SETMETADATA &AOk- (/private/a ~{3+}\r\na\0b /private/b {2+}\r\n\xc3\xa9)")
    assert client.send(b"GETMETADATA &AOk- (/private/a /private/b)")[0] == (
        b"* METADATA &AOk- (/private/a ~{3}\r\na\0b /private/b {2}\r\n\xc3\xa9)"
    )
    client.send(b"ENABLE UTF8=ACCEPT")
    assert client.send('GETMETADATA "é" (/private/b)'.encode())[0] == (
        '* METADATA "é" (/private/b "é")'.encode()
    )


def test_depth(client: Client) -> None:
    """RFC 5464 4.2.2: entries below, each once; nothing is said where there are none."""
    client.send(b'SETMETADATA INBOX (/private/a/b "1" /private/a/b/c "2" /private/d "3")')
    assert client.send(b"GETMETADATA (DEPTH 1) INBOX (/private/a)") == [
        b'* METADATA INBOX (/private/a/b "1")',
        DONE,
    ]
    assert client.send(b"GETMETADATA (DEPTH infinity) INBOX (/private/a /private/a/b)") == [
        b'* METADATA INBOX (/private/a/b "1" /private/a/b/c "2")',
        DONE,
    ]
    assert client.send(b"GETMETADATA (DEPTH 1) INBOX (/shared/a)") == [DONE]


def test_values_that_are_too_long_for_the_client(client: Client) -> None:
    """RFC 5464 4.2.1: they are left out, and the size of the longest is told."""
    client.send(b'SETMETADATA INBOX (/private/a "12345" /private/b "1234567" /private/c "1")')
    assert client.send(b"GETMETADATA (MAXSIZE 4) INBOX (/private/a /private/b /private/c /private/d)") == [
        b'* METADATA INBOX (/private/c "1" /private/d NIL)',
        b"OK [METADATA LONGENTRIES 7] That is all",
    ]
    assert client.send(b"GETMETADATA (MAXSIZE 5) INBOX (/private/a)")[1] == DONE


def test_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5464 4.3, RFC 5530 3."""
    assert client.tagged(b'SETMETADATA none (/private/a "1")').startswith(b"NO [NONEXISTENT] ")
    assert client.tagged(b"GETMETADATA none /private/a").startswith(b"NO [NONEXISTENT] ")
    monkeypatch.setattr(metadata, "MAX_VALUE_OCTETS", 3)
    too_long = client.tagged(b'SETMETADATA INBOX (/private/a "1234")')
    assert too_long.startswith(b"NO [METADATA MAXSIZE 65536] ")
    monkeypatch.setattr(metadata, "MAX_ENTRIES", 1)
    too_many = client.tagged(b'SETMETADATA INBOX (/private/a "1" /private/b "2")')
    assert too_many.startswith(b"NO [METADATA TOOMANY] ")


def test_names_that_are_too_long(tmp_path: Path) -> None:
    """The store has no room for them in its keys where the address is long, too: there is no such entry."""
    lab = Lab(tmp_path, "a" * 240 + "@example.org")
    client = lab.client()
    entry = b"/private/" + b"x" * 240
    assert client.send(b"GETMETADATA INBOX " + entry)[0] == b"* METADATA INBOX (%b NIL)" % entry
    assert client.send(b"GETMETADATA (DEPTH infinity) INBOX " + entry) == [DONE]
    assert client.send(b"SETMETADATA INBOX (%b NIL)" % entry) == [b"OK Written"]
    assert client.tagged(b'SETMETADATA INBOX (%b "1")' % entry).startswith(b"NO [LIMIT] ")
    assert client.send(b'SETMETADATA INBOX (%b "1")' % entry[:220]) == [b"OK Written"]
    assert client.send(b"GETMETADATA (DEPTH 1) INBOX " + entry[:220])[0].endswith(b' "1")')
    lab.close()


def test_special_use(client: Client) -> None:
    """RFC 6154 4: LIST and the entry say the same."""
    assert client.send(rb"SETMETADATA Archive (/private/specialuse NIL)") == [b"OK Written"]
    client.send(b"CREATE Old")
    assert client.send(rb'SETMETADATA Old (/private/specialuse "\\Archive")') == [b"OK Written"]
    assert client.send(b'LIST (SPECIAL-USE) "" (Archive Old)')[:-1] == [b'* LIST (\\Archive) "/" Old']
    assert client.send(b"GETMETADATA Old /private/specialuse")[0] == (
        rb'* METADATA Old (/private/specialuse "\\Archive")'
    )
    assert client.tagged(rb'SETMETADATA INBOX (/private/specialuse "\\Junk")').startswith(b"NO [USEATTR] ")


def test_much_is_told_in_pieces(client: Client, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """One response of megabytes is not kept in memory as a whole."""
    inbox = lab.mailbox_id()

    def fill(transaction: Transaction) -> None:
        for number in range(40):
            transaction.put((MAILBOX_META, lab.account, inbox, f"/private/x/{number:02}"), b"x" * 65_536)

    lab.write(fill)
    carry_out, rooms = client._carry_out, 0

    def counting(request: Request) -> object:
        nonlocal rooms
        rooms += isinstance(request.operation, Room)
        return carry_out(request)

    monkeypatch.setattr(client, "_carry_out", counting)
    answers = client.send(b"GETMETADATA (DEPTH infinity) INBOX (/private/x)")
    assert len(answers) == 2
    assert answers[0].count(b"{65536}\r\n") == 40
    assert rooms == 40
