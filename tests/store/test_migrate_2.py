"""Mailboxes of format 2 are the same in format 3."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fedaemon.mailbox import check, mailboxes, reading, words
from fedaemon.mailbox import state as states
from fedaemon.mailbox.adding import NewMail, append
from fedaemon.mailbox.rows import NO_DATE, NO_SHAPE
from fedaemon.mailbox.state import State
from fedaemon.store import formats, migrate_2
from fedaemon.store.blobs import Blobs
from fedaemon.store.content import whole
from fedaemon.store.layout import Layout
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.statistics import Statistics
from tests.fakes import MemoryEngine

ALICE, BOB, CAROL = "alice@example.test", "bob@example.test", "carol@other.test"
MADE_S = 1_700_000_000
NOW_MS = 1_750_000_000_000
BOXES = {ALICE: "01HF00000000000A", BOB: "01HF00000000000B", CAROL: "01HF00000000000C"}
LOST = "01HF00000000000L"
PREFIX = "Return-Path: <bob@example.test>\r\nDelivered-To: alice+ä@example.test\r\n"
WORDS = ("$Forwarded", "\\Seen", "$forwarded", "Später", "\\Deleted")


def record(fields: dict[str, Any]) -> bytes:
    """Write a record as format 2 did."""
    return b"\x01" + json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def old_store(transaction: Any) -> None:
    """Write what format 2 had: three accounts, one of them without mail, and mail of a mailbox that is gone."""
    transaction.put(("format",), record({"version": 2}))

    def box(account: str, uidnext: int) -> None:
        fields = {"id": BOXES[account], "uidvalidity": MADE_S, "uidnext": uidnext}
        transaction.put(("mailbox", account, "INBOX"), record(fields))

    def mail(box_id: str, uid: int, content: bytes, **more: Any) -> None:
        blob = f"blob{uid:04}{box_id[-8:]}"
        size = len(more.get("prefix", "").encode()) + len(content)
        kept = {"blob": blob, "size": size, "internal_ms": 1_600_000_000_999 + uid * 1000, **more}
        transaction.put(("mail", box_id, uid), record(kept))
        transaction.put(("blob", blob), record({"references": 1, "size": len(content), "place": "inline"}))
        transaction.put(("bytes", blob), content)

    box(ALICE, 9)
    mail(BOXES[ALICE], 2, b"a: b\r\n\r\n", prefix=PREFIX)
    mail(BOXES[ALICE], 5, b"x", flags=list(WORDS))
    mail(BOXES[ALICE], 7, b"", flags=["\\Draft", "\\Answered", "\\Flagged", "\\Seen"])
    box(BOB, 1)
    box(CAROL, 2)
    mail(BOXES[CAROL], 1, b"c: d\r\n\r\n")
    mail(LOST, 1, b"lost")


@pytest.fixture
def engine() -> MemoryEngine:
    """A store that was upgraded."""
    engine = MemoryEngine()
    engine.transact(old_store)
    while engine.transact(formats.upgrade):
        pass
    return engine


def test_the_same_is_there(engine: MemoryEngine) -> None:
    """UIDs, UIDVALIDITY, flags by name, dates and octets, prefix included."""
    assert engine.view(formats.version) == formats.CURRENT
    blobs = Blobs(Layout(Path("unused")), Statistics(), None)

    def look(snapshot: Any) -> list[tuple[Any, ...]]:
        inbox = mailboxes.need(snapshot, ALICE, "INBOX")
        assert inbox.id == BOXES[ALICE]
        names = words.keywords(snapshot, inbox.id)
        found = []
        for row in reading.rows(snapshot, inbox.id):
            mail = reading.mail(snapshot, inbox.id, row.uid)
            assert mail is not None
            assert mail.shape == NO_SHAPE
            octets = whole(reading.content(snapshot, blobs, mail))
            assert len(octets) == row.size
            assert (row.saved_s, row.sent_s, row.zone_min, row.modseq) == (row.internal_s, NO_DATE, 0, 1)
            found.append((row.uid, row.internal_s, words.flag_names(row.flags, names), octets))
        return found

    assert engine.view(look) == [
        (2, 1_600_000_002, [], PREFIX.encode() + b"a: b\r\n\r\n"),
        (5, 1_600_000_005, ["\\Seen", "\\Deleted", "$Forwarded", "Später"], b"x"),
        (7, 1_600_000_007, ["\\Seen", "\\Answered", "\\Flagged", "\\Draft"], b""),
    ]


def test_what_is_counted(engine: MemoryEngine) -> None:
    """The counters of a mailbox, and the usage of accounts and domains."""
    octets = len(PREFIX.encode()) + 8 + 1
    assert engine.view(partial(states.load, mailbox_id=BOXES[ALICE])) == State(
        uidvalidity=MADE_S,
        uidnext=9,
        exists=3,
        unseen=1,
        deleted=1,
        octets=octets,
        deleted_octets=1,
        tail=3,
        owner=ALICE,
    )
    assert engine.view(partial(states.load, mailbox_id=BOXES[BOB])) == State(uidvalidity=MADE_S, owner=BOB)
    used = [
        engine.view(partial(states.usage, kind=kind, name=name))
        for kind, name in (("account", ALICE), ("domain", "example.test"), ("domain", "other.test"))
    ]
    assert used == [(octets, 3), (octets, 3), (8, 1)]


def test_verify_finds_only_what_was_lost_before(engine: MemoryEngine) -> None:
    """And the contents of that have their references still."""
    found = engine.view(lambda s: list(check.MailboxChecker().problems(s)))
    assert [(each.kind, LOST in each.what) for each in found] == [("mailbox.lost", True)]
    blobs = engine.view(lambda s: sorted(check.MailboxChecker().references(s)))
    assert blobs == sorted(str(key[1]) for key in engine.entries if key[0] == "blob")


def test_ids_of_messages_differ(engine: MemoryEngine) -> None:
    """Each has an EMAILID of its own."""
    rows = engine.view(lambda s: list(reading.rows(s, BOXES[ALICE])))
    assert len({row.email for row in rows} - {0}) == 3


def test_mail_goes_on(engine: MemoryEngine) -> None:
    """The other mailboxes are made when the next message comes, which has the next UID; INBOX stays."""

    def deliver(transaction: Any) -> int:
        mailboxes.provide(transaction, ALICE, NOW_MS)
        inbox = mailboxes.need(transaction, ALICE, "inbox")
        return append(transaction, inbox.id, [NewMail("b", 1, 1)], 1)[0]

    assert engine.transact(deliver) == 9
    names = engine.view(lambda s: {each.name: each.special_use for each in mailboxes.mailboxes(s, ALICE)})
    assert names == mailboxes.STANDARD
    assert engine.view(lambda s: mailboxes.subscriptions(s, ALICE)) == set(mailboxes.STANDARD)
    inbox = engine.view(lambda s: mailboxes.need(s, ALICE, "INBOX"))
    assert (inbox.id, inbox.created_ms) == (BOXES[ALICE], MADE_S * 1000)
    assert engine.view(partial(states.load, mailbox_id=inbox.id)).uidvalidity == MADE_S


def test_more_keywords_than_there_is_room_for(engine: MemoryEngine) -> None:
    """The first 128 stay; the mail does."""
    engine = MemoryEngine()
    names = [f"word{number}" for number in range(130)]

    def write(transaction: Any) -> None:
        old_store(transaction)
        kept = {"blob": "b", "size": 1, "internal_ms": 1, "flags": names}
        transaction.put(("mail", BOXES[ALICE], 8), record(kept))

    engine.transact(write)
    engine.transact(formats.upgrade)
    known = engine.view(partial(words.keywords, mailbox_id=BOXES[ALICE]))
    assert len(known) == words.MAX_KEYWORDS
    (row,) = engine.view(lambda s: list(reading.rows(s, BOXES[ALICE], ((8, 8),))))
    assert words.flag_names(row.flags, known) == names[:126]


def test_slices_on_a_real_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of mails, each is converted once."""
    monkeypatch.setattr(migrate_2, "SLICE", 3)
    engine = LmdbEngine.open(tmp_path / "data")

    def write(transaction: Any) -> None:
        old_store(transaction)
        for number in range(10):
            kept = {"blob": f"b{number}", "size": number, "internal_ms": 1}
            transaction.put(("mail", BOXES[CAROL], 10 + number), record(kept))
            transaction.put(("mail", BOXES[BOB], 10 + number), record(kept))

    engine.transact(write)
    engine.close()
    engine = LmdbEngine.open(tmp_path / "data")
    rows = engine.view(lambda s: list(reading.rows(s, BOXES[CAROL])))
    assert [(row.uid, row.size) for row in rows] == [(1, 8), *((10 + number, number) for number in range(10))]
    assert engine.view(partial(states.load, mailbox_id=BOXES[BOB])).exists == 10
    engine.close()
