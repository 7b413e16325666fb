"""REPLACE and UID REPLACE: RFC 8508 3, RFC 7162 3.2.7."""

from __future__ import annotations

import pytest

from tests.imap.kept import flags_of, kept, state_of
from tests.imap.lab import NOW_S, Client, Lab, modern

READY = b"+ OK\r\n"


@pytest.fixture
def client(lab: Lab) -> Client:
    return modern(lab)


def literal(content: bytes, kind: bytes = b"{%d+}") -> bytes:
    return kind % len(content) + b"\r\n" + content


def test_a_message_is_replaced(lab: Lab, client: Client) -> None:
    """RFC 8508 3: the code comes before EXPUNGE; one transaction."""
    lab.deliver(b"one", b"two", b"three")
    client.send(b"NOOP")
    writes = lab.writes
    assert client.send(b"REPLACE 2 INBOX (\\Draft) " + literal(b"new")) == [
        b"* OK [APPENDUID %d 4] The new message is added" % NOW_S,
        b"* 2 EXPUNGE",
        b"* 3 EXISTS",
        b"OK Replaced",
    ]
    assert lab.writes - writes == 1
    assert flags_of(lab) == {1: set(), 3: set(), 4: {"\\Draft"}}
    assert client.send(b"UID REPLACE 3 Drafts " + literal(b"draft"))[1:] == [b"* 2 EXPUNGE", b"OK Replaced"]
    assert kept(lab, "Drafts")[1].content == b"draft"
    assert client.send(b"REPLACE * INBOX " + literal(b"last"))[1] == b"* 2 EXPUNGE"


def test_a_message_that_is_gone_is_not_replaced(lab: Lab, client: Client) -> None:
    """Nothing is added, whether it goes before the content or while that comes."""
    lab.deliver(b"one", b"two")
    client.send(b"NOOP")
    other = modern(lab)
    assert client.raw(b"t REPLACE 1 INBOX {3}\r\n") == READY
    other.send(rb"STORE 1 FLAGS (\Deleted)")
    other.send(b"EXPUNGE")
    gone = b"NO [EXPUNGEISSUED] Some of the messages are gone; NOOP tells which"
    assert client.raw(b"new\r\n").endswith(b"t " + gone + b"\r\n")
    other.send(rb"STORE 1 FLAGS (\Deleted)")
    other.send(b"EXPUNGE")
    assert client.send(b"UID REPLACE 2 INBOX {3}")[-1] == gone
    assert kept(lab) == {}


def test_a_replacement_needs_no_more_room_than_there_is(lab: Lab) -> None:
    """What goes makes room."""
    lab.deliver(b"x" * 60)
    client = modern(lab, quota_octets=100)
    assert client.tagged(b"REPLACE 1 INBOX {101}").startswith(b"NO [OVERQUOTA] ")
    assert client.tagged(b"REPLACE 1 INBOX " + literal(b"y" * 100)) == b"OK Replaced"


def test_the_highest_mod_sequence_with_qresync(lab: Lab) -> None:
    """Of the expunge, which may be lower than that of the message that came."""
    lab.deliver(b"one")
    client = modern(lab, b"IMAP4rev2 QRESYNC")
    assert client.send(b"REPLACE 1 INBOX " + literal(b"new"))[1:] == [
        b"* VANISHED 1",
        b"* 1 EXISTS",
        b"OK [HIGHESTMODSEQ 3] Replaced",
    ]
    assert state_of(lab).modseq == 4


def test_a_mailbox_that_is_open_for_reading_is_not_changed(lab: Lab, client: Client) -> None:
    """EXAMINE: REPLACE would expunge; APPEND goes by the name."""
    lab.deliver(b"one")
    client.send(b"EXAMINE INBOX")
    refusal = b"NO [READ-ONLY] The mailbox was opened for reading only"
    assert client.send(b"REPLACE 1 INBOX " + literal(b"new")) == [refusal]
    assert client.send(b"APPEND INBOX " + literal(b"new"))[-1] == b"OK [APPENDUID %d 2] Added" % NOW_S
