"""What an administrator does to the queue, beside the daemon."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from fedaemon.delivery import actions
from fedaemon.delivery.actions import Changed
from fedaemon.delivery.check import DeliveryChecker
from fedaemon.delivery.queue import NewRecipient
from fedaemon.delivery.records import RecipientRecord, lane_of
from fedaemon.delivery.site_listing import known_sites
from fedaemon.errors import Refused
from tests.delivery.support import ACCEPTED, ALICE, BOB, GREYLISTED, HOUR, MINUTE, UNREACHABLE, World
from tests.fakes import MemoryTransaction


@pytest.fixture
def world() -> World:
    world = World()
    world.manager.start()
    world.transport.answer = lambda address: GREYLISTED
    return world


def count(world: World, action: Callable[..., actions.Changed]) -> int:
    changed: actions.Changed = world.transact(action)
    return changed.recipients


def hold(world: World, queue_id: str) -> int:
    return count(world, partial(actions.hold, queue_id=queue_id, now_ms=world.now_ms()))


def release(world: World, queue_id: str) -> int:
    return count(world, partial(actions.release, queue_id=queue_id, now_ms=world.now_ms()))


def retry(world: World, queue_id: str) -> int:
    return count(world, partial(actions.retry, queue_id=queue_id, now_ms=world.now_ms()))


def delete(world: World, queue_id: str) -> int:
    return count(world, partial(actions.delete, blobs=world.blobs, queue_id=queue_id))


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
    first = world.submit("carol@remote.test")
    world.settle()
    ids = [first] + [world.enqueue("carol@remote.test") for _ in range(6)]
    world.manager.wake()
    world.settle()
    assert [world.recipient(each).claim != "" for each in ids] == [True] * 7
    begun = len(world.transport.waiting)
    assert begun < 6
    hold(world, ids[5])
    delete(world, ids[6])
    for _ in range(5):
        world.transport.finish()
        world.settle()
    assert {attempt.queue_id for attempt in world.transport.attempts} == set(ids[:5])
    assert world.states(ids[5]) == ["held"]


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
    assert {key[0] for key in left} <= {"due", "turn"}
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


def act(world: World, action: Callable[..., actions.Changed]) -> actions.Changed:
    """Do something as fedaemonctl does: in a transaction of its own, which the daemon notices."""
    changed: actions.Changed = world.transact(action)
    world.manager.foreign_commit()
    world.settle()
    return changed


def test_retry_opens_the_site_that_was_closed(world: World) -> None:
    """Whoever asks for a try gets one, although the site is down and would be probed later."""
    world.transport.answer = lambda address: UNREACHABLE
    queue_id = world.submit("carol@remote.test")
    world.pass_time(5)
    site = world.recipient(queue_id).last["site"]  # type: ignore[index]
    assert world.view(known_sites).records[site]["down_until_ms"] > world.now_ms()
    world.transport.answer = lambda address: ACCEPTED
    act(world, partial(actions.retry, queue_id=queue_id, now_ms=world.now_ms()))
    assert world.states(queue_id) == ["delivered"]


def test_retry_opens_the_site_of_what_was_never_tried(world: World) -> None:
    """The site's other mail says where it would go."""
    world.transport.answer = lambda address: UNREACHABLE
    world.submit("carol@remote.test")
    world.pass_time(5)
    fresh = world.enqueue("dave@remote.test")
    world.transport.answer = lambda address: ACCEPTED
    sites = world.view(known_sites)
    act(world, partial(actions.retry, queue_id=fresh, now_ms=world.now_ms(), sites=sites))
    assert world.states(fresh) == ["delivered"]


def test_retry_and_bounce_leave_alone_what_is_under_way(world: World) -> None:
    """A second attempt beside the first would deliver twice, a bounce beside it might be untrue."""
    world.transport.answer = None
    queue_id = world.submit("carol@remote.test")
    assert act(world, partial(actions.retry, queue_id=queue_id, now_ms=world.now_ms())) == Changed(0, 1)
    bounce = partial(actions.bounce, terms=world.terms, queue_id=queue_id, now_ms=world.now_ms())
    assert act(world, bounce) == Changed(0, 1)
    world.transport.finish()
    world.settle()
    assert world.states(queue_id) == ["delivered"]
    assert world.inbox(ALICE) == []


def test_retry_goes_before_the_release_that_the_sender_asked_for(world: World) -> None:
    """The administrator's word goes, and the timeline says so."""
    world.transport.answer = lambda address: ACCEPTED
    queue_id = world.submit("carol@remote.test", release_ms=world.now_ms() + HOUR * 1000)
    world.pass_time(MINUTE)
    assert world.states(queue_id) == ["queued"]
    act(world, partial(actions.retry, queue_id=queue_id, now_ms=world.now_ms()))
    assert world.states(queue_id) == ["delivered"]
    assert "before the release" in world.show(queue_id)["timeline"][1]["why"]


def test_what_is_released_still_waits_for_the_sender_s_time(world: World) -> None:
    """Hold and release put back what was: the release asked for (RFC 4865), and the lane (RFC 6710)."""
    at_ms = world.now_ms() + HOUR * 1000
    queue_id = world.submit("carol@remote.test", release_ms=at_ms, priority=3)
    lane = world.recipient(queue_id).lane
    hold(world, queue_id)
    assert release(world, queue_id) == 1
    assert world.recipient(queue_id).next_attempt_ms == at_ms
    assert world.recipient(queue_id).lane == lane == lane_of(ALICE, 3)
    assert list(DeliveryChecker().problems(MemoryTransaction(world.engine.entries))) == []


def test_bounce_ends_what_waits_and_what_is_held_with_one_report(world: World) -> None:
    """The sender hears the reason; what is delivered stays delivered; the message is over."""
    queue_id = world.submit("carol@remote.test", "dave@other.test", BOB)
    hold(world, queue_id)
    release_one = partial(
        actions.release,
        queue_id=queue_id,
        now_ms=world.now_ms(),
        meant=lambda recipient: recipient.destination == "other.test",
    )
    assert world.transact(release_one) == Changed(1)
    bounce = partial(
        actions.bounce,
        terms=world.terms,
        queue_id=queue_id,
        now_ms=world.now_ms(),
        reason="the domain has closed",
    )
    assert act(world, bounce) == Changed(2)
    assert sorted(world.states(queue_id)) == ["bounced", "bounced", "delivered"]
    assert world.show(queue_id)["finished_ms"] == world.now_ms()
    (report,) = world.inbox(ALICE)
    assert b"the domain has closed" in report
    assert report.count(b"Action: failed") == 2
    assert b"Remote-MTA" not in report
    assert act(world, bounce) == Changed()
    assert list(DeliveryChecker().problems(MemoryTransaction(world.engine.entries))) == []


def test_an_action_leaves_alone_who_is_not_meant(world: World) -> None:
    """A filter for one domain changes nothing for the message's other recipients."""
    queue_id = world.submit("carol@remote.test", "dave@other.test")

    def meant(recipient: RecipientRecord) -> bool:
        return recipient.destination == "other.test"

    now_ms = world.now_ms()
    for action, states in (
        (partial(actions.hold, queue_id=queue_id, now_ms=now_ms, meant=meant), ["deferred", "held"]),
        (partial(actions.release, queue_id=queue_id, now_ms=now_ms), ["deferred", "deferred"]),
        (
            partial(actions.bounce, terms=world.terms, queue_id=queue_id, now_ms=now_ms, meant=meant),
            ["deferred", "bounced"],
        ),
    ):
        assert world.transact(action) == Changed(1)
        assert world.states(queue_id) == states
    assert world.show(queue_id)["finished_ms"] is None
