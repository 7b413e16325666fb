"""The indexes equal the records whatever happens, and ``fedaemonctl verify`` mends them when not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.delivery import actions
from fedaemon.delivery.check import DeliveryChecker
from fedaemon.delivery.records import load_recipient, recipients_of, save_recipient
from fedaemon.delivery.retention import Keep, sweep
from fedaemon.delivery.sites.shaping import Shaping, SiteLimits
from fedaemon.mailbox.check import MailboxChecker
from fedaemon.store.records import decode
from fedaemon.store.spaces import BLOB, DESTINATION, DUE, FINISHED, MESSAGE, RECIPIENT, TURN
from tests.delivery.support import (
    ACCEPTED,
    ALICE,
    BOB,
    GREYLISTED,
    HOUR,
    UNKNOWN,
    UNREACHABLE,
    HostOfItsOwn,
    World,
)

CHECKER = DeliveryChecker()


def problems(world: World) -> list[str]:
    return [f"{finding.kind}: {finding.what}" for finding in world.view(lambda s: list(CHECKER.problems(s)))]


def compose(outer: Callable[[Any], Any], inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda argument: outer(inner(argument))


def references(world: World) -> dict[str, int]:
    """Return how often each blob is named by a record."""
    counts: dict[str, int] = {}
    for references in (CHECKER.references, MailboxChecker().references):
        for blob_id in world.view(compose(list, references)):
            counts[blob_id] = counts.get(blob_id, 0) + 1
    return counts


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "send",
                "send_local",
                "answer",
                "pass",
                "hold",
                "release",
                "retry",
                "delete",
                "kill",
                "stop",
                "sweep",
            ]
        ),
        st.integers(0, 7),
        st.sampled_from([ACCEPTED, GREYLISTED, UNKNOWN, UNREACHABLE]),
    ),
    min_size=1,
    max_size=25,
)


def take_step(world: World, name: str, number: int, answer: tuple[Any, ...]) -> None:
    """Do one of the things that happen to a queue."""
    ids = [row["id"] for row in world.rows()]
    queue_id = ids[number % len(ids)] if ids else ""
    now_ms = world.now_ms()
    if name == "send":
        world.submit(*(f"u{n}@d{(number + n) % 3}.test" for n in range(1 + number % 4)))
    elif name == "send_local":
        world.submit(BOB, "ghost@example.test", f"u@d{number}.test")
    elif name == "answer" and world.transport.waiting:
        world.transport.finish(answer, number % len(world.transport.waiting))
    elif name == "pass":
        world.pass_time((number + 1) * HOUR)
    elif name in ("hold", "release", "retry") and queue_id:
        world.transact(lambda transaction: getattr(actions, name)(transaction, queue_id, now_ms))
        world.manager.wake()
    elif name == "delete" and queue_id:
        world.transact(lambda transaction: actions.delete(transaction, world.blobs, queue_id))
    elif name in ("kill", "stop"):
        if name == "stop":
            world.manager.stop()
        world.kill()
        world.transport.answer = None
        world.manager.start()
    elif name == "sweep":
        world.transact(lambda transaction: _sweep_all(transaction, world, number))
    world.settle()


def _sweep_all(transaction: Any, world: World, hours: int) -> None:
    """Redact, and forget, what is older than some hours."""
    keep = Keep(hours * 3_600_000, hours * 2 * 3_600_000)
    for domain in ("", "example.test"):
        sweep(transaction, world.blobs, world.now_ms(), keep, domain)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_indexes_equal_records_after_any_history(steps: list[tuple[str, int, tuple[Any, ...]]]) -> None:
    """Sending, outcomes, time, people and crashes in any order; in the end everything gets out."""
    world = World(
        memory={"recipients": 8, "attempts": 4}, shaping=Shaping(rules=(), default=SiteLimits(2, 2))
    )
    world.manager = world.new_manager(finder=HostOfItsOwn())
    world.transport.answer = None
    world.manager.start()
    for name, number, answer in steps:
        take_step(world, name, number, answer)
        assert problems(world) == []
        assert world.view(compose(list, MailboxChecker().problems)) == []
        stored = {
            key[1]: decode(value)["references"]
            for key, value in world.engine.entries.items()
            if key[0] == BLOB
        }
        assert stored == references(world)
    world.transport.answer = lambda address: ACCEPTED
    while world.transport.waiting:
        world.transport.finish(ACCEPTED)
    for row in world.rows():
        world.transact(partial(actions.release, queue_id=row["id"], now_ms=world.now_ms()))
    world.manager.wake()
    world.pass_time(5 * HOUR)
    assert {state["state"] for row in world.rows() for state in row["recipients"]} <= {
        "delivered",
        "bounced",
        "expired",
    }
    assert problems(world) == []
    assert world.manager.attempts_under_way == 0


def damage_cases() -> dict[str, Any]:
    """Return ways to damage a queue by name: functions on (transaction, queue id of a waiting message)."""

    def drop(space: str) -> Any:
        def damage(transaction: Any, queue_id: str) -> None:
            for key, _ in list(transaction.scan((space,))):
                transaction.delete(key)

        return damage

    def lose_message(transaction: Any, queue_id: str) -> None:
        transaction.delete((MESSAGE, queue_id))

    def stray(transaction: Any, queue_id: str) -> None:
        transaction.put((DESTINATION, "remote.test", "1x", 7, queue_id, 0), b"")

    def change_state(transaction: Any, queue_id: str) -> None:
        recipient = load_recipient(transaction, queue_id, 0)
        assert recipient is not None
        recipient.state = "held"
        save_recipient(transaction, queue_id, 0, recipient)

    def late_hint(transaction: Any, queue_id: str) -> None:
        drop(DUE)(transaction, queue_id)
        transaction.put((DUE, f"1{ALICE}", 2**50, "remote.test"), b"")

    return {
        "queue.unindexed": drop(DESTINATION),
        "queue.unscheduled": drop(DUE),
        "queue.unscheduled, late": late_hint,
        "queue.unscheduled, no turn": drop(TURN),
        "queue.unfinished": drop(FINISHED),
        "queue.lost_recipient": lose_message,
        "queue.stray_entry": stray,
        "queue.stray_entry, held": change_state,
    }


@pytest.mark.parametrize("kind", damage_cases())
def test_damage_is_found_and_repaired(kind: str) -> None:
    """Each kind of damage has its name, and after the repair nothing is left of it and mail flows."""
    world = World()
    world.manager.start()
    world.submit("done@remote.test")
    world.transport.answer = lambda address: GREYLISTED
    queue_id = world.submit("carol@remote.test")
    assert problems(world) == []
    world.transact(lambda transaction: damage_cases()[kind](transaction, queue_id))
    assert kind.partition(",")[0] in {problem.partition(":")[0] for problem in problems(world)}
    world.transact(CHECKER.repair)
    assert problems(world) == []
    world.transport.answer = lambda address: ACCEPTED
    world.pass_time(HOUR)
    left = world.view(lambda snapshot: list(recipients_of(snapshot, queue_id)))
    assert [recipient.state for _, recipient in left] in (["delivered"], ["held"], [])


def test_missing_recipients_are_left_to_a_person() -> None:
    """A message that lost a recipient is reported and stays so: repair invents nothing."""
    world = World()
    queue_id = world.enqueue("a@remote.test", "b@remote.test")
    world.transact(lambda transaction: transaction.delete((RECIPIENT, queue_id, 1)))
    world.transact(CHECKER.repair)
    assert problems(world) == [f"queue.recipients: {queue_id}"]
