"""The blocks of texts that a mailbox keeps: which are there, which are to be made, and which go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fedaemon.mailbox import mailboxes, text_index, upkeep_gaps
from fedaemon.mailbox.text_index import (
    BLOCK_OCTETS,
    LONG,
    LONG_OCTETS,
    Progress,
    TextBlock,
    TextKind,
    TextRows,
    read_texts,
)
from fedaemon.mailbox.upkeep_gaps import Gap, Gaps
from fedaemon.message.mime.shape import read_shape
from fedaemon.message.mime.stored_shape import StoredShape
from fedaemon.store.content import MemoryContent
from fedaemon.store.spaces import MAIL
from tests.mailbox.upkeep_world import ALICE, World

BOTH = (TextKind.HEADERS, TextKind.BODIES)
LAST = 2**32 - 1


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.engine.close()


@pytest.fixture
def work(world: World) -> str:
    """A mailbox with 20 messages in a chunk, and two in another."""
    mailbox_id = world.create("Work")
    world.append(mailbox_id, 22)
    for rows in (20, 2):
        assert world.seal(mailbox_id, rows)
    return mailbox_id


def put(world: World, mailbox_id: str, kind: TextKind, uids: Sequence[int]) -> bool:
    """Keep a block in which each message has its number."""
    block = TextBlock.of(uids, [b"%d" % uid for uid in uids])
    return world.write(lambda t: text_index.put(t, mailbox_id, kind, block))


def blocks(
    world: World, mailbox_id: str, kind: TextKind, first: int = 1, last: int = LAST
) -> list[list[int]]:
    found = world.view(lambda s: text_index.blocks(s, mailbox_id, kind, first, last))
    return [list(block.uids) for block in found]


def gaps(world: World, mailbox_id: str) -> Gaps | None:
    return world.view(lambda s: upkeep_gaps.next_gaps(s, mailbox_id))


def need_gaps(world: World, mailbox_id: str) -> Gaps:
    found = gaps(world, mailbox_id)
    assert found is not None
    return found


def finish(world: World, mailbox_id: str, done: Gaps) -> Progress:
    world.write(lambda t: upkeep_gaps.finish(t, mailbox_id, done))
    return world.view(lambda s: text_index.progress(s, mailbox_id))


def test_blocks_never_overlap(world: World, work: str) -> None:
    """Else ``forget`` would not find all that name a message: the later block stays."""
    for uids in ([1, 2, 3], [4, 8], [9, 10], [15, 16]):
        assert put(world, work, TextKind.BODIES, uids)
    assert put(world, work, TextKind.BODIES, [5, 6])
    assert blocks(world, work, TextKind.BODIES) == [[1, 2, 3], [5, 6], [9, 10], [15, 16]]
    assert put(world, work, TextKind.BODIES, [3, 9])
    assert blocks(world, work, TextKind.BODIES) == [[3, 9], [15, 16]]
    assert put(world, work, TextKind.BODIES, [10, 14])
    assert blocks(world, work, TextKind.BODIES) == [[3, 9], [10, 14], [15, 16]]
    assert blocks(world, work, TextKind.HEADERS) == []


def test_what_another_block_had_alone_is_done_again(world: World, work: str) -> None:
    """Nobody knows of it any more; a block in the place of one that it has wholly loses nothing."""
    found = need_gaps(world, work)
    put(world, work, TextKind.BODIES, [3, 4])
    put(world, work, TextKind.BODIES, [2, 3, 4])
    assert finish(world, work, found) == Progress(20, 0)
    put(world, work, TextKind.BODIES, [4, 5])
    assert need_gaps(world, work).progress == Progress(1, 1)


def test_new_blocks_stand_between_those_that_are_there(world: World, work: str) -> None:
    for uids in ([3, 5], [8, 9]):
        put(world, work, TextKind.BODIES, uids)
    known = world.view(lambda s: text_index.blocks(s, work, TextKind.BODIES, 1, LAST))
    assert text_index.outside([1, 2, 4, 6, 7, 10, 11], known) == [[1, 2], [6, 7], [10, 11]]
    assert text_index.outside([4], known) == text_index.outside([], known) == []
    assert text_index.outside([4, 9, 20], []) == [[4, 9, 20]]


def test_a_block_is_not_kept_when_a_message_of_it_is_purged(world: World, work: str) -> None:
    assert put(world, work, TextKind.BODIES, [1, 3])
    world.write(lambda t: t.delete((MAIL, work, 2)))
    assert not put(world, work, TextKind.BODIES, [1, 2])
    assert blocks(world, work, TextKind.BODIES) == [[1, 3]]


def test_gaps_are_what_no_block_covers(world: World, work: str) -> None:
    """By kind, cut where a block lies; a message that is not in the block around it could not be read."""
    put(world, work, TextKind.HEADERS, [5, 6])
    put(world, work, TextKind.HEADERS, [11, 13])
    put(world, work, TextKind.BODIES, [5, 6])
    put(world, work, TextKind.BODIES, [7, 8])
    world.expunge(work, (1, 2), (15, 15))
    assert gaps(world, work) == Gaps(
        [
            Gap([3, 4], BOTH),
            Gap([7, 8], (TextKind.HEADERS,)),
            Gap([9, 10], BOTH),
            Gap([11, 12, 13], (TextKind.BODIES,)),
            Gap([14, 16, 17, 18, 19, 20], BOTH),
        ],
        20,
        Progress(),
    )


def test_progress_goes_from_chunk_to_chunk(world: World, work: str) -> None:
    """The tail is in no chunk: nothing is to be done for it."""
    world.append(work, 3)
    assert world.view(lambda s: upkeep_gaps.is_behind(s, work))
    for uids in ([*range(1, 21)], [21, 22]):
        found = need_gaps(world, work)
        assert found.gaps == [Gap(uids, BOTH)]
        assert finish(world, work, found) == Progress(uids[-1], 0)
    assert gaps(world, work) is None
    assert not world.view(lambda s: upkeep_gaps.is_behind(s, work))


def test_what_is_forgotten_is_a_gap_again(world: World, work: str) -> None:
    for kind in BOTH:
        put(world, work, kind, [1, 2, 3])
        put(world, work, kind, [4, 5])
        put(world, work, kind, [6, 20])
    for _ in range(2):
        found = need_gaps(world, work)
        finish(world, work, found)
    world.write(lambda t: text_index.forget(t, work, [3, 5]))
    assert blocks(world, work, TextKind.HEADERS) == blocks(world, work, TextKind.BODIES) == [[6, 20]]
    assert gaps(world, work) == Gaps([Gap([1, 2, 3, 4, 5], BOTH)], 20, Progress(0, 1))
    world.write(lambda t: text_index.forget(t, work, [20]))
    assert world.view(lambda s: text_index.progress(s, work)) == Progress(0, 2)


def test_forgetting_what_is_in_no_block_changes_nothing(world: World, work: str) -> None:
    put(world, work, TextKind.BODIES, [1, 3])
    before = world.view(lambda s: list(s.scan(())))
    world.write(lambda t: text_index.forget(t, work, [2, 4]))
    world.write(lambda t: text_index.forget(t, work, []))
    assert world.view(lambda s: list(s.scan(()))) == before


def test_nothing_is_finished_when_blocks_went_meanwhile(world: World, work: str) -> None:
    """Even behind where the index ends: it may be in the chunk that is being done."""
    put(world, work, TextKind.BODIES, [7, 8])
    found = need_gaps(world, work)
    world.write(lambda t: text_index.forget(t, work, [8]))
    assert finish(world, work, found) == Progress(0, 1)
    found = need_gaps(world, work)
    assert finish(world, work, found) == Progress(20, 1)


def test_a_mailbox_that_is_deleted_is_left_alone(world: World, work: str) -> None:
    """Nothing may be written under its id once it is removed."""
    found = need_gaps(world, work)
    world.write(lambda t: mailboxes.delete(t, ALICE, "Work", int(world.now_s() * 1000)))
    assert gaps(world, work) is None
    world.upkeep.start()
    world.settle(8 * 86_400)
    assert finish(world, work, found) == Progress()
    assert [key for key in world.everything() if work in key] == []
    world.upkeep.stop()


def test_rows_are_taken_when_a_block_is_full() -> None:
    """One text more than fits; long ones are only named."""
    rows = TextRows()
    rows.add(1, b"x" * LONG_OCTETS)
    rows.add(2, b"x" * (LONG_OCTETS + 1))
    assert not rows.full
    for uid, octets in ((3, LONG_OCTETS), (4, LONG_OCTETS), (5, LONG_OCTETS - 1)):
        rows.add(uid, b"y" * octets)
    assert not rows.full
    rows.add(6, b"z")
    assert rows.full
    uids, texts = rows.take()
    assert uids == [1, 2, 3, 4, 5, 6]
    assert [len(text) for text in texts] == [LONG_OCTETS, 1, LONG_OCTETS, LONG_OCTETS, LONG_OCTETS - 1, 1]
    assert texts[1] == LONG
    assert sum(map(len, texts)) == BLOCK_OCTETS + 1
    assert (rows.full, rows.take()) == (False, ([], []))


def test_texts_are_read_by_kind() -> None:
    """The header with its prefix; behind the headers of parts the texts. One line each. RFC 9051 6.4.4"""
    data = (
        b"Subject: Caf\xc3\xa9\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; name=A\r\n\r\nOne\r\nTwo\r\n--b--\r\n"
    )
    prefix = b"X-First: 1\r\n"
    parts = StoredShape(read_shape(iter([data])).to_record()).parts()
    reads: list[tuple[int, int | None]] = []

    class Content(MemoryContent):
        def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
            reads.append((start, stop))
            return super().chunks(size, start, stop)

    content = Content(prefix + data)
    header = "x-first:1\vsubject:café\vcontent-type:multipart/mixed; boundary=b\v".encode()
    assert read_texts(content, parts, len(prefix), [TextKind.HEADERS]) == {TextKind.HEADERS: header}
    assert [start for start, _ in reads] == [0]
    body = b"content-type:text/plain; name=a\v\xffone\vtwo"
    assert read_texts(content, parts, len(prefix), [TextKind.BODIES]) == {TextKind.BODIES: body}
    both = read_texts(content, parts, len(prefix), BOTH)
    assert both == {TextKind.HEADERS: header, TextKind.BODIES: body}
