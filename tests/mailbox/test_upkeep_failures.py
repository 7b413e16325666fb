"""The upkeep when things go wrong, and when it is not alone."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import LogEvent, formatEvent

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import mailboxes, reading, upkeep_pace, upkeep_tidying
from fedaemon.mailbox.rows import NO_DATE
from fedaemon.mailbox.state import Change
from fedaemon.store.errors import StoreFull
from fedaemon.store.spaces import BLOB, BLOB_BYTES, MAIL, MAIL_CHUNK, MAIL_GONE, MAIL_ROW, MAILBOX_STATE
from tests.mailbox.upkeep_world import ALICE, World


def lines(logged: list[LogEvent], word: str) -> list[str]:
    """Return what was logged that has *word* in it."""
    return [text for text in map(formatEvent, logged) if word in text]


def lose_content(world: World, mailbox_id: str, uid: int, space: str = BLOB_BYTES) -> tuple[Any, bytes]:
    """Take a message's octets, or their record, out of the store, as a damage would; return place and value."""
    mail = world.view(lambda s: reading.mail(s, mailbox_id, uid))
    assert mail is not None
    key = (space, mail.blob)
    value = world.view(lambda s: s.get(key))
    assert value is not None
    world.write(lambda t: t.delete(key))
    return key, value


def test_a_content_that_cannot_be_read_holds_nothing_up_for_ever(
    world: World, logged: list[LogEvent]
) -> None:
    """It is tried three times; then it is sealed without texts, and the others have theirs."""
    work, other = world.create("Work"), world.create("Other")
    world.append(work, 500, shaped=False)
    world.append(other, 500, shaped=False)
    lose_content(world, work, 7)
    world.upkeep.start()
    world.settle(10)
    assert len(world.keys(MAIL_ROW, work)) == 500
    assert [row.uid for row in world.rows(work) if row.sent_s == NO_DATE] == [7]
    assert not world.keys(MAIL_ROW, other)
    world.settle(100)
    assert not world.keys(MAIL_ROW, work)
    subjects = world.view(lambda s: reading.group(s, work, c.SUBJECT, 1))[c.SUBJECT].split(b"\n")
    assert subjects == [b"" if uid == 7 else b"number %d" % uid for uid in range(1, 501)]
    assert len(lines(logged, work)) == 2
    assert len(lines(logged, f"mailbox={work} uid=7")) == 1


def test_a_content_that_can_be_read_again_gets_its_shape(world: World, logged: list[LogEvent]) -> None:
    """What failed is tried again, after a rest."""
    work = world.create("Work")
    world.append(work, 3, shaped=False)
    key, value = lose_content(world, work, 2)
    world.upkeep.start()
    world.settle(3)
    assert [row.uid for row in world.rows(work) if row.sent_s == NO_DATE] == [2]
    world.write(lambda t: t.put(key, value))
    world.settle(30)
    assert [row.uid for row in world.rows(work) if row.sent_s == NO_DATE] == []
    assert len(lines(logged, work)) == 1


def test_what_cannot_be_purged_does_not_keep_the_rest(world: World, logged: list[LogEvent]) -> None:
    """Not even what is due later; it is tried again less and less often, and logged once."""
    bad, good = world.create("Bad"), world.create("Good")
    world.append(bad, 2)
    world.append(good, 2)
    key, value = lose_content(world, bad, 1, BLOB)
    world.expunge(bad, (1, 2))
    world.settle(1)
    world.expunge(good, (1, 2))
    world.upkeep.start()
    world.settle(200)
    assert not world.keys(MAIL, good)
    assert len(world.keys(MAIL, bad)) == 2
    world.settle(7200)
    assert len(lines(logged, bad)) == 1
    world.write(lambda t: t.put(key, value))
    world.settle(4000)
    assert not world.keys(MAIL, bad)
    assert not world.keys(BLOB_BYTES)


def test_a_full_disk_is_waited_for(world: World, logged: list[LogEvent]) -> None:
    """Nothing is tried in a tight loop, it is logged once, and afterwards all is done."""
    boxes = [world.create(f"Box{number}") for number in range(5)]
    for box in boxes:
        world.append(box, 500)
    refused: list[int] = []

    def refuse(_: object) -> Exception:
        refused.append(1)
        return StoreFull("no room")

    world.store.refuse = refuse
    world.upkeep.start()
    world.settle(600)
    assert len(refused) < 10
    assert len(lines(logged, "no room")) == 1
    world.store.refuse = lambda _: None
    world.settle(700)
    assert not world.keys(MAIL_ROW)


def test_a_damaged_mailbox_is_left_alone(world: World, logged: list[LogEvent]) -> None:
    """Whoever comes after it is tidied."""
    boxes = [world.create(f"Box{number}") for number in range(3)]
    for box in boxes:
        world.append(box, 500)
    world.write(lambda t: t.put((MAILBOX_STATE, boxes[0]), b"\x63"))
    world.upkeep.start()
    world.settle(4000)
    assert {key[1] for key in world.keys(MAIL_ROW)} == {boxes[0]}
    assert len(lines(logged, boxes[0])) == 1


def test_stopping_in_the_middle(world: World) -> None:
    """Nothing begins after that and no timer is left; the next start goes on where it was."""
    work = world.create("Work")
    world.append(work, 2000)
    world.upkeep.start()
    for _ in range(1000):
        world.settle(upkeep_pace.PAUSE_S)
        if len(world.keys(MAIL_ROW, work)) == 1000:
            break
    stopped: list[None] = []
    world.upkeep.stop().addCallback(stopped.append)
    assert stopped == [None]
    assert not world.clock.calls
    world.settle()
    assert len(world.keys(MAIL_ROW, work)) == 1000
    world.upkeep.start()
    world.settle()
    assert not world.keys(MAIL_ROW, work)


def test_a_slice_at_a_time(world: World) -> None:
    """Between two slices there is always a pause, whatever is to be done."""
    for name in ("Work", "Trash"):
        world.append(world.create(name), 1000, shaped=False)
    world.upkeep.start()
    times = []
    for _ in range(300):
        before = world.store.slices
        world.clock.advance(upkeep_pace.PAUSE_S)
        times.append(world.store.slices - before)
    assert set(times) == {1}


def test_many_changes_are_one_look(world: World) -> None:
    """A busy mailbox costs a look each few seconds."""
    work = world.create("Work")
    world.upkeep.start()
    world.settle()
    before = world.store.slices
    for _ in range(20):
        world.append(work, 1)
    world.settle(upkeep_tidying.SETTLE_S + 1)
    assert world.store.slices - before == 1


def test_commits_of_other_processes(world: World) -> None:
    """They are found, but all mailboxes are not looked at over and over."""
    work = world.create("Work")
    world.upkeep.start()
    world.settle()
    world.store.engine.listeners.clear()
    world.append(work, 500)
    world.settle(5000)
    assert len(world.keys(MAIL_ROW, work)) == 500
    world.upkeep.foreign_commit()
    world.settle(10)
    assert not world.keys(MAIL_ROW, work)
    world.append(work, 500)
    world.upkeep.foreign_commit()
    world.upkeep.changed({Change("other", ALICE)})
    world.settle(upkeep_tidying.SURVEY_S - 60)
    assert len(world.keys(MAIL_ROW, work)) == 500
    world.settle(60)
    assert not world.keys(MAIL_ROW, work)


def test_more_mailboxes_than_are_remembered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is forgotten is looked at anew."""
    monkeypatch.setattr(upkeep_tidying, "KNOWN", 2)
    monkeypatch.setattr(upkeep_tidying, "SURVEY_MAILBOXES", 2)
    boxes = [world.create(f"Box{number}") for number in range(5)]
    for box in boxes:
        world.append(box, 30, shaped=False)
    world.upkeep.start()
    world.settle()
    for box in boxes:
        world.append(box, 3, shaped=False)
    world.settle()
    assert all(row.sent_s != NO_DATE for box in boxes for row in world.rows(box))


def test_history_is_cut(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest changes that expunged are forgotten, beyond so many, but none whose contents are still kept."""
    monkeypatch.setattr(upkeep_tidying, "HISTORY", 10)
    monkeypatch.setattr(upkeep_tidying, "HISTORY_STEP", 2)
    monkeypatch.setattr(upkeep_tidying, "HISTORY_COUNT", 4)
    monkeypatch.setattr(upkeep_tidying, "HISTORY_CUT", 3)
    work = world.create("Work")
    world.append(work, 60)
    world.upkeep.start()
    for uid in range(1, 31):
        world.expunge(work, (uid, uid), keep_s=10_000 if uid == 18 else 0)
    modseqs = [key[2] for key in world.keys(MAIL_GONE, work)]
    assert len(modseqs) == 30
    world.settle(300)
    world.append(work, 1)
    world.append(work, 1)
    world.settle(10)
    kept = [key[2] for key in world.keys(MAIL_GONE, work)]
    assert kept == modseqs[17:]
    assert world.state(work).history_from == modseqs[16]
    world.settle(10_100)
    world.append(work, 1)
    world.append(work, 1)
    world.settle(10)
    kept = [key[2] for key in world.keys(MAIL_GONE, work)]
    assert kept == modseqs[20:]
    assert world.state(work).history_from == modseqs[19]


def test_deleted_mailboxes_are_not_tidied(world: World) -> None:
    """They only wait for their end."""
    work = world.create("Work")
    world.append(work, 500)
    world.write(lambda t: mailboxes.delete(t, ALICE, "Work", int(world.now_s() * 1000)))
    world.upkeep.start()
    world.settle()
    assert len(world.keys(MAIL_ROW, work)) == 500
    assert not world.keys(MAIL_CHUNK, work)
