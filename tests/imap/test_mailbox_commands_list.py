"""LIST, LSUB and STATUS on a store: RFC 9051 6.3.9, 6.3.11, RFC 5258 5, RFC 5819 3, RFC 6154 5, RFC 3501 6.3.9.

Which names are told is in test_listing.
"""

from __future__ import annotations

import pytest

from fedaemon.imap import access
from fedaemon.imap.commands import list_
from fedaemon.imap.engine import Request
from fedaemon.imap.operations import Read, Turn
from fedaemon.mailbox import changing, keeping, mailboxes
from fedaemon.store.interface import Transaction
from tests.imap.lab import ACCOUNT, Client, Lab

DONE = b"OK That is all"
MAIL = b"Subject: x\r\n\r\n" + b"x" * 1000


@pytest.fixture
def client(lab: Lab) -> Client:
    return lab.client()


def test_list(client: Client) -> None:
    """RFC 9051 6.3.9, RFC 6154 5.1: INBOX first, with special uses."""
    assert client.send(b'LIST "" *') == [
        b'* LIST (\\HasNoChildren) "/" INBOX',
        b'* LIST (\\HasNoChildren \\Archive) "/" Archive',
        b'* LIST (\\HasNoChildren \\Drafts) "/" Drafts',
        b'* LIST (\\HasNoChildren \\Junk) "/" Junk',
        b'* LIST (\\HasNoChildren \\Sent) "/" Sent',
        b'* LIST (\\HasNoChildren \\Trash) "/" Trash',
        DONE,
    ]


def test_the_separator(client: Client) -> None:
    """RFC 9051 6.3.9: LIST "" "" asks for it."""
    assert client.send(b'LIST "" ""') == [b'* LIST (\\Noselect) "/" ""', DONE]


def test_extended_list(client: Client) -> None:
    """RFC 5258 3, RFC 6154 5.2: patterns, selection and return options together."""
    client.send(b"CREATE Sent/old")
    assert client.send(b'LIST (SUBSCRIBED RECURSIVEMATCH) "" (INBOX S%) RETURN (CHILDREN SPECIAL-USE)') == [
        b'* LIST (\\HasNoChildren \\Subscribed) "/" INBOX',
        b'* LIST (\\HasChildren \\Subscribed \\Sent) "/" Sent',
        DONE,
    ]
    client.send(b"SUBSCRIBE Sent/old")
    client.send(b"UNSUBSCRIBE Sent")
    assert client.send(b'LIST (SUBSCRIBED RECURSIVEMATCH) "" S%') == [
        b'* LIST () "/" Sent ("CHILDINFO" ("SUBSCRIBED"))',
        DONE,
    ]
    assert client.send(b'LSUB "" S%') == [b'* LSUB (\\Noselect) "/" Sent', DONE]
    assert client.send(b"LSUB Sent/ *") == [b'* LSUB () "/" Sent/old', DONE]


def test_list_status(client: Client, lab: Lab) -> None:
    """RFC 5819 2, 3: STATUS behind each LIST, none for a name that is no mailbox."""
    lab.deliver(MAIL, MAIL, flags=("\\Seen",))
    client.send(b"CREATE a/b")
    client.send(b"DELETE a")
    assert client.send(b'LIST "" (I* a%) RETURN (STATUS (MESSAGES UNSEEN))') == [
        b'* LIST () "/" INBOX',
        b"* STATUS INBOX (MESSAGES 2 UNSEEN 0)",
        b'* LIST (\\NonExistent) "/" a',
        DONE,
    ]


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_mailbox_that_goes_while_it_is_listed(
    lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    """RFC 5819 2: it has no STATUS, and the others have."""
    monkeypatch.setattr(list_, "SLICE", 2)
    turns = 0
    carry_out = client._carry_out

    def deleting(request: Request) -> object:
        nonlocal turns
        if isinstance(request.operation, Turn):
            if turns == turn:
                lab.write(lambda transaction: mailboxes.delete(transaction, ACCOUNT, "Trash", 0))
            turns += 1
        return carry_out(request)

    monkeypatch.setattr(client, "_carry_out", deleting)
    answers = client.send(b'LIST "" * RETURN (STATUS (MESSAGES))')
    # In the third turn its line has been said already.
    assert (b"* STATUS Trash (MESSAGES 0)" in answers) == (turn > 1)
    assert sum(line.startswith(b"* STATUS") for line in answers) == 5 + (turn > 1)
    assert answers[-1] == DONE


@pytest.mark.parametrize("page", [1, 3])
def test_many_mailboxes(lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """They are read page by page and told slice by slice; nothing is left out at the seams."""
    monkeypatch.setattr(access, "PAGE", page)
    monkeypatch.setattr(list_, "SLICE", 2)

    def make(transaction: Transaction) -> None:
        for name in ("a/b", "a b", "z" * 200, "é", "\U0010ffff"):
            mailboxes.create(transaction, ACCOUNT, name, 0)
            mailboxes.subscribe(transaction, ACCOUNT, name)

    lab.write(make)
    client.send(b"ENABLE IMAP4rev2")
    expected = [
        "INBOX",
        "Archive",
        "Drafts",
        "Junk",
        "Sent",
        "Trash",
        "a",
        "a/b",
        "a b",
        "z" * 200,
        "é",
        "\U0010ffff",
    ]
    told = [line.rpartition(b'"/" ')[2].strip(b'"').decode() for line in client.send(b'LIST "" *')[:-1]]
    assert told == expected
    told = [line.rpartition(b'"/" ')[2].strip(b'"').decode() for line in client.send(b'LSUB "" *')[:-1]]
    assert told == [name for name in expected if name != "a"]


def test_pages(lab: Lab, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name is read once: two full pages and an empty one of mailboxes, and as many of subscriptions."""
    monkeypatch.setattr(access, "PAGE", 3)
    coroutine = access.names_of(client.engine.session)
    reads, value = 0, None
    while True:
        try:
            operation = coroutine.send(value)
        except StopIteration as stop:
            names = stop.value
            break
        reads += isinstance(operation, Read)
        value = lab.store.view(operation.function) if isinstance(operation, Read) else None
    assert reads == 3 + 3
    assert set(names.selected(frozenset())) == names.subscribed == set(mailboxes.STANDARD)


def test_room_is_awaited(lab: Lab, client: Client) -> None:
    """A long answer is not kept in memory as a whole."""

    def make(transaction: Transaction) -> None:
        for number in range(1200):
            mailboxes.create(transaction, ACCOUNT, f"{number:0199}", 0)

    lab.write(make)
    assert len(client.send(b'LIST "" *')) == 1207
    assert client.largest_queue < 150_000


def test_status(lab: Lab, client: Client) -> None:
    """RFC 9051 7.3.4, RFC 8438, RFC 7889 4, RFC 8474 4.3, RFC 9208 4.1.4: each item, in the client's order."""
    lab.deliver(MAIL, MAIL, MAIL)
    lab.deliver(MAIL, flags=("\\Deleted",))
    mailbox_id = lab.mailbox_id().encode()
    assert client.send(
        b"STATUS INBOX (UNSEEN MESSAGES UIDNEXT SIZE DELETED DELETED-STORAGE RECENT APPENDLIMIT MAILBOXID)"
    ) == [
        b"* STATUS INBOX (UNSEEN 4 MESSAGES 4 UIDNEXT 5 SIZE %d DELETED 1 DELETED-STORAGE %d RECENT 4"
        b" APPENDLIMIT 52428800 MAILBOXID (%s))" % (4 * len(MAIL), len(MAIL), mailbox_id),
        DONE,
    ]
    assert client.send(b"STATUS inbox (UIDVALIDITY)")[0].startswith(b"* STATUS INBOX (UIDVALIDITY 17")


def test_asking_for_mod_sequences_enables_condstore(lab: Lab, client: Client) -> None:
    """RFC 7162 3.1: STATUS with HIGHESTMODSEQ, also within LIST; STATUS without it does not."""
    lab.deliver(MAIL)
    client.send(b"STATUS INBOX (MESSAGES)")
    assert not client.engine.session.condstore
    assert client.send(b"STATUS INBOX (HIGHESTMODSEQ)")[0] == b"* STATUS INBOX (HIGHESTMODSEQ 2)"
    assert client.engine.session.condstore
    other = lab.client()
    assert b"* STATUS INBOX (HIGHESTMODSEQ 2)" in other.send(b'LIST "" I* RETURN (STATUS (HIGHESTMODSEQ))')
    assert other.engine.session.condstore


def test_recent(lab: Lab, client: Client) -> None:
    """RFC 3501 6.3.10: those that nobody was told of yet, in chunks and outside; none in IMAP4rev2."""
    for _ in range(5):
        lab.deliver(MAIL, flags=("\\Seen",))
    assert client.send(b"STATUS INBOX (RECENT)")[0] == b"* STATUS INBOX (RECENT 5)"
    mailbox_id, uids = lab.mailbox_id(), [1, 2, 3]
    texts = lab.store.view(lambda snapshot: keeping.gather_texts(snapshot, mailbox_id, uids))
    assert lab.write(lambda transaction: keeping.seal(transaction, mailbox_id, uids, texts))
    assert client.send(b"STATUS INBOX (RECENT)")[0] == b"* STATUS INBOX (RECENT 5)"
    lab.write(lambda t: changing.expunge(t, mailbox_id, ((3, 4),), 0, only_deleted=False))
    assert client.send(b"STATUS INBOX (RECENT)")[0] == b"* STATUS INBOX (RECENT 3)"
    lab.client(select="INBOX")
    assert client.send(b"STATUS INBOX (RECENT)")[0] == b"* STATUS INBOX (RECENT 0)"
    lab.deliver(MAIL)
    assert client.send(b"STATUS INBOX (RECENT)")[0] == b"* STATUS INBOX (RECENT 1)"
    client.send(b"ENABLE IMAP4rev2")
    assert client.send(b"STATUS INBOX (RECENT)")[0] == b"* STATUS INBOX (RECENT 0)"


def test_recent_in_the_selected_mailbox(lab: Lab) -> None:
    """What this session was told of is no news for the next."""
    own = lab.client(select="INBOX")
    lab.deliver(MAIL)
    own.send(b"NOOP")
    assert own.send(b"STATUS INBOX (RECENT)")[0] == b"* STATUS INBOX (RECENT 0)"
