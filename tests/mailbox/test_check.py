"""``fedaemonctl verify`` on mailboxes: nothing is found in a sound store, and each damage has its name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fedaemon.mailbox import changing, check, keeping, mailboxes, reading
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import state as states
from fedaemon.mailbox.adding import append
from fedaemon.mailbox.rows import Mail
from fedaemon.mailbox.shaping import new_mail, read_shaped
from fedaemon.store.blobs import Blobs
from fedaemon.store.content import MemoryContent
from fedaemon.store.layout import Layout
from fedaemon.store.spaces import MAIL, MAIL_CHUNK, MAIL_GONE, MAIL_PURGE, MAIL_ROW, MAILBOX, MAILBOX_STATE
from fedaemon.store.statistics import Statistics
from tests.fakes import MemoryEngine

ALICE, BOB = "alice@example.test", "bob@example.test"
NOW_MS = 1_750_000_000_000
NOW_S = NOW_MS // 1000
CHECKER = check.MailboxChecker(lambda: NOW_S)
BLOBS = Blobs(Layout(Path("unused")), Statistics(), None)

Damage = Callable[[Any, str], None]


def deliver(transaction: Any, account: str, count: int) -> None:
    """Put messages into an INBOX."""
    inbox = mailboxes.need(transaction, account, "INBOX")
    for number in range(count):
        content = MemoryContent(b"Subject: number %d\r\n\r\n" % number)
        blob = BLOBS.add(transaction, BLOBS.stage(content))
        new = new_mail(account, blob, content.size, b"", NOW_S, read_shaped(content))
        append(transaction, inbox.id, [new], NOW_S)


def seal(transaction: Any, mailbox_id: str, rows: int) -> None:
    """Make a chunk."""
    uids = keeping.to_seal(transaction, mailbox_id, rows)
    assert keeping.seal(transaction, mailbox_id, uids, keeping.gather_texts(transaction, mailbox_id, uids))


@pytest.fixture
def engine() -> MemoryEngine:
    """Twelve messages of alice, of which 1 to 8 are in two chunks, 2 and 10 expunged, 3 purged; two of bob; a
    mailbox that was deleted.
    """
    engine = MemoryEngine()

    def write(transaction: Any) -> None:
        for account in (ALICE, BOB):
            mailboxes.provide(transaction, account, NOW_MS)
        deliver(transaction, ALICE, 12)
        deliver(transaction, BOB, 2)
        inbox = mailboxes.need(transaction, ALICE, "INBOX").id
        for _ in range(2):
            seal(transaction, inbox, 4)
        expunge = partial(changing.expunge, transaction, inbox, now_ms=NOW_MS, only_deleted=False)
        expunge(((2, 2), (10, 10)), keep_s=3600)
        expunge(((3, 3),), keep_s=0)
        changing.change_flags(transaction, inbox, ((1, 1), (9, 9)), changing.Mode.ADD, c.DELETED)
        keeping.purge(transaction, BLOBS, NOW_S, inbox, states.load(transaction, inbox).modseq - 1)
        work = mailboxes.create(transaction, BOB, "Work", NOW_MS)
        append(transaction, work.id, [new_mail(BOB, "w", 7, b"", 1, None)], 1)
        mailboxes.delete(transaction, BOB, "Work", NOW_MS)

    engine.transact(write)
    return engine


def inbox_id(engine: MemoryEngine, account: str = ALICE) -> str:
    return engine.view(lambda s: mailboxes.need(s, account, "INBOX")).id


def found(engine: MemoryEngine) -> list[str]:
    """Return the kinds of what is wrong."""
    return [finding.kind for finding in engine.view(lambda s: list(CHECKER.problems(s)))]


def test_a_sound_store(engine: MemoryEngine) -> None:
    """Nothing is wrong, and repairing it changes nothing; every blob is named as often as it is referred to."""
    assert found(engine) == []
    before = dict(engine.entries)
    engine.transact(CHECKER.repair)
    assert engine.entries == before
    named = engine.view(lambda s: sorted(CHECKER.references(s)))
    assert named == sorted([*(str(key[1]) for key in before if key[0] == "blob"), "w"])


def state_with(**changes: Any) -> Damage:
    """Return a damage of the counters."""

    def damage(transaction: Any, mailbox_id: str) -> None:
        after = states.load(transaction, mailbox_id)._replace(**changes)
        transaction.put((MAILBOX_STATE, mailbox_id), after.to_record())

    return damage


def wrong_usage(transaction: Any, mailbox_id: str) -> None:
    states.add_usage(transaction, "nobody@example.test", 5, 1)


def no_texts(transaction: Any, mailbox_id: str) -> None:
    transaction.delete((MAIL_CHUNK, mailbox_id, c.SUBJECT, 5))


def shifted_texts(transaction: Any, mailbox_id: str) -> None:
    transaction.put((MAIL_CHUNK, mailbox_id, c.SUBJECT, 5), c.encode({c.SUBJECT: b"a\nb\nc\nd\ne"}, 5))


def damaged_texts(transaction: Any, mailbox_id: str) -> None:
    transaction.put((MAIL_CHUNK, mailbox_id, c.SUBJECT, 5), b"\x01\x01")


def no_purge(transaction: Any, mailbox_id: str) -> None:
    (key,) = [key for key, _ in transaction.scan((MAIL_PURGE,))]
    transaction.delete(key)


def stray_purge(transaction: Any, mailbox_id: str) -> None:
    transaction.put((MAIL_PURGE, NOW_S, mailbox_id, 999), b"")


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        pytest.param(state_with(exists=3), ["mailbox.counters"], id="exists"),
        pytest.param(state_with(octets=3), ["mailbox.counters"], id="octets"),
        pytest.param(state_with(unseen=0), ["mailbox.counters"], id="unseen"),
        pytest.param(state_with(deleted=0), ["mailbox.counters"], id="deleted"),
        pytest.param(state_with(deleted_octets=9), ["mailbox.counters"], id="deleted octets"),
        pytest.param(state_with(gone=0), ["mailbox.counters"], id="gone"),
        pytest.param(state_with(gone_octets=1), ["mailbox.counters"], id="gone octets"),
        pytest.param(state_with(tail=12), ["mailbox.counters"], id="tail"),
        pytest.param(state_with(uidnext=12), ["mailbox.uidnext"], id="uidnext"),
        pytest.param(state_with(owner=BOB), ["mailbox.owner"], id="owner"),
        pytest.param(wrong_usage, ["mailbox.usage", "mailbox.usage"], id="usage"),
        pytest.param(no_texts, ["mailbox.texts"], id="no texts"),
        pytest.param(shifted_texts, ["mailbox.texts"], id="shifted texts"),
        pytest.param(damaged_texts, ["mailbox.texts"], id="damaged texts"),
        pytest.param(stray_purge, ["mail.stray_purge"], id="stray purge"),
    ],
)
def test_damage_that_is_repaired(engine: MemoryEngine, damage: Damage, kinds: list[str]) -> None:
    """It is named, and afterwards the store is octet for octet what it was."""
    before = dict(engine.entries)
    engine.transact(lambda t: damage(t, inbox_id(engine)))
    assert found(engine) == kinds
    engine.transact(CHECKER.repair)
    assert found(engine) == []
    zero = {key: value for key, value in engine.entries.items() if "nobody@example.test" not in key}
    assert zero == before


def test_a_purge_that_was_forgotten(engine: MemoryEngine) -> None:
    """It is set anew, two weeks from now; what is purged already is left alone."""
    mailbox = inbox_id(engine)
    engine.transact(lambda t: no_purge(t, mailbox))
    assert found(engine) == ["mail.unpurged"]
    engine.transact(CHECKER.repair)
    assert found(engine) == []
    (key,) = [key for key in engine.entries if key[0] == MAIL_PURGE]
    assert key[1] == NOW_S + check.KEEP_S


def drop(*key: Any) -> Damage:
    """Return a damage by which a record is lost."""

    def damage(transaction: Any, mailbox_id: str) -> None:
        place = [mailbox_id if part == "ID" else part for part in key]
        assert transaction.delete(tuple(place))

    return damage


def short_facts(transaction: Any, mailbox_id: str) -> None:
    facts = reading.group(transaction, mailbox_id, c.FACTS_GROUP, 1)
    facts[c.SENT] = facts[c.SENT][:-8]
    transaction.put((MAIL_CHUNK, mailbox_id, c.FACTS_GROUP, 1), c.encode(facts, 4))


def torn_facts(transaction: Any, mailbox_id: str) -> None:
    facts = reading.group(transaction, mailbox_id, c.FACTS_GROUP, 1)
    facts[c.SENT] += b"\0"
    transaction.put((MAIL_CHUNK, mailbox_id, c.FACTS_GROUP, 1), c.encode(facts, 4))


def damaged_chunk(transaction: Any, mailbox_id: str) -> None:
    transaction.put((MAIL_CHUNK, mailbox_id, c.STATE_GROUP, 1), b"\x01")


def damaged_row(transaction: Any, mailbox_id: str) -> None:
    transaction.put((MAIL_ROW, mailbox_id, 9), b"\x01")


def row_again(transaction: Any, mailbox_id: str) -> None:
    value = transaction.get((MAIL_ROW, mailbox_id, 9))
    transaction.put((MAIL_ROW, mailbox_id, 8), value.replace(b"\x09\0\0\0", b"\x08\0\0\0", 1))


def chunk_elsewhere(transaction: Any, mailbox_id: str) -> None:
    for key, value in list(transaction.scan((MAIL_CHUNK, mailbox_id))):
        if key[3] == 5:
            transaction.delete(key)
            transaction.put((*key[:3], 6), value)


def stray_mail(transaction: Any, mailbox_id: str) -> None:
    transaction.put((MAIL, mailbox_id, 77), Mail("b", b"", bytes(32)).to_record())


def no_history(transaction: Any, mailbox_id: str) -> None:
    for space in (MAIL_GONE, MAIL_PURGE):
        for key, _ in list(transaction.scan((space,))):
            transaction.delete(key)


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        pytest.param(drop(MAIL, "ID", 4), ["mail.missing"], id="content"),
        pytest.param(stray_mail, ["mail.stray"], id="message"),
        pytest.param(no_history, ["mail.unpurged", "mail.unpurged"], id="history"),
        pytest.param(
            drop(MAILBOX_STATE, "ID"), ["mailbox.state", "mailbox.usage", "mailbox.usage"], id="state"
        ),
        pytest.param(drop(MAIL_CHUNK, "ID", c.FACTS_GROUP, 1), ["mailbox.chunk"], id="facts"),
        pytest.param(drop(MAIL_CHUNK, "ID", c.STATE_GROUP, 1), ["mailbox.chunk"], id="flags"),
        pytest.param(short_facts, ["mailbox.chunk"], id="a row of a column"),
        pytest.param(torn_facts, ["mailbox.chunk"], id="an octet of a column"),
        pytest.param(damaged_chunk, ["mailbox.chunk", "mailbox.chunk"], id="a chunk"),
        pytest.param(damaged_row, ["mailbox.row"], id="a row"),
        pytest.param(row_again, ["mailbox.order"], id="order"),
        pytest.param(chunk_elsewhere, ["mailbox.chunk"], id="a chunk's place"),
        pytest.param(
            drop(MAILBOX, ALICE, "INBOX"),
            ["mailbox.lost"] * 4 + ["mailbox.usage"] * 2,
            id="mailbox",
        ),
    ],
)
def test_damage_that_is_told(engine: MemoryEngine, damage: Damage, kinds: list[str]) -> None:
    """Nothing follows from the rest: it stays as it is for a person to look at, and so do counters beside it."""
    mailbox = inbox_id(engine)
    engine.transact(lambda t: damage(t, mailbox))
    assert found(engine) == kinds
    before = {key: value for key, value in engine.entries.items() if key[0] != "usage"}
    engine.transact(CHECKER.repair)
    assert {key: value for key, value in engine.entries.items() if key[0] != "usage"} == before
    assert found(engine) == [kind for kind in kinds if kind != "mailbox.usage"]


def test_usage_is_not_taken_from_what_cannot_be_counted(engine: MemoryEngine) -> None:
    """A mailbox with a damaged chunk counts for what its counters say."""
    mailbox = inbox_id(engine)
    engine.transact(lambda t: damaged_chunk(t, mailbox))
    engine.transact(CHECKER.repair)
    assert engine.view(lambda s: states.usage(s, "account", ALICE)).messages == 9


def test_texts_are_those_of_the_messages(engine: MemoryEngine) -> None:
    """They are made anew from the shapes."""
    mailbox = inbox_id(engine)
    engine.transact(lambda t: no_texts(t, mailbox))
    engine.transact(CHECKER.repair)
    columns = engine.view(lambda s: reading.group(s, mailbox, c.SUBJECT, 5))
    assert columns[c.SUBJECT] == b"number 4\nnumber 5\nnumber 6\nnumber 7"


def test_a_chunk_without_messages_may_have_no_texts(engine: MemoryEngine) -> None:
    """They go before the rest, see ``upkeep``."""
    mailbox = inbox_id(engine)

    def empty(transaction: Any) -> None:
        changing.expunge(transaction, mailbox, ((5, 8),), NOW_MS, only_deleted=False)
        no_texts(transaction, mailbox)

    engine.transact(empty)
    assert found(engine) == []
