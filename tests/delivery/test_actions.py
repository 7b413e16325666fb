"""What an administrator does to the queue, beside the daemon."""

from __future__ import annotations

import pytest

from fedaemon.delivery import actions
from fedaemon.delivery.queue import NewRecipient
from fedaemon.errors import Refused
from tests.delivery.support import ACCEPTED, BOB, GREYLISTED, HOUR, MINUTE, World


@pytest.fixture
def world() -> World:
    world = World()
    world.manager.start()
    world.transport.answer = lambda address: GREYLISTED
    return world


def hold(world: World, queue_id: str) -> int:
    return int(world.transact(lambda transaction: actions.hold(transaction, queue_id, world.now_ms())))


def release(world: World, queue_id: str) -> int:
    return int(world.transact(lambda transaction: actions.release(transaction, queue_id, world.now_ms())))


def retry(world: World, queue_id: str) -> int:
    return int(world.transact(lambda transaction: actions.retry(transaction, queue_id, world.now_ms())))


def delete(world: World, queue_id: str) -> int:
    return int(world.transact(lambda transaction: actions.delete(transaction, world.blobs, queue_id)))


def test_retry_goes_at_once(world: World) -> None:
    """A deferred recipient is tried as soon as the daemon notices."""
    queue_id = world.submit("carol@remote.test")
    world.transport.answer = lambda address: ACCEPTED
    assert retry(world, queue_id) == 1
    world.manager.wake()
    world.settle()
    assert world.events(queue_id) == ["accepted", "deferred", "retried", "delivered"]
    assert retry(world, queue_id) == 0


def test_retry_does_not_start_a_second_attempt_beside_the_first(world: World) -> None:
    """While an attempt is under way a retry waits for its result."""
    world.transport.answer = None
    queue_id = world.submit("carol@remote.test")
    retry(world, queue_id)
    world.manager.wake()
    world.pass_time(MINUTE)
    assert len(world.transport.attempts) == 1
    world.transport.finish()
    world.pass_time(HOUR)
    assert len(world.transport.attempts) == 1
    assert world.states(queue_id) == ["delivered"]


def test_what_is_held_waits_until_it_is_released(world: World) -> None:
    """Hold takes a recipient out of every index; release lets it go at once."""
    queue_id = world.submit("carol@remote.test")
    assert hold(world, queue_id) == 1
    assert world.show(queue_id)["status"] == "pending"
    world.pass_time(HOUR)
    assert len(world.transport.attempts) == 1
    world.transport.answer = lambda address: ACCEPTED
    assert release(world, queue_id) == 1
    world.manager.wake()
    world.settle()
    assert world.states(queue_id) == ["delivered"]


def test_what_is_held_between_claim_and_dialling_is_not_dialled(world: World) -> None:
    """Ready claims are looked at again before their attempt begins."""
    world.transport.answer = None
    ids = [world.enqueue("carol@remote.test") for _ in range(22)]
    world.manager.wake()
    world.settle()
    assert len(world.transport.waiting) == 20
    hold(world, ids[20])
    delete(world, ids[21])
    for _ in range(20):
        world.transport.finish()
        world.settle()
    assert {attempt.queue_id for attempt in world.transport.attempts} == set(ids[:20])
    assert world.states(ids[20]) == ["held"]


@pytest.mark.parametrize(("answer", "state"), [(ACCEPTED, "delivered"), (GREYLISTED, "held")])
def test_an_attempt_under_way_ends_although_its_recipient_is_held(
    world: World, answer: tuple[object, ...], state: str
) -> None:
    """What the remote did is a fact and written down; what it put off stays held."""
    world.transport.answer = None
    queue_id = world.submit("carol@remote.test")
    hold(world, queue_id)
    world.transport.finish(answer)
    assert world.states(queue_id) == [state]
    world.pass_time(HOUR)
    assert len(world.transport.attempts) == 1


def test_a_deleted_message_is_gone_with_everything(world: World) -> None:
    """No record, no index entry and no content is left, and nobody is told."""
    before = set(world.engine.entries)
    queue_id = world.submit("carol@remote.test", NewRecipient("dave@other.test", False))
    assert delete(world, queue_id) == 2
    left = set(world.engine.entries) - before
    assert {key[0] for key in left} <= {"due"}
    world.pass_time(HOUR)
    assert len(world.transport.attempts) == 2
    assert set(world.engine.entries) == before


def test_an_outcome_of_a_deleted_message_is_ignored(world: World) -> None:
    """The attempt ends, and nothing comes back to life."""
    world.transport.answer = None
    queue_id = world.submit("carol@remote.test")
    delete(world, queue_id)
    world.transport.finish()
    assert world.rows() == []


def test_delivered_copies_outlive_their_message(world: World) -> None:
    """The mailbox has a reference to the content of its own."""
    queue_id = world.submit(BOB)
    delete(world, queue_id)
    assert len(world.inbox(BOB)) == 1


def test_an_unknown_id_is_refused_with_what_to_do(world: World) -> None:
    """The refusal names the command that shows what there is."""
    with pytest.raises(Refused, match="queue list"):
        retry(world, "0000000000000000")
