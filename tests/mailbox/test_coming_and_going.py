"""The mailboxes of an account that begins, and of one that goes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fedaemon.mailbox import mailboxes as m
from fedaemon.mailbox import state as states
from fedaemon.mailbox.adding import NewMail, append
from fedaemon.mailbox.check import MailboxChecker
from fedaemon.mailbox.leaving import delete_all
from fedaemon.store.spaces import IMPORTED, MAIL, MAILBOX_LOST, MAILBOX_META
from tests.fakes import MemoryEngine

ALICE, BOB = "alice@example.test", "bob@example.test"
NOW_MS = 1_750_000_000_000


@pytest.fixture
def engine() -> MemoryEngine:
    """Two accounts, alice's with mail in INBOX and in a mailbox of her own."""
    engine = MemoryEngine()

    def write(transaction: Any) -> None:
        for account in (ALICE, BOB):
            m.provide(transaction, account, NOW_MS)
        work = m.create(transaction, ALICE, "Work/old", NOW_MS)
        for mailbox in (work, m.need(transaction, ALICE, "INBOX")):
            append(transaction, mailbox.id, [NewMail("b", 100, 1)], 1)
        m.subscribe(transaction, ALICE, "elsewhere")

    engine.transact(write)
    return engine


def ids(engine: MemoryEngine, account: str) -> set[str]:
    return {each.id for each in engine.view(lambda s: list(m.mailboxes(s, account)))}


def test_all_mailboxes_of_an_account_go(engine: MemoryEngine) -> None:
    """INBOX and subscriptions too; what they used is given back, their contents stay to be purged."""
    gone, others = ids(engine, ALICE), ids(engine, BOB)
    assert engine.transact(lambda t: delete_all(t, ALICE, NOW_MS + 5000)) == len(gone) == 8
    assert ids(engine, ALICE) == set()
    assert engine.view(lambda s: m.subscriptions(s, ALICE)) == set()
    lost = [key for key in engine.entries if key[0] == MAILBOX_LOST]
    assert {key[1:3] for key in lost} == {(NOW_MS // 1000 + 5, ALICE)}
    assert {key[4] for key in lost} == gone
    assert sum(key[0] == MAIL for key in engine.entries) == 2
    for kind, name in (("account", ALICE), ("domain", "example.test")):
        assert engine.view(partial(states.usage, kind=kind, name=name)) == (0, 0)
    assert ids(engine, BOB) == others
    assert engine.view(lambda s: list(MailboxChecker().problems(s))) == []


def test_notes_of_an_account_go(engine: MemoryEngine) -> None:
    """Annotations of the account itself, and what imports have noted; those of others stay."""

    def note(transaction: Any) -> None:
        for account in (ALICE, BOB):
            transaction.put((MAILBOX_META, account, "", "/private/comment"), b"x")
            transaction.put((IMPORTED, account, b"source", b"message"), b"")

    engine.transact(note)
    engine.transact(lambda t: delete_all(t, ALICE, NOW_MS))
    left = {key[:2] for key in engine.entries if key[0] in (MAILBOX_META, IMPORTED)}
    assert left == {(MAILBOX_META, BOB), (IMPORTED, BOB)}


def test_nothing_can_be_added_to_a_mailbox_that_went(engine: MemoryEngine) -> None:
    """Whoever has it open still is told so."""
    inbox = engine.view(lambda s: m.need(s, ALICE, "INBOX"))
    engine.transact(lambda t: delete_all(t, ALICE, NOW_MS))
    with pytest.raises(states.MailboxGone):
        engine.transact(lambda t: append(t, inbox.id, [NewMail("b", 1, 1)], 1))


def test_an_account_of_the_same_address_begins_anew(engine: MemoryEngine) -> None:
    """Other ids, and UIDVALIDITY above all before, within the same second as well."""
    before = ids(engine, ALICE)
    highest = max(engine.view(partial(states.load, mailbox_id=each)).uidvalidity for each in before)
    engine.transact(lambda t: delete_all(t, ALICE, NOW_MS))
    engine.transact(lambda t: m.provide(t, ALICE, NOW_MS))
    after = ids(engine, ALICE)
    assert len(after) == len(m.STANDARD)
    assert not before & after
    assert min(engine.view(partial(states.load, mailbox_id=each)).uidvalidity for each in after) > highest


def test_a_deleted_mailbox_is_not_made_again(engine: MemoryEngine) -> None:
    """The standard ones are provided once."""
    assert engine.view(lambda s: m.lacks_standard(s, "carol@example.test"))
    assert not engine.view(lambda s: m.lacks_standard(s, ALICE))
    engine.transact(lambda t: m.delete(t, ALICE, "Junk", NOW_MS))
    engine.transact(lambda t: m.provide(t, ALICE, NOW_MS))
    assert engine.view(lambda s: m.find(s, ALICE, "Junk")) is None
