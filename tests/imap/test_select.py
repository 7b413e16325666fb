"""SELECT, EXAMINE, CLOSE, UNSELECT; what is \\Recent; QRESYNC."""

from __future__ import annotations

import pytest

from fedaemon.imap.engine import Request
from fedaemon.imap.operations import Read
from fedaemon.mailbox import mailboxes
from tests.imap.kept import state_of
from tests.imap.lab import NOW_S, Lab

MAIL = b"Subject: s\r\n\r\ntext\r\n"


def codes(lines: list[bytes]) -> dict[bytes, bytes]:
    """Return the response codes of untagged OKs."""
    found = {}
    for line in lines:
        if line.startswith(b"* OK ["):
            name, _, value = line[len(b"* OK [") : line.index(b"]")].partition(b" ")
            found[name] = value
    return found


def test_what_a_client_is_told(lab: Lab) -> None:
    lab.deliver(MAIL, MAIL, flags=("\\Seen", "$Forwarded"))
    lab.deliver(MAIL)
    lines = lab.client().send(b"SELECT inbox")
    assert lines[:2] == [b"* 3 EXISTS", b"* 3 RECENT"]
    assert rb"* FLAGS (\Seen \Answered \Flagged \Deleted \Draft $Forwarded)" in lines
    assert lines[-1] == b"OK [READ-WRITE] Opened"
    told = codes(lines)
    assert told[b"UNSEEN"] == b"3"
    assert told[b"UIDNEXT"] == b"4"
    assert told[b"HIGHESTMODSEQ"] == b"3"
    assert told[b"PERMANENTFLAGS"] == rb"(\Seen \Answered \Flagged \Deleted \Draft $Forwarded \*)"
    assert told[b"MAILBOXID"] == b"(" + lab.mailbox_id().encode() + b")"


def test_a_client_of_rev2_is_told_less_and_more(lab: Lab) -> None:
    """RFC 9051 6.3.2: no RECENT and UNSEEN, but a LIST of the mailbox."""
    lab.deliver(MAIL)
    client = lab.client()
    client.send(b"ENABLE IMAP4rev2")
    lines = client.send(b"SELECT INBOX")
    assert not [line for line in lines if b"RECENT" in line or b"UNSEEN" in line]
    assert b'* LIST () "/" INBOX' in lines


def test_messages_are_recent_in_one_session(lab: Lab) -> None:
    """RFC 3501 2.3.2: in the first read-write session that is told of them."""
    lab.deliver(MAIL)
    assert b"* 1 RECENT" in lab.client().send(b"EXAMINE INBOX")
    one, other = lab.client(), lab.client()
    assert b"* 1 RECENT" in one.send(b"SELECT INBOX")
    assert b"* 0 RECENT" in other.send(b"SELECT INBOX")
    assert rb"* 1 FETCH (FLAGS (\Recent))" in one.send(b"FETCH 1 FLAGS")
    assert b"* 1 FETCH (FLAGS ())" in other.send(b"FETCH 1 FLAGS")
    lab.deliver(MAIL)
    assert b"* 1 RECENT" in other.send(b"NOOP")
    assert b"* 1 RECENT" in one.send(b"NOOP")
    assert b"* 0 RECENT" in lab.client().send(b"SELECT INBOX")


def test_another_mailbox_and_one_that_is_not_there(lab: Lab) -> None:
    """RFC 9051 6.3.2, 7.1: the old one is closed first, also when the new one cannot be selected."""
    client = lab.client(select="INBOX")
    assert client.send(b"SELECT Sent")[0].startswith(b"* OK [CLOSED] ")
    lines = client.send(b"SELECT nowhere")
    assert lines[0].startswith(b"* OK [CLOSED] ")
    assert lines[-1].startswith(b"NO [NONEXISTENT] ")
    assert client.tagged(b"CHECK").startswith(b"BAD ")
    assert not lab.live._open


def test_close_expunges_and_unselect_does_not(lab: Lab) -> None:
    for command, left in ((b"UNSELECT", 3), (b"CLOSE", 1)):
        if command == b"UNSELECT":
            lab.deliver(MAIL, MAIL, flags=("\\Deleted",))
            lab.deliver(MAIL)
        client = lab.client(select="INBOX")
        assert client.send(command) == [b"OK Left" if left == 3 else b"OK Closed"]
        assert b"* %d EXISTS" % left in client.send(b"EXAMINE INBOX")


def test_close_expunges_nothing_of_a_mailbox_that_was_examined(lab: Lab) -> None:
    lab.deliver(MAIL, flags=("\\Deleted",))
    client = lab.client()
    client.send(b"EXAMINE INBOX")
    client.send(b"CLOSE")
    assert b"* 1 EXISTS" in client.send(b"EXAMINE INBOX")


def test_close_expunges_only_what_the_client_knows(lab: Lab) -> None:
    """What came marked as deleted meanwhile was not seen by anybody here."""
    client = lab.client(select="INBOX")
    lab.deliver(MAIL, flags=("\\Deleted",))
    client.send(b"CLOSE")
    assert b"* 1 EXISTS" in client.send(b"EXAMINE INBOX")


def test_the_mailbox_is_deleted_by_another(lab: Lab) -> None:
    lab.write(lambda transaction: mailboxes.create(transaction, lab.account, "gone", NOW_S * 1000))
    client = lab.client(select="gone")
    lab.write(lambda transaction: mailboxes.delete(transaction, lab.account, "gone", NOW_S * 1000))
    said = client.raw(b"x NOOP\r\n")
    assert said.startswith(b"* BYE the mailbox was deleted")
    assert client.engine.closed
    assert not lab.live._open


class TestQresync:
    """RFC 7162 3.2.5."""

    def test_it_has_to_be_enabled(self, lab: Lab) -> None:
        assert lab.client().tagged(b"SELECT INBOX (QRESYNC (1 1))").startswith(b"BAD ")

    @pytest.mark.parametrize("known", [b"", b" 2:3"])
    def test_what_has_changed_and_vanished_is_told(self, lab: Lab, known: bytes) -> None:
        lab.deliver(*[MAIL] * 4)
        client = lab.client()
        client.send(b"ENABLE QRESYNC")
        told = codes(client.send(b"SELECT INBOX"))
        client.send(b"STORE 1 +FLAGS (\\Flagged)")
        client.send(b"STORE 3 +FLAGS (\\Flagged)")
        client.send(b"STORE 2,4 +FLAGS.SILENT (\\Deleted)")
        client.send(b"EXPUNGE")
        lab.deliver(MAIL)
        state = (told[b"UIDVALIDITY"], told[b"HIGHESTMODSEQ"], known)
        lines = client.send(b"SELECT INBOX (QRESYNC (%b %b%b))" % state)
        vanished = b"* VANISHED (EARLIER) 2" if known else b"* VANISHED (EARLIER) 2,4"
        assert vanished in lines
        fetched = [line for line in lines if b" FETCH " in line]
        expected = [rb"* 2 FETCH (UID 3 FLAGS (\Recent \Flagged) MODSEQ (4))"]
        if not known:
            expected.insert(0, rb"* 1 FETCH (UID 1 FLAGS (\Recent \Flagged) MODSEQ (3))")
            expected.append(rb"* 3 FETCH (UID 5 FLAGS (\Recent) MODSEQ (7))")
        assert [line.replace(rb"\Recent ", b"").replace(rb"\Recent", b"") for line in fetched] == [
            line.replace(rb"\Recent ", b"").replace(rb"\Recent", b"") for line in expected
        ]

    def test_nothing_is_told_of_another_time(self, lab: Lab) -> None:
        lab.deliver(MAIL)
        client = lab.client()
        client.send(b"ENABLE QRESYNC")
        lines = client.send(b"SELECT INBOX (QRESYNC (1 1))")
        assert not [line for line in lines if b"FETCH" in line or b"VANISHED" in line]


def test_what_is_expunged_during_a_resynchronisation_is_told_once(lab: Lab) -> None:
    """RFC 7162 3.2.10.2: VANISHED (EARLIER) is not of messages that EXISTS has counted."""
    lab.deliver(MAIL, MAIL, MAIL, flags=("\\Deleted",))
    other, client = lab.client(select="INBOX"), lab.client()
    client.send(b"ENABLE QRESYNC")
    other.send(b"UID EXPUNGE 1")
    validity = state_of(lab).uidvalidity
    carry_out, reads = client._carry_out, iter(range(10))

    def with_another(request: Request) -> object:
        if isinstance(request.operation, Read) and next(reads) == 2:
            other.send(b"UID EXPUNGE 2")
        return carry_out(request)

    client._carry_out = with_another  # type: ignore[method-assign]
    lines = client.send(b"SELECT INBOX (QRESYNC (%d 1))" % validity)
    assert b"* 2 EXISTS" in lines
    assert [line for line in lines if b"VANISHED" in line] == [b"* VANISHED (EARLIER) 1", b"* VANISHED 2"]
