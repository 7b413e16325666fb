"""What becomes of the queue when the server stops, cleanly or not."""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail

from fedaemon.delivery.recovery import LOST_DELAY_MS
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.store.errors import StoreFull
from fedaemon.store.spaces import CLAIM
from tests.delivery.support import ACCEPTED, BOB, GREYLISTED, MINUTE, World
from tests.fakes import MemoryStore

T = TypeVar("T")


class StubbornStore(MemoryStore):
    """A store that cannot write while *full*."""

    full = False

    def write(self, function: Any) -> Deferred[Any]:
        return fail(StoreFull("no room")) if self.full else super().write(function)


def claims(world: World) -> int:
    return len(world.view(lambda snapshot: list(snapshot.scan((CLAIM,)))))


def test_a_killed_attempt_goes_again_within_a_minute_and_not_at_once() -> None:
    """The claim of the dead run is found: tried again after 30 to 60 s, and the timeline says why."""
    world = World()
    world.manager.start()
    world.transport.answer = None
    queue_id = world.submit("carol@remote.test")
    assert len(world.transport.waiting) == 1
    assert world.show(queue_id)["recipients"][0]["under_way"] is True
    world.kill()
    world.manager.start()
    world.settle()
    assert world.transport.attempts == []
    assert world.events(queue_id) == ["accepted", "interrupted"]
    world.pass_time(LOST_DELAY_MS / 1000 - 1, step=1)
    assert world.transport.attempts == []
    world.pass_time(LOST_DELAY_MS / 1000 + 1, step=1)
    assert world.states(queue_id) == ["delivered"]
    assert claims(world) == 0


def test_a_message_that_kills_the_server_is_tried_ever_less_often() -> None:
    """Each death in a row makes the wait four times as long, up to the schedule's: no hammering."""
    world = World()
    waits = []
    queue_id = world.enqueue("carol@remote.test")
    for _ in range(5):
        world.transport.answer = None
        start = world.clock.seconds()
        world.manager.start()
        world.settle()
        while not world.transport.waiting:
            world.pass_time(15, step=15)
        waits.append(world.clock.seconds() - start)
        world.kill()
    assert waits[0] == 0
    assert waits[1] >= 30
    assert waits[2] >= 120
    assert waits[3] >= 480
    assert waits == sorted(waits)
    assert world.events(queue_id).count("interrupted") == 4


def test_interrupted_attempts_come_back_spread_out() -> None:
    """What was under way together does not come back in one second."""
    world = World()
    world.transport.answer = None
    ids = [world.enqueue(f"carol@{number}.test") for number in range(10)]
    world.manager.start()
    world.settle()
    world.kill()
    numbers = iter(range(10))
    world.schedule = type(world.schedule)(random=lambda: next(numbers, 5) / 10)
    world.manager = world.new_manager()
    world.manager.start()
    world.settle()
    assert len({world.recipient(queue_id).next_attempt_ms for queue_id in ids}) == 10


def test_what_waits_for_its_time_survives() -> None:
    """A deferred recipient keeps its time across a kill; nobody is dialled early."""
    world = World()
    world.manager.start()
    world.transport.answer = lambda address: GREYLISTED
    queue_id = world.submit("carol@remote.test")
    due_ms = world.recipient(queue_id).next_attempt_ms
    world.pass_time(MINUTE)
    world.kill()
    world.manager.start()
    world.settle()
    assert world.recipient(queue_id).next_attempt_ms == due_ms
    world.pass_time(3.9 * MINUTE)
    assert world.transport.attempts == []
    world.pass_time(MINUTE)
    assert world.states(queue_id) == ["delivered"]


def test_a_clean_stop_puts_back_what_had_not_begun() -> None:
    """Ready claims go back to due-now with their attempt uncounted; running attempts end and are recorded."""
    world = World()
    world.manager.start()
    world.transport.answer = None
    ids = [world.enqueue("carol@remote.test") for _ in range(30)]
    world.manager.wake()
    world.settle()
    assert len(world.transport.waiting) == 5
    stopped = world.manager.stop()
    world.settle()
    assert stopped.called
    assert world.transport.closed
    assert claims(world) == 0
    assert [world.recipient(queue_id).attempts for queue_id in ids] == [1] * 5 + [0] * 25
    assert [world.recipient(queue_id).claim for queue_id in ids] == [""] * 30
    world.kill()
    world.manager.start()
    world.pass_time(1, step=0.1)
    assert [world.states(queue_id) for queue_id in ids] == [["deferred"]] * 5 + [["delivered"]] * 25


def test_local_mail_is_delivered_once_however_often_the_server_starts() -> None:
    """Delivery and its record are one transaction: nothing is left to repeat."""
    world = World()
    queue_id = world.enqueue(BOB)
    for _ in range(3):
        world.manager.start()
        world.settle()
        world.kill()
    assert world.states(queue_id) == ["delivered"]
    assert len(world.inbox(BOB)) == 1


def test_an_outcome_that_cannot_be_recorded_is_kept_and_stops_claiming() -> None:
    """Disk full after a delivery: nothing more is dialled until the outcome is written down."""
    world = World()
    world.store = StubbornStore(world.engine)
    world.manager = world.new_manager()
    world.manager.start()
    world.transport.answer = None
    queue_id = world.submit("carol@remote.test")
    world.store.full = True
    world.transport.finish()
    world.store.full = False
    other = world.enqueue("dave@other.test")
    world.manager.wake()
    world.settle()
    assert world.transport.waiting == []
    assert world.states(queue_id) == ["queued"]
    world.pass_time(2)
    assert world.states(queue_id) == ["delivered"]
    assert [attempt.queue_id for attempt, _ in world.transport.waiting] == [other]
    assert len([attempt for attempt in world.transport.attempts if attempt.queue_id == queue_id]) == 1


def test_local_mail_waits_for_a_store_that_cannot_write() -> None:
    """Disk full: local mail stays queued and is delivered once there is room."""
    world = World()
    world.store = StubbornStore(world.engine)
    world.manager = world.new_manager()
    world.manager.start()
    world.store.full = True
    queue_id = world.submit(BOB)
    assert world.states(queue_id) == ["queued"]
    world.store.full = False
    world.pass_time(MINUTE)
    assert world.states(queue_id) == ["delivered"]


def test_a_defect_in_an_attempt_is_a_temporary_failure() -> None:
    """An exception of ours is never permanent for the mail (promise 2)."""
    world = World()
    world.manager.start()

    def broken(address: str) -> tuple[Any, ...]:
        raise RuntimeError("a bug")

    world.transport.answer = broken
    queue_id = world.submit("carol@remote.test")
    assert world.states(queue_id) == ["deferred"]
    assert "internal error" in world.show(queue_id)["recipients"][0]["why"]


def test_a_defect_in_an_effect_is_a_temporary_failure() -> None:
    """An effect that breaks is not repeated, and its recipient is deferred."""
    world = World()
    world.manager.start()
    world.transport.answer = None
    queue_id = world.submit("carol@remote.test")
    calls = []

    def effect(transaction: Any) -> None:
        calls.append(transaction)
        raise RuntimeError("a bug")

    _, result = world.transport.waiting.pop()
    result.callback([Outcome(0, Result.DELIVERED, "ok", 250, effect=effect)])
    assert world.states(queue_id) == ["deferred"]
    assert len(calls) == 1


def test_a_broken_local_message_holds_up_no_other(monkeypatch: Any) -> None:
    """One message whose delivery breaks is deferred; those around it arrive."""
    from fedaemon.delivery import local

    def breaks(transaction: Any, blobs: Any, message: Any, *args: Any, **more: Any) -> None:
        if message.envid == "broken":
            raise RuntimeError("a bug")
        deliver(transaction, blobs, message, *args, **more)

    deliver = local.deliver
    monkeypatch.setattr(local, "deliver", breaks)
    world = World()
    ids = [world.enqueue(BOB, envid="broken" if number == 2 else "") for number in range(5)]
    world.manager.start()
    world.settle()
    assert [world.states(queue_id)[0] for queue_id in ids] == [
        "delivered",
        "delivered",
        "deferred",
        "delivered",
        "delivered",
    ]
    assert len(world.inbox(BOB)) == 4


def test_an_outcome_for_a_final_recipient_changes_nothing() -> None:
    """The second of two outcomes for one recipient is ignored."""
    world = World()
    world.manager.start()
    world.transport.answer = None
    queue_id = world.submit("carol@remote.test")
    attempt, result = world.transport.waiting.pop()
    both = world.transport.outcomes(attempt, lambda address: ACCEPTED)
    both += world.transport.outcomes(attempt, lambda address: GREYLISTED)
    result.callback(both)
    assert world.states(queue_id) == ["delivered"]
    assert world.events(queue_id) == ["accepted", "delivered"]
