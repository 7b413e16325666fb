"""Deleted mailboxes, and messages as of a time, against the rules for UIDs and usage."""

from __future__ import annotations

import pytest

from fedaemon.errors import Refused
from fedaemon.mailbox import changing, lost, mailboxes, undelete
from fedaemon.mailbox import state as states
from fedaemon.mailbox.adding import NewMail, append
from fedaemon.mailbox.mailboxes import MailboxExists
from fedaemon.store.content import MemoryContent
from fedaemon.store.interface import Transaction
from tests.mailbox.test_layout import ALICE, NOW_MS, Model

NOW_S = NOW_MS // 1000


def usage(model: Model) -> states.Usage:
    return model.engine.view(lambda s: states.usage(s, "account", ALICE))


def create(model: Model, name: str = "Work", special_use: str | None = None, owner: str = ALICE) -> None:
    model.engine.transact(lambda t: mailboxes.create(t, owner, name, NOW_MS, special_use))


def delete(model: Model, name: str = "Work", now_ms: int = NOW_MS, owner: str = ALICE) -> None:
    model.engine.transact(lambda t: mailboxes.delete(t, owner, name, now_ms))


def test_a_deleted_mailbox_comes_back_as_it_was() -> None:
    """RFC 9051 2.3.1.1: its id, UIDVALIDITY, UIDs and counters; its messages count again, and can be changed."""
    model = Model()
    model.append(3, ("\\Seen",))
    before = model.engine.view(lambda s: states.load(s, model.mailbox))
    delete(model)
    assert usage(model) == states.Usage(0, 0)
    (key,) = model.engine.view(lambda s: undelete.deleted(s, ALICE))
    restored = model.engine.transact(lambda t: undelete.undelete(t, key, "Back/Work", NOW_MS))
    assert (restored.id, restored.name, restored.created_ms) == (model.mailbox, "Back/Work", NOW_MS)
    assert model.engine.view(lambda s: mailboxes.find(s, ALICE, "Back/Work")) == restored
    assert model.engine.view(lambda s: mailboxes.find(s, ALICE, "Back")) is not None
    assert model.engine.view(lambda s: states.load(s, model.mailbox)) == before
    assert usage(model) == states.Usage(6, 3)
    assert "Back/Work" in model.engine.view(lambda s: mailboxes.subscriptions(s, ALICE))
    assert model.engine.view(lambda s: undelete.deleted(s, ALICE)) == []
    ids = [each.id for each in model.engine.view(lambda s: list(mailboxes.mailboxes(s)))]
    assert len(ids) == len(set(ids)) == len(list(model.engine.view(lambda s: list(s.scan(("mailstate",))))))
    model.append(1, ())
    assert usage(model) == states.Usage(10, 4)


def test_the_latest_of_a_name_comes_first() -> None:
    """Of several deleted mailboxes of one name; those of other accounts are not among them."""
    model = Model()
    delete(model, now_ms=NOW_MS)
    for number, owner in enumerate((ALICE, "bob@example.test"), 1):
        create(model, owner=owner)
        delete(model, now_ms=NOW_MS + number * 1000, owner=owner)
    found = model.engine.view(lambda s: undelete.deleted(s, ALICE))
    assert [key.deleted_s for key in found] == [NOW_S + 1, NOW_S]
    assert found[1].mailbox_id == model.mailbox


def test_a_name_that_is_taken_is_refused() -> None:
    """Nothing has changed then."""
    model = Model()
    delete(model)
    create(model)
    (key,) = model.engine.view(lambda s: undelete.deleted(s, ALICE))
    with pytest.raises(MailboxExists):
        model.engine.transact(lambda t: undelete.undelete(t, key, "Work", NOW_MS))
    assert model.engine.view(lambda s: undelete.deleted(s, ALICE)) == [key]


@pytest.mark.parametrize("taken", [False, True])
def test_a_special_use_comes_back_unless_it_is_taken(taken: bool) -> None:
    """RFC 6154 2: one mailbox of an account has each."""
    model = Model()
    create(model, "Sent", "\\Sent")
    delete(model, "Sent")
    if taken:
        create(model, "Sent Mail", "\\Sent")
    (key,) = model.engine.view(lambda s: undelete.deleted(s, ALICE))
    restored = model.engine.transact(lambda t: undelete.undelete(t, key, "Sent", NOW_MS))
    assert restored.special_use == (None if taken else "\\Sent")


def test_a_mailbox_whose_removal_has_begun_is_gone() -> None:
    """Half a mailbox is no mailbox."""
    model = Model()
    model.append(3, ())
    delete(model)
    (key,) = model.engine.view(lambda s: undelete.deleted(s, ALICE))
    assert model.engine.transact(lambda t: lost.remove(t, model.blobs, key))
    assert model.engine.view(lambda s: undelete.deleted(s, ALICE)) == []
    with pytest.raises(Refused, match="over"):
        model.engine.transact(lambda t: undelete.undelete(t, key, "Work", NOW_MS))


def test_as_of_a_time() -> None:
    """What was there then and went since; not what came later, went before, or is back already."""
    model = Model()

    def add(saved_s: int) -> None:
        def write(transaction: Transaction) -> None:
            blob = model.blobs.add(transaction, model.blobs.stage(MemoryContent(b"x")))
            append(transaction, model.mailbox, [NewMail(blob, 1, 0)], saved_s)

        model.engine.transact(write)

    def expunge(uid: int, at_s: int, kind: changing.GoneKind = changing.GoneKind.EXPUNGED) -> None:
        model.engine.transact(
            lambda t: changing.expunge(
                t, model.mailbox, ((uid, uid),), at_s * 1000, only_deleted=False, kind=kind, keep_s=100
            )
        )

    def as_of(at_s: int) -> list[int]:
        return model.engine.view(lambda s: undelete.as_of(s, model.mailbox, at_s))

    for saved_s in (10, 10, 30, 10, 10):
        add(saved_s)
    expunge(1, 15)
    expunge(3, 35)
    expunge(2, 40)
    expunge(4, 40, changing.GoneKind.MOVED)
    expunge(5, 41, changing.GoneKind.EXPIRED)
    assert as_of(9) == []
    assert as_of(10) == [1, 2, 5]
    assert as_of(15) == [2, 5]
    assert as_of(30) == [2, 3, 5]
    assert as_of(40) == [5]
    assert as_of(41) == []
    pairs = model.engine.transact(
        lambda t: undelete.restore(t, model.blobs, model.mailbox, changing.runs([2, 5]), 50)
    )
    assert pairs == [(2, 6), (5, 7)]
    assert as_of(20) == []
    assert as_of(30) == [3]
    expunge(6, 60)
    assert as_of(20) == [2]
    assert as_of(55) == [6]
