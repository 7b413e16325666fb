"""What delivery to a mailbox here keeps beside the content is made before, once for all recipients."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import Deferred, execute, fail

from fedaemon.delivery import inhouse
from fedaemon.delivery.capture import HOST, CaptureTransport
from fedaemon.delivery.transport import Attempt, Outcome, Recipient
from fedaemon.mailbox import reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.adding import thread_id
from fedaemon.mailbox.mailboxes import STANDARD, find, mailboxes, need
from fedaemon.mailbox.rows import Mail, Row
from fedaemon.mailbox.shaping import SMALL_OCTETS, Shaped, Shaper, read_shaped
from fedaemon.message.mime.stored_shape import is_made
from fedaemon.store.content import MemoryContent, PrefixedContent
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content
from tests.delivery.support import ALICE, BOB, CONTENT, START_MS, World

LARGE = CONTENT + b"x" * SMALL_OCTETS


class CountingShaper(Shaper):
    """Notes which contents it is asked for, by their size."""

    def __init__(self, run_in_thread: Any) -> None:
        super().__init__(run_in_thread)
        self.sizes: list[int] = []

    async def shape(self, content: Content) -> Shaped | None:
        self.sizes.append(content.size)
        return await super().shape(content)


def stored(world: World, account: str) -> list[tuple[Row, Mail]]:
    """Return what an INBOX holds."""

    def read(snapshot: Any) -> list[tuple[Row, Mail]]:
        inbox = need(snapshot, account, "INBOX").id
        found = [(row, reading.mail(snapshot, inbox, row.uid)) for row in reading.rows(snapshot, inbox)]
        return [(row, mail) for row, mail in found if mail is not None]

    return list(world.view(read))


def world_with(run_in_thread: Any) -> tuple[World, CountingShaper]:
    """Return a world whose shaper runs what takes long with *run_in_thread*."""
    world = World()
    world.shaper = shaper = CountingShaper(run_in_thread)
    world.manager = world.new_manager()
    return world, shaper


def test_a_message_is_stored_with_its_shape() -> None:
    """Of the content without what delivery puts in front; once for two recipients, whose threads differ."""
    world, shaper = world_with(fail)
    world.manager.start()
    world.submit(ALICE, BOB)
    assert shaper.sizes == [len(CONTENT)]
    shaped = read_shaped(MemoryContent(CONTENT))
    for account in (ALICE, BOB):
        ((row, mail),) = stored(world, account)
        assert mail.shape == shaped.record
        assert mail.prefix == f"Return-Path: <{ALICE}>\r\nDelivered-To: {account}\r\n".encode()
        assert row.size == len(mail.prefix) + len(CONTENT)
        assert row.internal_s == row.saved_s == START_MS // 1000
        assert row.thread == thread_id(account, "1@example.test")


def test_the_first_message_makes_the_mailboxes() -> None:
    """An account that has none yet gets all of them."""
    world = World()
    assert world.view(lambda s: find(s, BOB, "INBOX")) is None
    world.manager.start()
    world.submit(BOB)
    world.submit(BOB)
    assert world.view(lambda s: {each.name for each in mailboxes(s, BOB)}) == set(STANDARD)
    assert world.view(partial(states.usage, kind="account", name=BOB)).messages == 2


def test_a_message_that_has_no_shape_is_delivered_all_the_same() -> None:
    """It is made later, in the background."""
    world, shaper = world_with(lambda *arguments: fail(ZeroDivisionError()))
    world.manager.start()
    world.submit(BOB, content=LARGE)
    ((row, mail),) = stored(world, BOB)
    assert not is_made(mail.shape)
    assert (row.size, world.inbox(BOB)) == (len(mail.prefix) + len(LARGE), [mail.prefix + LARGE])
    assert shaper.sizes == [len(LARGE)]


def test_a_missing_content_is_told_of_by_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shape is asked for, and the message waits."""
    world, shaper = world_with(fail)

    def gone(*arguments: Any) -> Any:
        raise StoreError("there is no blob")

    monkeypatch.setattr(world.blobs, "open", gone)
    monkeypatch.setattr(world.blobs, "retain", gone)
    world.manager.start()
    queue_id = world.submit(BOB)
    assert world.states(queue_id) == ["deferred"]
    assert "there is no blob" in str(world.recipient(queue_id).last)
    assert shaper.sizes == []


def test_a_large_message_holds_up_nothing_before_it() -> None:
    """What is due before it is delivered first; what is behind it waits until its shape is made."""
    running: list[tuple[Deferred[Any], Any]] = []

    def run(*call: Any) -> Deferred[Any]:
        running.append((Deferred(), call))
        return running[-1][0]

    world, _ = world_with(run)
    ids = [world.enqueue(BOB, content=content) for content in (CONTENT, CONTENT, LARGE, CONTENT)]
    world.manager.start()
    world.settle()
    assert [world.states(each) for each in ids] == [["delivered"], ["delivered"], ["queued"], ["queued"]]
    deferred, (function, *arguments) = running.pop()
    deferred.callback(function(*arguments))
    world.settle()
    assert [world.states(each) for each in ids] == [["delivered"]] * 4
    assert all(is_made(mail.shape) for _, mail in stored(world, BOB))


def test_shapes_that_take_long_shorten_the_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn of the reactor ends after some milliseconds of them; all are delivered in the next ones."""
    world, shaper = world_with(fail)
    slices: list[int] = []
    deliver = inhouse.deliver_due

    def counted(blobs: Any, terms: Any, due: list[Any], *arguments: Any) -> Any:
        slices.append(len(due))
        return deliver(blobs, terms, due, *arguments)

    def slow(content: Content) -> bool:
        world.clock.rightNow += inhouse.SHAPING_S * 0.4
        return True

    monkeypatch.setattr(inhouse, "deliver_due", counted)
    monkeypatch.setattr(inhouse, "is_quick", slow)
    ids = [world.enqueue(ALICE, BOB) for _ in range(5)]
    world.manager.start()
    world.settle()
    assert slices == [4, 4, 2]
    assert [world.states(each) for each in ids] == [["delivered"] * 2] * 5
    # The message that was looked at when time was up is read again in the next turn, and made once.
    assert len(shaper.sizes) == len(ids)


def test_capture_keeps_the_shape_of_what_is_stored() -> None:
    """Not of what would have been sent, with our signature in front."""
    world = World()
    transport = CaptureTransport(world.store, world.blobs, Shaper(execute), ALICE, world.now_ms)
    queue_id = world.enqueue("carol@remote.test")
    signed = PrefixedContent(b"DKIM-Signature: v=1\r\n", MemoryContent(CONTENT))
    recipients = (Recipient(0, "carol@remote.test"),)
    outcomes: list[Outcome] = []
    transport.attempt(Attempt(queue_id, ALICE, recipients, signed, (HOST,))).addCallback(outcomes.extend)
    (outcome,) = outcomes
    assert outcome.effect is not None
    world.transact(outcome.effect)
    ((row, mail),) = stored(world, ALICE)
    assert mail.shape == read_shaped(MemoryContent(CONTENT)).record
    assert world.inbox(ALICE) == [mail.prefix + CONTENT]
    assert row.size == len(mail.prefix + CONTENT)
