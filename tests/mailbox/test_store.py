"""Mailboxes: UIDs, contents, listing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedaemon.mailbox.store import (
    Mail,
    append,
    canonical_name,
    content,
    expunge,
    find,
    get_mail,
    mail_of,
    mailboxes,
    messages,
    sizes,
)
from fedaemon.store.blobs import Blobs
from fedaemon.store.content import MemoryContent
from fedaemon.store.errors import StoreError
from fedaemon.store.layout import Layout
from fedaemon.store.statistics import Statistics
from tests.fakes import MemoryEngine

ALICE, BOB = "alice@example.test", "bob@example.test"
NOW_MS = 1_750_000_000_000


class Account:
    """An account's mailboxes in memory."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.blobs = Blobs(Layout(Path("unused")), Statistics(), None)

    def append(
        self, octets: bytes, prefix: bytes = b"", name: str = "INBOX", owner: str = ALICE, **more: Any
    ) -> int:
        def write(transaction: Any) -> int:
            blob_id = self.blobs.add(transaction, self.blobs.stage(MemoryContent(octets)))
            size = len(prefix) + len(octets)
            return append(
                transaction,
                owner,
                name,
                blob_id=blob_id,
                prefix=prefix,
                size=size,
                internal_ms=NOW_MS,
                **more,
            )

        return self.engine.transact(write)

    def mail(self, name: str = "INBOX", owner: str = ALICE) -> list[Mail]:
        return self.engine.view(lambda snapshot: list(messages(snapshot, owner, name)))

    def octets(self, mail: Mail) -> bytes:
        found = self.engine.view(lambda snapshot: content(snapshot, self.blobs, mail))
        assert found.size == mail.size
        return b"".join(found.chunks())


def test_uids_grow_and_stay() -> None:
    """Each mail gets the next UID; UIDNEXT and UIDVALIDITY say so."""
    account = Account()
    assert [account.append(b"a\r\n"), account.append(b"b\r\n")] == [1, 2]
    mailbox = account.engine.view(lambda snapshot: find(snapshot, ALICE, "INBOX"))
    assert mailbox is not None
    assert (mailbox.uidnext, mailbox.uidvalidity) == (3, NOW_MS // 1000)
    assert [mail.uid for mail in account.mail()] == [1, 2]


def test_the_content_is_the_prefix_and_the_octets() -> None:
    """Byte for byte, also where the prefix is not ASCII."""
    account = Account()
    prefix = "Return-Path: <jörg@example.test>\r\n".encode()
    account.append(b"Subject: x\r\n\r\n\x00\xff\r\n", prefix)
    (mail,) = account.mail()
    assert mail.prefix == prefix
    assert account.octets(mail) == prefix + b"Subject: x\r\n\r\n\x00\xff\r\n"


def test_mailboxes_are_kept_apart() -> None:
    """By name and by account; other accounts' names do not run into each other."""
    account = Account()
    account.append(b"1")
    account.append(b"2", name="Sent")
    account.append(b"3", owner=BOB)
    account.append(b"4", owner=ALICE + "x")
    names = account.engine.view(lambda snapshot: [box.name for box in mailboxes(snapshot, ALICE)])
    assert names == ["INBOX", "Sent"]
    owners = account.engine.view(lambda snapshot: [box.account for box in mailboxes(snapshot)])
    assert owners == [ALICE, ALICE, ALICE + "x", BOB]
    assert [account.octets(mail) for mail in account.mail("Sent")] == [b"2"]


@pytest.mark.parametrize(
    ("name", "kept"), [("inbox", "INBOX"), ("InBox", "INBOX"), ("Inbox2", "Inbox2"), ("a", "a")]
)
def test_inbox_is_one_mailbox_in_any_case(name: str, kept: str) -> None:
    """RFC 9051 5.1; other names are told apart by case."""
    assert canonical_name(name) == kept


def test_flags_and_times_come_back() -> None:
    """What append was given."""
    account = Account()
    account.append(b"x", flags=("\\Seen", "$Junk"))
    (mail,) = account.mail()
    assert (mail.flags, mail.internal_ms) == (("\\Seen", "$Junk"), NOW_MS)


def test_reading_goes_in_slices() -> None:
    """mail_of begins behind a UID and ends at a limit."""
    account = Account()
    for number in range(5):
        account.append(b"%d" % number)
    mailbox = account.engine.view(lambda snapshot: find(snapshot, ALICE, "INBOX"))
    assert mailbox is not None
    part = account.engine.view(lambda snapshot: list(mail_of(snapshot, mailbox.id, 2, 2)))
    assert [mail.uid for mail in part] == [3, 4]


def test_a_mailbox_that_is_not_there_is_empty() -> None:
    """Nobody has to make an INBOX first."""
    account = Account()
    assert account.mail() == []
    assert account.engine.view(lambda snapshot: find(snapshot, ALICE, "INBOX")) is None


def test_a_lost_content_is_an_error_and_not_an_empty_mail() -> None:
    """StoreError, which is temporary to whoever reads."""
    account = Account()
    account.append(b"x")
    (mail,) = account.mail()
    account.engine.transact(lambda transaction: account.blobs.release(transaction, mail.blob))
    with pytest.raises(StoreError):
        account.octets(mail)


def box_id(account: Account) -> str:
    mailbox = account.engine.view(lambda snapshot: find(snapshot, ALICE, "INBOX"))
    assert mailbox is not None
    return mailbox.id


@pytest.mark.parametrize("prefix", [b"", b'X: "size":7,\\"size":8\r\n'])
def test_sizes_are_those_of_the_mail(prefix: bytes) -> None:
    """Whatever stands in a record's prefix; in slices as mail_of."""
    account = Account()
    for number in range(5):
        account.append(b"x" * number, prefix, flags=("size", '"size":9'))
    mailbox_id = box_id(account)
    expected = [(mail.uid, mail.size) for mail in account.mail()]
    assert account.engine.view(lambda snapshot: list(sizes(snapshot, mailbox_id))) == expected
    assert account.engine.view(lambda snapshot: list(sizes(snapshot, mailbox_id, 1, 2))) == expected[1:3]


def test_expunging_removes_mail_and_gives_its_content_back() -> None:
    """RFC 9051 6.4.3; a UID that is not there is passed over, and no UID is used again."""
    account = Account()
    for number in range(3):
        account.append(b"%d" % number)
    mailbox_id = box_id(account)
    removed = account.engine.transact(
        lambda transaction: expunge(transaction, account.blobs, mailbox_id, [3, 1, 7])
    )
    assert removed == 2
    assert [mail.uid for mail in account.mail()] == [2]
    assert account.engine.view(lambda snapshot: get_mail(snapshot, mailbox_id, 3)) is None
    assert sum(key[0] in ("blob", "bytes") for key in account.engine.entries) == 2
    assert account.append(b"new") == 4


def test_a_content_that_others_hold_stays() -> None:
    """One reference is given back, not the blob."""
    account = Account()
    account.append(b"shared")
    (mail,) = account.mail()
    account.engine.transact(lambda transaction: account.blobs.retain(transaction, mail.blob))
    account.engine.transact(lambda transaction: expunge(transaction, account.blobs, mail.mailbox, [mail.uid]))
    assert account.mail() == []
    assert account.octets(mail) == b"shared"


def test_expunging_is_all_or_nothing() -> None:
    """A missing blob is an error, and what was named before it is still there."""
    account = Account()
    account.append(b"1")
    account.append(b"2")
    mailbox_id = box_id(account)
    account.engine.transact(lambda transaction: account.blobs.release(transaction, account.mail()[1].blob))
    with pytest.raises(StoreError):
        account.engine.transact(lambda transaction: expunge(transaction, account.blobs, mailbox_id, [1, 2]))
    assert [mail.uid for mail in account.mail()] == [1, 2]
