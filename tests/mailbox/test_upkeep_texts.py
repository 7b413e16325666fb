"""The upkeep keeps the texts of sealed messages: the first search reads no message."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import LogEvent, formatEvent

from fedaemon.mailbox import changing, mailboxes, reading, text_index, upkeep_gaps, upkeep_texts
from fedaemon.mailbox.rows import NO_SHAPE
from fedaemon.mailbox.state import Change
from fedaemon.mailbox.text_index import TextBlock, TextKind
from fedaemon.mailbox.upkeep import Upkeep
from fedaemon.message.mime.search_text import read_search_text
from fedaemon.store.errors import StoreFull
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import BLOB_BYTES, MAIL, MAIL_CHUNK
from tests.mailbox.upkeep_world import ALICE, KEEP, World

LAST = 2**32 - 1


def blocks(world: World, mailbox_id: str, kind: TextKind) -> list[TextBlock]:
    return world.view(lambda s: text_index.blocks(s, mailbox_id, kind, 1, LAST))


def indexed(world: World, mailbox_id: str, kind: TextKind = TextKind.BODIES) -> list[int]:
    """Return the UIDs that are in a block."""
    return [uid for block in blocks(world, mailbox_id, kind) for uid in block.uids]


def test_what_is_sealed_is_indexed_and_the_tail_is_not(world: World) -> None:
    """Header and texts of each message, its prefix among them, and nothing that a session could see changes."""
    work = world.create("Work")
    world.upkeep.start()
    world.settle()
    world.append(work, 510)
    world.settle(3)
    state = world.state(work)
    world.settle(60)
    assert world.state(work) == state
    for kind in TextKind:
        assert indexed(world, work, kind) == list(range(1, 501))
    [block] = blocks(world, work, TextKind.BODIES)
    assert block.text() == b"\n".join([b"\xffhello\v"] * 500)
    rows = [row for block in blocks(world, work, TextKind.HEADERS) for row in block.text().split(b"\n")]
    assert rows[0].startswith(b"x-prefix:1\vsubject:number 1\vfrom:")
    assert rows[499].startswith(b"x-prefix:1\vsubject:number 500\vfrom:")
    assert len(rows) == 500


def test_chunks_without_blocks_are_found_at_the_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once: at the next start no mailbox is looked into, however many there are."""
    monkeypatch.setattr(upkeep_texts, "SURVEY_MAILBOXES", 2)
    boxes = [world.create(f"Box{number}") for number in range(5)]
    for box in boxes:
        world.append(box, 7)
        world.seal(box, 5)
    world.upkeep.start()
    world.settle()
    assert [indexed(world, box) for box in boxes] == [[1, 2, 3, 4, 5]] * 5
    looks: list[str] = []
    monkeypatch.setattr(upkeep_gaps, "next_gaps", lambda snapshot, mailbox_id: looks.append(mailbox_id))
    again = Upkeep(world.store, world.blobs, world.clock, world.now_s, world.in_thread, KEEP)
    world.upkeep.stop()
    again.start()
    world.settle()
    assert looks == []
    again.changed({Change(boxes[3], ALICE)})
    world.settle()
    again.stop()
    assert looks == [boxes[3]]


def test_a_slice_has_so_many_messages_or_octets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    work = world.create("Work")
    world.append(work, 45)
    world.seal(work, 45)
    sizes: list[int] = []
    texts = upkeep_texts._texts

    def counted(unread: list[Any], kinds: tuple[TextKind, ...]) -> list[tuple[int, TextKind, bytes]]:
        sizes.append(len(unread))
        return texts(unread, kinds)

    monkeypatch.setattr(upkeep_texts, "_texts", counted)
    world.upkeep.start()
    world.settle()
    assert sizes == [20, 20, 5]
    sizes.clear()
    world.write(lambda t: text_index.forget(t, work, [1]))
    monkeypatch.setattr(upkeep_texts, "OCTETS", 1000)
    world.append(work, 1)
    world.seal(work, 1)
    world.settle()
    assert (sum(sizes), max(sizes)) == (46, -(-1000 // world.rows(work)[-1].size))


def test_texts_go_with_the_rows_and_the_others_come_back(world: World) -> None:
    """After compaction no block names a purged message, and each live one is in a block."""
    work = world.create("Work")
    world.append(work, 1000)
    world.upkeep.start()
    world.settle()
    world.expunge(work, (101, 300), (601, 605))
    world.settle(200)
    kept = [*range(1, 101), *range(301, 501)]
    for kind in TextKind:
        assert indexed(world, work, kind) == [*kept, *range(501, 1001)]
        for block in blocks(world, work, kind):
            assert block.text().count(b"\n") == len(block.uids) - 1


def test_texts_of_the_tail_go_with_its_rows(world: World) -> None:
    """A search has made the block."""
    work = world.create("Work")
    world.append(work, 10)
    for uids in ([1, 2, 3], [4, 5, 6], [7, 8]):
        block = TextBlock.of(uids, [b"x"] * len(uids))
        world.write(lambda t, block=block: text_index.put(t, work, TextKind.BODIES, block))  # type: ignore[misc]
    world.upkeep.start()
    world.settle()
    world.expunge(work, (5, 5))
    world.settle(200)
    assert indexed(world, work) == [1, 2, 3, 7, 8]


def test_what_cannot_be_read_is_left_out(world: World, logged: list[LogEvent]) -> None:
    """A lost content, a damaged shape and a missing one: the others are kept, and nobody tries for ever."""
    work = world.create("Work")
    world.append(work, 8)
    world.seal(work, 8)

    def damage(transaction: Transaction) -> None:
        mails = [reading.mail(transaction, work, uid) for uid in (2, 4, 6)]
        lost, damaged, unshaped = [mail for mail in mails if mail is not None]
        transaction.delete((BLOB_BYTES, lost.blob))
        transaction.put((MAIL, work, 4), damaged._replace(shape=b"\x01" * 32).to_record())
        transaction.put((MAIL, work, 6), unshaped._replace(shape=NO_SHAPE).to_record())

    world.write(damage)
    world.upkeep.start()
    world.settle()
    assert indexed(world, work) == [1, 3, 5, 7, 8]
    assert world.view(lambda s: upkeep_gaps.next_gaps(s, work)) is None
    assert [formatEvent(event) for event in logged if "not indexed" in formatEvent(event)] == []


def test_a_message_that_is_purged_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block that was to have it is made again without it."""
    work = world.create("Work")
    world.append(work, 6)
    world.seal(work, 6)

    def purging(*arguments: Any) -> Any:
        monkeypatch.setattr(text_index, "read_search_text", read_search_text)
        world.expunge(work, (3, 3), keep_s=100)
        world.write(lambda t: t.delete((MAIL, work, 3)))
        return read_search_text(*arguments)

    monkeypatch.setattr(text_index, "read_search_text", purging)
    world.upkeep.start()
    world.settle()
    for kind in TextKind:
        assert indexed(world, work, kind) == [1, 2, 4, 5, 6]
    assert world.view(lambda s: upkeep_gaps.next_gaps(s, work)) is None


def test_a_mailbox_that_fails_does_not_keep_the_others(
    world: World, logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged once, is tried less and less often, and is done when it can be."""
    bad, good = world.create("Bad"), world.create("Good")
    world.append(bad, 3)
    world.append(good, 4)
    tries: list[int] = []

    def failing(*_: object) -> None:
        tries.append(1)
        raise RuntimeError("a defect")

    monkeypatch.setattr(text_index, "read_search_text", failing)
    world.seal(bad, 3)
    world.upkeep.start()
    world.settle(3600)
    assert 3 < len(tries) < 20
    monkeypatch.setattr(text_index, "read_search_text", read_search_text)
    world.seal(good, 4)
    world.settle(5)
    assert (indexed(world, good), indexed(world, bad)) == ([1, 2, 3, 4], [])
    world.settle(3600)
    assert indexed(world, bad) == [1, 2, 3]
    assert len([event for event in logged if "not indexed" in formatEvent(event)]) == 1


def test_a_full_store_is_waited_for(world: World, logged: list[LogEvent]) -> None:
    """Nothing is tried in a tight loop, and afterwards all is done."""
    boxes = [world.create(f"Box{number}") for number in range(3)]
    for box in boxes:
        world.append(box, 5)
        world.seal(box, 5)
    refused: list[int] = []

    def refuse(_: object) -> Exception:
        refused.append(1)
        return StoreFull("no room")

    world.store.refuse = refuse
    world.upkeep.start()
    world.settle(600)
    assert 1 < len(refused) < 12
    world.store.refuse = lambda _: None
    world.settle(700)
    assert [indexed(world, box) for box in boxes] == [[1, 2, 3, 4, 5]] * 3
    assert len([event for event in logged if "no room" in formatEvent(event)]) == 1


def test_a_deleted_mailbox_is_not_indexed(world: World) -> None:
    work = world.create("Work")
    world.append(work, 5)
    world.seal(work, 5)
    world.write(lambda t: mailboxes.delete(t, ALICE, "Work", int(world.now_s() * 1000)))
    world.upkeep.start()
    world.settle()
    assert {key[2] for key in world.keys(MAIL_CHUNK, work)}.isdisjoint(TextKind)
    assert not world.threads


def test_deliveries_and_flags_wake_nobody(world: World) -> None:
    """Only another form of the mailbox does: a busy one costs nothing here."""
    work = world.create("Work")
    world.append(work, 5)
    world.seal(work, 5)
    world.upkeep.start()
    world.settle()
    before = world.store.slices
    world.append(work, 1)
    world.write(lambda t: changing.change_flags(t, work, ((1, 6),), changing.Mode.ADD, 1))
    world.settle()
    # The look of tidying.
    assert world.store.slices == before + 1
