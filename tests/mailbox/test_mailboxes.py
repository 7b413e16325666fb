"""Mailboxes by name."""

from __future__ import annotations

from functools import partial

import pytest

from fedaemon.errors import Refused
from fedaemon.mailbox import mailboxes as m
from fedaemon.mailbox import renaming
from fedaemon.mailbox import state as states
from fedaemon.mailbox.adding import NewMail, append
from tests.fakes import MemoryEngine

ALICE = "alice@example.test"
NOW_MS = 1_750_000_000_000


@pytest.fixture
def engine() -> MemoryEngine:
    engine = MemoryEngine()
    engine.transact(lambda t: m.provide(t, ALICE, NOW_MS))
    return engine


def names(engine: MemoryEngine) -> list[str]:
    return [each.name for each in engine.view(lambda s: list(m.mailboxes(s, ALICE)))]


def test_the_standard_mailboxes(engine: MemoryEngine) -> None:
    """An account begins with six, subscribed to, five of them for special uses; a second time nothing happens."""
    engine.transact(lambda t: m.provide(t, ALICE, NOW_MS + 1))
    found = {each.name: each.special_use for each in engine.view(lambda s: list(m.mailboxes(s, ALICE)))}
    assert found == m.STANDARD
    assert engine.view(lambda s: m.subscriptions(s, ALICE)) == set(m.STANDARD)


def test_uidvalidity_never_comes_again(engine: MemoryEngine) -> None:
    """Nor does an id, when a mailbox is deleted and made anew within a second."""
    given = []
    for _ in range(3):
        made = engine.transact(lambda t: m.create(t, ALICE, "Work", NOW_MS))
        state = engine.view(partial(states.load, mailbox_id=made.id))
        given.append((state.uidvalidity, made.id))
        engine.transact(lambda t: m.delete(t, ALICE, "Work", NOW_MS))
    assert len({value for value, _ in given}) == len({name for _, name in given}) == 3
    assert given == sorted(given)


def test_parents_are_made(engine: MemoryEngine) -> None:
    """CREATE of a/b/c makes a and a/b; INBOX is one in any case; a separator at the end says nothing."""
    engine.transact(lambda t: m.create(t, ALICE, "a/b/c/", NOW_MS))
    engine.transact(lambda t: m.create(t, ALICE, "inbox/lists", NOW_MS))
    assert {"a", "a/b", "a/b/c", "INBOX/lists"} <= set(names(engine))
    assert engine.view(lambda s: m.find(s, ALICE, "iNbOx")) is not None


@pytest.mark.parametrize("name", ["", "/", "a//b", "/a", "x" * 201])
def test_names_that_cannot_be(engine: MemoryEngine, name: str) -> None:
    """They are refused for a reason that IMAP has a code for."""
    with pytest.raises(m.CannotChange):
        engine.transact(lambda t: m.create(t, ALICE, name, NOW_MS))


def test_taken_names_and_uses(engine: MemoryEngine) -> None:
    """A name is given once, and so is a special use."""
    with pytest.raises(m.MailboxExists):
        engine.transact(lambda t: m.create(t, ALICE, "inbox", NOW_MS))
    with pytest.raises(m.UnfitUse):
        engine.transact(lambda t: m.create(t, ALICE, "Sent2", NOW_MS, "\\Sent"))


def test_renaming_takes_what_is_below_along(engine: MemoryEngine) -> None:
    """Ids stay; parents of the new name are made; the subscription stays with the old name."""
    old = engine.transact(lambda t: m.create(t, ALICE, "a/b", NOW_MS))
    engine.transact(lambda t: m.subscribe(t, ALICE, "a/b"))
    engine.transact(lambda t: renaming.rename(t, ALICE, "a", "new/place", NOW_MS))
    found = engine.view(lambda s: m.need(s, ALICE, "new/place/b"))
    assert found.id == old.id
    assert "new" in names(engine)
    assert not {"a", "a/b"} & set(names(engine))
    assert "a/b" in engine.view(lambda s: m.subscriptions(s, ALICE))


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("INBOX", "x", m.CannotChange),
        ("none", "x", m.NoSuchMailbox),
        ("Sent", "Trash", m.MailboxExists),
        ("Sent", "Sent/below", m.CannotChange),
        ("Sent", "", m.CannotChange),
    ],
)
def test_renaming_refused(engine: MemoryEngine, old: str, new: str, error: type[Refused]) -> None:
    """And then nothing is changed."""
    before = names(engine)
    with pytest.raises(error):
        engine.transact(lambda t: renaming.rename(t, ALICE, old, new, NOW_MS))
    assert names(engine) == before


def test_deleting(engine: MemoryEngine) -> None:
    """INBOX stays; what the mailbox used is given back at once, and those below it stay."""
    work = engine.transact(lambda t: m.create(t, ALICE, "Work", NOW_MS))
    engine.transact(lambda t: m.create(t, ALICE, "Work/old", NOW_MS))
    engine.transact(lambda t: append(t, work.id, [NewMail("b", 100, 1)], 1))
    assert engine.view(lambda s: states.usage(s, "account", ALICE)) == (100, 1)
    engine.transact(lambda t: m.delete(t, ALICE, "Work", NOW_MS))
    assert engine.view(lambda s: states.usage(s, "domain", "example.test")) == (0, 0)
    assert "Work/old" in names(engine)
    assert "Work" not in names(engine)
    with pytest.raises(m.NoSuchMailbox):
        engine.transact(lambda t: m.delete(t, ALICE, "Work", NOW_MS))
    with pytest.raises(m.CannotChange):
        engine.transact(lambda t: m.delete(t, ALICE, "inbox", NOW_MS))
