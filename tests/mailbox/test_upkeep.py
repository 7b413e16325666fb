"""The upkeep of mailboxes as a whole: what becomes of mailboxes while time passes, on a real store."""

from __future__ import annotations

from dataclasses import replace

from fedaemon.mailbox import changing, compaction, lost, mailboxes, reading, words
from fedaemon.mailbox import columns as c
from fedaemon.mailbox.adding import thread_id
from fedaemon.mailbox.changing import GoneKind, Mode, decode_gone
from fedaemon.mailbox.compaction import GROUPS
from fedaemon.mailbox.emptying import saved_before
from fedaemon.mailbox.opened import OpenMailbox
from fedaemon.mailbox.rows import NO_DATE
from fedaemon.mailbox.view import Difference, View
from fedaemon.store.spaces import (
    BLOB,
    MAIL,
    MAIL_CHUNK,
    MAIL_GONE,
    MAIL_PURGE,
    MAIL_ROW,
    MAILBOX_LOST,
    MAILBOX_META,
)
from tests.mailbox.upkeep_world import ALICE, DAY_S, KEEP, NOW_S, World


def chunk_sizes(world: World, mailbox_id: str) -> list[int]:
    """Return how many rows each chunk has."""
    chunks = world.view(lambda s: list(reading.chunks(s, mailbox_id, reading.EVERY)))
    return [len(columns[c.FLAGS]) for _, columns in chunks]


def chunk_keys(world: World, mailbox_id: str) -> set[tuple[int, int]]:
    """Return (first UID, group) of the records of chunks, without those of ``text_index``."""
    keys = world.keys(MAIL_CHUNK, mailbox_id)
    return {(int(key[3]), int(key[2])) for key in keys if key[2] in GROUPS}


def test_a_long_tail_becomes_chunks_and_nobody_sees_it(world: World) -> None:
    """2,000 messages: four chunks, which are found by their texts, and no session is told anything."""
    work = world.create("Work")
    world.append(work, 1500, shaped=False)
    world.append(work, 500)
    before = world.view(lambda s: OpenMailbox.load(s, work))
    rows = world.rows(work)
    view = View(before)
    world.upkeep.start()
    world.settle()
    assert chunk_sizes(world, work) == [500, 500, 500, 500]
    assert not world.keys(MAIL_ROW, work)
    after = world.view(lambda s: OpenMailbox.load(s, work, before))
    assert view.sync(after, may_expunge=True) == Difference()
    assert (after.state.modseq, after.state.tail) == (before.state.modseq, 0)
    assert after.state.generation > before.state.generation
    subjects = world.view(lambda s: reading.group(s, work, c.SUBJECT, 501))[c.SUBJECT].split(b"\n")
    assert subjects == [b"number %d" % uid for uid in range(501, 1001)]
    made = {row.uid: row for row in world.rows(work)}
    assert {row.sent_s for row in made.values()} == {1750060800}
    assert {row.zone_min for row in made.values()} == {120}
    for row in rows:
        thread = made[row.uid].thread
        assert made[row.uid] == row._replace(sent_s=1750060800, zone_min=120, thread=thread)
    for uid in (1, 1500, 2000):
        assert made[uid].thread == thread_id(ALICE, f"{uid}@example.test")


def test_shapes_are_made_in_threads_by_twenties(world: World) -> None:
    """However small: a message may be nothing but parts."""
    work = world.create("Work")
    world.upkeep.start()
    world.settle()
    world.append(work, 45, shaped=False)
    world.settle()
    assert len(world.threads) == 3
    assert all(row.sent_s != NO_DATE for row in world.rows(work))
    world.append(work, 5)
    world.settle()
    assert len(world.threads) == 3


def test_what_is_expunged_goes_when_it_is_due(world: World) -> None:
    """First the contents, a minute after they are due, then the rows of a chunk of which a quarter is gone."""
    work = world.create("Work")
    world.append(work, 1100)
    world.upkeep.start()
    world.settle()
    world.expunge(work, (1, 150), (501, 520), (1001, 1005), keep_s=DAY_S)
    world.settle(DAY_S)
    assert (len(world.keys(BLOB)), len(world.keys(MAIL, work))) == (1100, 1100)
    assert chunk_sizes(world, work) == [500, 500]
    world.settle(200)
    assert (len(world.keys(BLOB)), len(world.keys(MAIL, work))) == (925, 925)
    assert not world.keys(MAIL_PURGE)
    assert chunk_sizes(world, work) == [350, 500]
    assert len(world.keys(MAIL_ROW, work)) == 95
    assert [row.uid for row in world.rows(work, c.EXPUNGED)] == list(range(501, 521))
    state = world.state(work)
    assert (state.exists, state.gone, state.tail) == (925, 20, 95)
    assert state.gone_octets == sum(row.size for row in world.rows(work, c.EXPUNGED))
    assert [row.uid for row in world.rows(work)] == [*range(151, 501), *range(521, 1001), *range(1006, 1101)]


def test_a_message_can_be_read_for_a_minute(world: World) -> None:
    """Even if it is due at once: a session may not have been told yet."""
    work = world.create("Work")
    world.append(work, 3)
    world.upkeep.start()
    world.settle(55)
    world.expunge(work, (1, 2))
    world.settle(55)
    assert len(world.keys(MAIL, work)) == 3
    world.settle(100)
    assert [key[2] for key in world.keys(MAIL, work)] == [3]


def test_small_neighbours_become_one_chunk(world: World) -> None:
    """With their texts, flags and keywords; sessions go on counting what they counted."""
    work = world.create("Work")
    world.append(work, 1500)
    world.upkeep.start()
    world.settle()
    world.expunge(work, (1, 300), (601, 1000))
    bits = world.write(lambda t: words.make_flag_bits(t, work, ["$Junk"]))
    world.write(lambda t: changing.change_flags(t, work, ((501, 550),), Mode.ADD, bits))
    view = View(world.view(lambda s: OpenMailbox.load(s, work)))
    before = world.rows(work)
    world.settle(200)
    assert chunk_sizes(world, work) == [300, 500]
    assert world.rows(work) == before
    assert view.sync(world.view(lambda s: OpenMailbox.load(s, work)), may_expunge=True) == Difference()
    subjects = world.view(lambda s: reading.group(s, work, c.SUBJECT, 1))[c.SUBJECT].split(b"\n")
    assert subjects == [b"number %d" % uid for uid in (*range(301, 501), *range(501, 601))]
    assert chunk_keys(world, work) == {(1, group) for group in GROUPS} | {(1001, group) for group in GROUPS}


def test_texts_of_a_chunk_without_messages_go_at_once(world: World) -> None:
    """Nobody finds anything there; the messages can be undeleted until they are purged."""
    work = world.create("Work")
    world.append(work, 1100)
    world.upkeep.start()
    world.settle()
    world.expunge(work, (1, 500), keep_s=DAY_S)
    world.settle()
    groups = {group for first_uid, group in chunk_keys(world, work) if first_uid == 1}
    assert groups == {c.STATE_GROUP, c.FACTS_GROUP}
    assert len(world.keys(MAIL, work)) == 1100
    assert world.view(lambda s: compaction.look(s, work, 0, 2000)) == ([], None)
    world.settle(DAY_S + 200)
    assert {first_uid for first_uid, _ in chunk_keys(world, work)} == {501}
    assert world.state(work).gone == 0
    assert len(world.rows(work)) == 600


def test_a_deleted_mailbox_goes_wholly(world: World) -> None:
    """After the time for undeleting nothing of its id is left, and no content; its neighbour loses nothing."""
    work, other = world.create("Work"), world.create("Other")
    world.append(work, 1210)
    world.append(other, 3)
    world.write(lambda t: t.put((MAILBOX_META, ALICE, work, "/private/comment"), b"x"))
    world.upkeep.start()
    world.settle()
    world.expunge(work, (1, 300), keep_s=KEEP.undelete_s)
    world.write(lambda t: mailboxes.delete(t, ALICE, "Work", int(world.now_s() * 1000)))
    world.settle(KEEP.undelete_s)
    assert len(world.keys(MAIL, work)) == 1210
    world.settle(300)
    assert [key for key in world.everything() if work in key] == []
    assert len(world.keys(BLOB)) == 3
    assert [row.uid for row in world.rows(other)] == [1, 2, 3]


def test_a_restored_mailbox_stays(world: World) -> None:
    """What is no longer among the deleted ones is not removed, even if it was found there."""
    work = world.create("Work")
    world.append(work, 2)
    world.write(lambda t: mailboxes.delete(t, ALICE, "Work", NOW_S * 1000))
    [key] = world.view(lambda s: lost.due(s, NOW_S, None, 10))
    world.write(lambda t: t.delete((MAILBOX_LOST, *key)))
    assert not world.write(lambda t: lost.remove(t, world.blobs, key))
    assert len(world.keys(MAIL, work)) == 2


def test_emptying_trash(world: World) -> None:
    """What came into Trash too long ago is expunged once an hour, in chunks and outside; the rest stays."""
    trash, junk, work = world.create("Trash", "\\Trash"), world.create("Junk", "\\Junk"), world.create("Work")
    for mailbox in (trash, junk, work):
        world.append(mailbox, 510, saved_s=NOW_S - 10 * DAY_S)
        world.append(mailbox, 2, saved_s=NOW_S - DAY_S)
    world.upkeep.settings = replace(KEEP, empty_trash_s=10 * DAY_S, undelete_s=DAY_S)
    world.upkeep.start()
    world.settle(3500)
    assert [world.state(each).exists for each in (trash, junk, work)] == [512, 512, 512]
    world.settle(200)
    assert [world.state(each).exists for each in (trash, junk, work)] == [2, 512, 512]
    [gone] = world.view(lambda s: [decode_gone(value) for _, value in s.scan((MAIL_GONE, trash))])
    assert (gone.kind, gone.ranges) == (GoneKind.EXPIRED, ((1, 510),))
    [purge] = world.keys(MAIL_PURGE)
    assert purge[1] == gone.at_ms // 1000 + DAY_S
    world.clock.advance(9 * DAY_S)
    world.settle()
    assert [world.state(each).exists for each in (trash, junk, work)] == [0, 512, 512]


def test_what_is_gone_is_not_emptied_again(world: World) -> None:
    """An hourly look at a mailbox that was emptied finds nothing to write."""
    trash = world.create("Trash", "\\Trash")
    world.append(trash, 510, saved_s=NOW_S - 10)
    world.upkeep.start()
    world.settle()
    world.expunge(trash, (1, 495), keep_s=DAY_S)
    assert world.view(lambda s: saved_before(s, trash, NOW_S, 1)) == (((496, 510),), None)
    assert world.view(lambda s: saved_before(s, trash, NOW_S - 10, 1)) == ((), None)


def test_new_settings_hold_at_once(world: World) -> None:
    """As at a reload: the next look goes by them."""
    junk = world.create("Junk", "\\Junk")
    world.append(junk, 3, saved_s=NOW_S - 10 * DAY_S)
    world.upkeep.start()
    world.settle(7300)
    assert world.state(junk).exists == 3
    world.upkeep.settings = replace(KEEP, empty_junk_s=DAY_S)
    world.settle(3700)
    assert world.state(junk).exists == 0
