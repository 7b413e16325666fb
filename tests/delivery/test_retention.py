"""Contents go when their time is over; headers and timelines stay."""

from __future__ import annotations

import email

import pytest
from twisted.internet.defer import Deferred

from fedaemon.delivery.records import load_message
from fedaemon.delivery.retention import SLICE, Retention, sweep
from fedaemon.delivery.schedule import DAY_MS
from fedaemon.store.spaces import BLOB_BYTES, DUPLICATE
from tests.delivery.support import ACCEPTED, BOB, DAY, UNKNOWN, World


def content(world: World, queue_id: str) -> bytes:
    message = world.view(lambda snapshot: load_message(snapshot, queue_id))
    return b"".join(world.view(lambda snapshot: world.blobs.open(snapshot, message.blob)).chunks())


def start(world: World, retention_ms: int) -> Retention:
    retention = Retention(world.store, world.blobs, world.clock, world.now_ms, retention_ms)
    world.manager._message_finished = retention.message_finished
    retention.start()
    world.manager.start()
    return retention


ENDINGS = [
    (("a@remote.test",), "delivered to all its recipients"),
    (("a@remote.test", "nobody@remote.test"), "delivered to some of its recipients"),
    (("nobody@remote.test",), "could not be delivered to any"),
]


@pytest.mark.parametrize(("addresses", "truth"), ENDINGS)
def test_the_content_becomes_a_truthful_notice(addresses: tuple[str, ...], truth: str) -> None:
    """After the retention the header stands, and the body says how the message ended."""
    world = World()
    start(world, 2 * DAY_MS)
    world.transport.answer = lambda address: UNKNOWN if address.startswith("nobody") else ACCEPTED
    original = b"Subject: kept\r\nContent-Type: text/html\r\nX-Odd:  as it was\r\n\r\n<b>secret</b>\r\n"
    queue_id = world.submit(*addresses, content=original, sender="x@elsewhere.test")
    world.pass_time(1.9 * DAY)
    assert b"secret" in content(world, queue_id)
    world.pass_time(0.2 * DAY)
    redacted = content(world, queue_id)
    assert b"secret" not in redacted
    assert b"X-Odd:  as it was\r\n" in redacted
    parsed = email.message_from_bytes(redacted)
    assert (parsed["Subject"], parsed.get_content_type()) == ("kept", "text/plain")
    assert truth in parsed.get_payload()
    assert queue_id in parsed.get_payload()
    assert world.events(queue_id)[-1] == "redacted"
    assert not any(b"secret" in value for key, value in world.engine.entries.items() if key[0] == BLOB_BYTES)


def test_retention_zero_takes_the_content_at_once() -> None:
    """Within a moment of the end the bytes are gone; unfinished messages and mailboxes keep theirs."""
    world = World(paused=False)
    start(world, 0)
    queue_id = world.submit("carol@remote.test", content=b"Subject: s\r\n\r\nsecret\r\n")
    local = world.submit(BOB)
    world.clock.advance(0.1)
    assert b"secret" not in content(world, queue_id)
    assert b"hello" in world.inbox(BOB)[0]
    assert world.show(local)["redacted_ms"] is not None
    world.transport.answer = None
    waiting = world.submit("carol@remote.test")
    world.pass_time(DAY)
    assert b"hello" in content(world, waiting)


def test_a_shorter_retention_counts_for_what_is_finished_already() -> None:
    """configure with a new time sweeps soon."""
    world = World()
    retention = start(world, 30 * DAY_MS)
    queue_id = world.submit("carol@remote.test")
    world.pass_time(120)
    assert world.show(queue_id)["redacted_ms"] is None
    retention.configure(0)
    world.clock.advance(1)
    assert world.show(queue_id)["redacted_ms"] is not None


def test_a_long_backlog_is_done_in_slices() -> None:
    """One transaction redacts no more than a slice."""
    world = World()
    world.manager.start()
    for _ in range(SLICE + 10):
        world.submit("carol@remote.test")
    now_ms = world.now_ms()
    assert world.transact(lambda transaction: sweep(transaction, world.blobs, now_ms, 0)) is True
    assert sum(row["finished_ms"] is not None for row in world.rows()) == SLICE + 10
    assert sum(world.show(row["id"])["redacted_ms"] is not None for row in world.rows()) == SLICE
    assert world.transact(lambda transaction: sweep(transaction, world.blobs, now_ms, 0)) is False


def test_a_lost_content_does_not_stop_the_sweep() -> None:
    """A message whose blob is missing is redacted to a notice all the same."""
    world = World()
    world.manager.start()
    lost, other = world.submit("carol@remote.test"), world.submit("carol@remote.test")
    message = world.view(lambda snapshot: load_message(snapshot, lost))
    world.transact(lambda transaction: world.blobs.release(transaction, message.blob))
    world.transact(lambda transaction: sweep(transaction, world.blobs, world.now_ms(), 0))
    assert b"delivered to all" in content(world, lost)
    assert world.show(other)["redacted_ms"] is not None


def test_old_duplicate_keys_are_pruned() -> None:
    """Keys of two days and less stay, older ones go, a slice at a time."""
    world = World()
    today = world.now_ms() // DAY_MS

    def remember(transaction: object) -> None:
        for age in range(5):
            transaction.put((DUPLICATE, today - age, b"digest"), b"")  # type: ignore[attr-defined]

    world.transact(remember)
    world.transact(lambda transaction: sweep(transaction, world.blobs, world.now_ms(), 0))
    left = {key[1] for key in world.engine.entries if key[0] == DUPLICATE}
    assert left == {today, today - 1, today - 2}


def test_stop_ends_the_sweeping() -> None:
    """After stop nothing is scheduled."""
    world = World()
    retention = Retention(world.store, world.blobs, world.clock, world.now_ms, 0)
    retention.start()
    stopped: Deferred[None] = retention.stop()
    assert stopped.called
    assert world.clock.getDelayedCalls() == []
