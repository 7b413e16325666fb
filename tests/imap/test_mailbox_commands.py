"""CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE: RFC 9051 6.3.4 to 6.3.8, RFC 6154 5.3, RFC 8474 4.2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fedaemon.mailbox import changing, mailboxes, reading, renaming
from fedaemon.mailbox import state as states
from fedaemon.mailbox.changing import GoneKind
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import MAIL_GONE
from tests.imap.lab import ACCOUNT, Client, Lab

STANDARD = ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]


@pytest.fixture
def client(lab: Lab) -> Client:
    return lab.client()


def names(client: Client, pattern: bytes = b"*") -> list[str]:
    """Return the names that LIST tells."""
    return [line.rpartition(b' "/" ')[2].decode() for line in client.send(b'LIST "" ' + pattern)[:-1]]


def test_create(lab: Lab, client: Client) -> None:
    """RFC 8474 4.2, RFC 9051 6.3.4: its id is told, those above are made; a separator at the end says nothing."""
    assert client.send(b"CREATE a/b/c/") == [
        b"OK [MAILBOXID (%s)] Created" % lab.mailbox_id("a/b/c").encode()
    ]
    assert names(client) == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash", "a", "a/b", "a/b/c"]


def test_names_in_both_forms(client: Client, lab: Lab) -> None:
    """RFC 9051 5.1, RFC 6855 3: modified UTF-7, or UTF-8 where that is enabled, are the same mailbox."""
    assert client.tagged(b"CREATE Entw&APw-rfe").startswith(b"OK ")
    other = lab.client()
    other.send(b"ENABLE IMAP4rev2")
    assert other.send('STATUS "Entwürfe" (MESSAGES)'.encode()) == [
        '* STATUS "Entwürfe" (MESSAGES 0)'.encode(),
        b"OK That is all",
    ]
    assert client.send(b"STATUS Entw&APw-rfe (MESSAGES)")[0] == b"* STATUS Entw&APw-rfe (MESSAGES 0)"
    assert other.tagged('CREATE "Entwürfe"'.encode()).startswith(b"NO [ALREADYEXISTS] ")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (b"CREATE inbox", b"ALREADYEXISTS"),
        (b"CREATE Sent", b"ALREADYEXISTS"),
        (b"CREATE a//b", b"CANNOT"),
        (rb"CREATE Mine (USE (\Sent))", b"USEATTR"),
        (rb"CREATE Mine (USE (\All))", b"USEATTR"),
        (rb"CREATE Mine (USE (\Junk \Trash))", b"USEATTR"),
        (rb"CREATE Mine (USE (\Nothing))", b"USEATTR"),
        (b"DELETE INBOX", b"CANNOT"),
        (b"DELETE none", b"NONEXISTENT"),
        (b"RENAME none new", b"NONEXISTENT"),
        (b"RENAME Sent Trash", b"ALREADYEXISTS"),
        (b"RENAME Sent Sent", b"ALREADYEXISTS"),
        (b"RENAME Sent Sent/below", b"CANNOT"),
        (b"RENAME Sent new/", b"CANNOT"),
        (b"RENAME INBOX new/", b"CANNOT"),
        (b"RENAME INBOX Trash", b"ALREADYEXISTS"),
        (b"RENAME INBOX inbox", b"ALREADYEXISTS"),
        (b"SUBSCRIBE none", b"NONEXISTENT"),
        (b"STATUS none (MESSAGES)", b"NONEXISTENT"),
    ],
)
def test_refused(client: Client, command: bytes, code: bytes) -> None:
    """RFC 5530 3: the client is told why, and nothing has changed."""
    assert client.tagged(command).startswith(b"NO [%s] " % code)
    assert names(client) == STANDARD


def test_names_that_are_too_long(client: Client) -> None:
    """None can be made, and so none is found; the key of such a record would be too long for the store."""
    assert client.tagged(b"CREATE " + b"x" * 201).startswith(b"NO [CANNOT] ")
    assert client.tagged(b"RENAME Sent " + b"x" * 900).startswith(b"NO [CANNOT] ")
    for command in (b"DELETE %b", b"RENAME %b new", b"STATUS %b (MESSAGES)", b"SUBSCRIBE %b", b"SELECT %b"):
        assert client.tagged(command % (b"x" * 900)).startswith(b"NO [NONEXISTENT] ")


def test_special_uses(client: Client) -> None:
    """RFC 6154 3, 5.3: a use that is free is given; with its mailbox it gets free again."""
    client.send(b"DELETE Archive")
    assert client.tagged(rb"CREATE Old (USE (\archive))").startswith(b"OK [MAILBOXID (")
    assert client.send(b'LIST (SPECIAL-USE) "" O*')[0] == b'* LIST (\\Archive) "/" Old'


def test_limits(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account has at most so many mailboxes, and names that it subscribes to."""
    monkeypatch.setattr(mailboxes, "MAX_MAILBOXES", 7)
    assert client.tagged(b"CREATE seventh").startswith(b"OK ")
    assert client.tagged(b"CREATE eighth").startswith(b"NO [LIMIT] ")
    assert client.tagged(b"SUBSCRIBE seventh").startswith(b"OK ")
    client.send(b"DELETE seventh")
    client.send(b"CREATE eighth")
    assert client.tagged(b"SUBSCRIBE eighth").startswith(b"NO [LIMIT] ")
    client.send(b"UNSUBSCRIBE seventh")
    assert client.tagged(b"SUBSCRIBE eighth").startswith(b"OK ")


def test_delete_leaves_what_is_below(client: Client) -> None:
    """RFC 9051 6.3.5: the name is a mere level then, which cannot be deleted."""
    client.send(b"CREATE a/b")
    assert client.send(b"DELETE a") == [b"OK Deleted"]
    assert client.send(b'LIST "" a*')[:-1] == [b'* LIST (\\HasNoChildren) "/" a/b']
    assert client.send(b'LIST "" a%')[:-1] == [b'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" a']
    assert client.tagged(b"DELETE a").startswith(b"NO [NONEXISTENT] ")


def test_deleting_what_is_selected(lab: Lab) -> None:
    """RFC 9051 7.1: the session goes on, with no mailbox selected."""
    client = lab.client()
    client.send(b"CREATE a")
    client.send(b"SELECT a")
    assert client.send(b"DELETE a") == [b"* OK [CLOSED] The mailbox was deleted", b"OK Deleted"]
    assert client.tagged(b"CLOSE").startswith(b"BAD ")
    client.send(b"SELECT INBOX")
    assert client.send(b"DELETE Trash") == [b"OK Deleted"]
    assert client.tagged(b"CLOSE").startswith(b"OK ")


def test_rename_takes_along_what_is_below(client: Client, lab: Lab) -> None:
    """RFC 9051 6.3.6: ids stay, parents are made, and a level that is no mailbox can be renamed too."""
    lab.deliver(b"Subject: x\r\n\r\n", name="Sent")
    before = lab.mailbox_id("Sent")
    for name in (b"Sent/old", b"Sent/zz", b"Sent0/a", b"Sent-a"):
        client.send(b"CREATE " + name)
    assert client.send(b"RENAME Sent x/y") == [b"OK Renamed"]
    assert lab.mailbox_id("x/y") == before
    assert names(client, b"x*") == ["x", "x/y", "x/y/old", "x/y/zz"]
    assert names(client, b"S*") == ["Sent-a", "Sent0", "Sent0/a"]
    assert client.send(b"STATUS x/y (MESSAGES)")[0] == b"* STATUS x/y (MESSAGES 1)"
    client.send(b"DELETE x")
    assert client.send(b"RENAME x z") == [b"OK Renamed"]
    assert {"z/y", "z/y/old"} <= set(names(client))


def test_rename_inbox(client: Client, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9051 6.3.6: its messages move, slice by slice, with their flags; it stays, and so does what is below."""
    monkeypatch.setattr(renaming, "MOVE_SLICE", 2)
    client.send(b"CREATE INBOX/below")
    for number in range(5):
        lab.deliver(b"Subject: %d\r\n\r\n" % number, flags=("\\Seen", "word") if number == 3 else ())
    used = lab.store.view(lambda snapshot: states.usage(snapshot, "account", ACCOUNT))
    writes = lab.writes
    assert client.send(b"RENAME inbox old/mail") == [b"OK Renamed"]
    assert lab.writes - writes == 1 + 3 + 1
    assert client.send(b"STATUS INBOX (MESSAGES UIDNEXT)")[0] == b"* STATUS INBOX (MESSAGES 0 UIDNEXT 6)"
    assert client.send(b"STATUS old/mail (MESSAGES UNSEEN)")[0] == b"* STATUS old/mail (MESSAGES 5 UNSEEN 4)"
    assert {"INBOX", "INBOX/below", "old", "old/mail"} <= set(names(client))
    assert lab.store.view(lambda snapshot: states.usage(snapshot, "account", ACCOUNT)) == used
    moved = lab.store.view(lambda snapshot: list(reading.rows(snapshot, lab.mailbox_id("old/mail"))))
    assert [row.flags for row in moved] == [0, 0, 0, 1 | 1 << 8, 0]
    gone = lab.store.view(lambda snapshot: list(snapshot.scan((MAIL_GONE, lab.mailbox_id()))))
    assert {changing.decode_gone(value).kind for _, value in gone} == {GoneKind.MOVED}


def test_what_comes_in_meanwhile_stays_in_inbox(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy mailbox can be emptied too: only what was there at the beginning moves."""
    client = lab.client()
    lab.deliver(b"Subject: 1\r\n\r\n", b"Subject: 2\r\n\r\n")
    write, new = lab.write, [b"Subject: 3\r\n\r\n", b"Subject: 4\r\n\r\n"]

    def busy(function: Callable[[Transaction], Any]) -> Any:
        result = write(function)
        if new:
            lab.deliver(new.pop())
        return result

    monkeypatch.setattr(lab, "write", busy)
    assert client.send(b"RENAME INBOX old") == [b"OK Renamed"]
    assert client.send(b"STATUS old (MESSAGES)")[0] == b"* STATUS old (MESSAGES 2)"
    assert client.send(b"STATUS INBOX (MESSAGES)")[0] == b"* STATUS INBOX (MESSAGES 2)"


def test_rename_inbox_tells_who_has_it_open(lab: Lab) -> None:
    """RFC 9051 7.5.1: for them the messages are expunged."""
    lab.deliver(b"Subject: 1\r\n\r\n", b"Subject: 2\r\n\r\n")
    own, other = lab.client(select="INBOX"), lab.client(select="INBOX")
    assert own.send(b"RENAME INBOX old") == [b"* 2 EXPUNGE", b"* 1 EXPUNGE", b"OK Renamed"]
    assert other.send(b"NOOP")[:-1] == [b"* 2 EXPUNGE", b"* 1 EXPUNGE"]


def test_subscriptions(client: Client, lab: Lab) -> None:
    """RFC 9051 6.3.7, 6.3.8: for all sessions; they outlive the mailbox; taking off what is not there is OK."""
    client.send(b"CREATE a")
    assert client.send(b"SUBSCRIBE a") == [b"OK Subscribed"]
    client.send(b"DELETE a")
    other = lab.client()
    assert other.send(b'LIST (SUBSCRIBED) "" a*') == [
        b'* LIST (\\NonExistent \\Subscribed) "/" a',
        b"OK That is all",
    ]
    for name in (b"a", b"a", b"x" * 900):
        assert client.send(b"UNSUBSCRIBE " + name) == [b"OK Unsubscribed"]
    assert other.send(b'LIST (SUBSCRIBED) "" a*') == [b"OK That is all"]


def test_commands_know_their_account_only(lab: Lab, client: Client) -> None:
    """One account sees nothing of another."""
    lab.write(lambda transaction: mailboxes.provide(transaction, "b@example.org", 0))
    lab.write(lambda transaction: mailboxes.create(transaction, "b@example.org", "Private", 0))
    lab.write(lambda transaction: mailboxes.subscribe(transaction, "b@example.org", "Private"))
    assert names(client) == STANDARD
    assert not any(b"Private" in line for line in client.send(b'LSUB "" *'))
    for command in (b"DELETE Private", b"RENAME Private Mine", b"STATUS Private (MESSAGES)"):
        assert client.tagged(command).startswith(b"NO [NONEXISTENT] ")
