"""Claims: who has a turn, what waits in line, what is put off, and what it costs."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.delivery.check import DeliveryChecker
from fedaemon.delivery.claiming import (
    MAX_PER_ATTEMPT,
    MAX_PUT_OFF,
    Claimed,
    ClaimOrder,
    Line,
    Standing,
    claim,
)
from fedaemon.delivery.queue import thaw
from fedaemon.store.spaces import DESTINATION, DUE, LINE, TURN
from tests.delivery.support import ALICE, BOB, HOUR, World

MANY = Standing("", 1000)


class Standings:
    """What a test says of sites; every destination is a site of its own with much room, unless told."""

    def __init__(self, **told: Standing) -> None:
        self.told = {name.replace("_", "."): standing for name, standing in told.items()}

    def __call__(self, destination: str) -> Standing:
        return self.told.get(destination, Standing(f"mx.{destination}", 1000))


class CountingScans:
    """A transaction that counts the entries scans give out."""

    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction
        self.steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)

    def scan(self, *args: Any, **more: Any) -> Any:
        for entry in self._transaction.scan(*args, **more):
            self.steps += 1
            yield entry


def order(world: World, **more: Any) -> ClaimOrder:
    given = {
        "run": "RUN",
        "batch": 1,
        "recipients": 1000,
        "schedule": world.schedule,
        "standing": Standings(),
    }
    return ClaimOrder(**{**given, **more})


def claimed(world: World, **more: Any) -> Claimed:
    result = world.transact(lambda transaction: claim(transaction, world.now_ms(), order(world, **more)))
    assert isinstance(result, Claimed)
    return result


def accounts(found: Claimed) -> list[str]:
    return [each.lane[1:].partition("@")[0] for each in found.claims]


def problems(world: World) -> list[Any]:
    return list(world.view(lambda snapshot: list(DeliveryChecker().problems(snapshot))))


def test_the_attempt_is_counted_and_the_next_one_stored_before_anybody_dials() -> None:
    """After a claim the recipient is due again only after the delay of the schedule."""
    world = World()
    queue_id = world.enqueue("carol@remote.test")
    (made,) = claimed(world).claims
    assert (made.queue_id, made.lane, made.recipients[0][1].attempts) == (queue_id, f"1{ALICE}", 1)
    assert world.recipient(queue_id).next_attempt_ms == world.now_ms() + 300_000
    assert claimed(world, batch=2).claims == []
    assert claimed(world, batch=3).next_due_ms == world.now_ms() + 300_000


def test_recipients_of_a_message_go_together_up_to_the_limit() -> None:
    """250 recipients at one destination are three attempts."""
    world = World()
    world.enqueue(*(f"u{number}@remote.test" for number in range(250)))
    assert [len(each.recipients) for each in claimed(world).claims] == [MAX_PER_ATTEMPT, MAX_PER_ATTEMPT, 50]


def test_the_limit_of_recipients_leaves_the_rest_due() -> None:
    """What did not fit is claimed next time; the result says there is more."""
    world = World()
    world.enqueue(*(f"u{number}@remote.test" for number in range(10)))
    world.enqueue("v@other.test")
    first = claimed(world, recipients=4)
    assert sum(len(each.recipients) for each in first.claims) == 4
    assert first.more
    second = claimed(world, batch=2)
    assert sum(len(each.recipients) for each in second.claims) == 7
    assert not second.more


def test_lanes_share_what_may_be_claimed() -> None:
    """One account's thousand messages to a thousand domains cost another's single one a turn, not a day."""
    world = World()
    for number in range(1000):
        world.enqueue(f"u@d{number}.test", account=ALICE)
    world.enqueue("v@d0.test", account=BOB)
    first = claimed(world, recipients=20)
    assert accounts(first).count("bob") == 1
    assert accounts(first).count("alice") == 10
    assert first.more


def test_lanes_take_turns_from_claim_to_claim() -> None:
    """With room for one message at a time three accounts go round."""
    world = World()
    for account in ("a@x.test", "b@x.test", "c@x.test"):
        for _ in range(3):
            world.enqueue("u@remote.test", account=account)
    turns: list[str] = []
    last: dict[str, str] = {}
    for batch in range(9):
        found = claimed(world, recipients=1, batch=batch, last=last)
        turns += accounts(found)
        last = found.last
    assert turns == ["a", "b", "c"] * 3


def test_urgent_mail_goes_first_and_non_urgent_last() -> None:
    """RFC 6710: classes are strict, turns are within a class."""
    world = World()
    for priority in (-4, 0, 4):
        for _ in range(2):
            world.enqueue("u@remote.test", priority=priority)
    assert [each.message.priority for each in claimed(world).claims] == [4, 4, 0, 0, -4, -4]


def test_what_a_site_has_no_room_for_goes_into_its_line() -> None:
    """The lane's hint goes, so that the busy destination costs the next claim nothing however much waits."""
    world = World()
    for _ in range(500):
        world.enqueue("u@slow.test")
    full = Standings(slow_test=Standing("mx.slow.test", 0))
    first = claimed(world, standing=full)
    assert (first.claims, first.parked) == ([], [Line("mx.slow.test", f"1{ALICE}")])
    assert [key[0] for key in world.engine.entries if key[0] in (DUE, TURN)] == []
    world.enqueue("v@fast.test")
    steps = []

    def again(transaction: Any) -> None:
        counting: Any = CountingScans(transaction)
        found = claim(counting, world.now_ms(), order(world, batch=2, standing=full))
        steps.append((counting.steps, [each.destination for each in found.claims]))

    world.transact(again)
    assert steps[0][1] == ["fast.test"]
    assert steps[0][0] <= 6
    assert problems(world) == []


def test_a_line_is_served_when_the_site_has_room() -> None:
    """Lanes in the line take what the site has room for; one that is through leaves the line."""
    world = World()
    for _ in range(5):
        world.enqueue("u@slow.test", account=ALICE)
    world.enqueue("u@slow.test", account=BOB)
    claimed(world, standing=Standings(slow_test=Standing("mx.slow.test", 0)))
    lines = [Line("mx.slow.test", f"1{ALICE}"), Line("mx.slow.test", f"1{BOB}")]
    three = Standings(slow_test=Standing("mx.slow.test", 3))
    found = claimed(world, batch=2, standing=three, lines=lines)
    assert accounts(found) == ["alice"] * 3
    assert found.emptied == []
    world.clock.advance(1)
    found = claimed(world, batch=3, standing=three, lines=list(reversed(lines)))
    assert accounts(found) == ["bob", "alice", "alice"]
    assert sorted(found.emptied) == sorted(lines)
    assert [key for key in world.engine.entries if key[0] == LINE] == []
    assert problems(world) == []


def test_destinations_of_one_site_share_its_room() -> None:
    """Three domains with the same exchangers do not get three times as much."""
    world = World()
    for number in range(3):
        for _ in range(4):
            world.enqueue(f"u@d{number}.test")
    shared = {f"d{number}_test": Standing("mx.shared.test", 5) for number in range(3)}
    found = claimed(world, standing=Standings(**shared))
    assert len(found.claims) == 5
    assert {line.site for line in found.parked} == {"mx.shared.test"}


def test_a_line_shares_its_room_among_destinations() -> None:
    """A lane's ten thousand messages to one domain of a provider leave room for its message to another."""
    world = World()
    for _ in range(20):
        world.enqueue("u@d0.test")
    world.enqueue("u@d1.test")
    none = {f"d{number}_test": Standing("mx.shared.test", 0) for number in range(2)}
    some = {f"d{number}_test": Standing("mx.shared.test", 4) for number in range(2)}
    claimed(world, standing=Standings(**none))
    found = claimed(world, standing=Standings(**some), lines=[Line("mx.shared.test", f"1{ALICE}")], batch=2)
    assert [each.destination for each in found.claims] == ["d0.test", "d0.test", "d1.test"]


def test_a_closed_site_puts_its_mail_off_without_an_attempt() -> None:
    """Until the site opens nothing is due there, and no attempt is counted."""
    world = World()
    ids = [world.enqueue("u@down.test") for _ in range(3)]
    until_ms = world.now_ms() + 600_000
    closed = Standings(down_test=Standing("mx.down.test", 10, until_ms))
    found = claimed(world, standing=closed)
    assert (found.claims, found.put_off, found.answers) == ([], 3, [])
    assert {world.recipient(queue_id).next_attempt_ms for queue_id in ids} == {until_ms}
    assert {world.recipient(queue_id).attempts for queue_id in ids} == {0}
    assert found.next_due_ms == until_ms
    assert problems(world) == []


def test_what_is_owed_is_answered_while_a_site_is_closed() -> None:
    """The delay notice and the end of the lifetime come when they are due, whether anybody dials or not."""
    world = World()
    queue_id = world.enqueue("u@down.test")
    world.clock.advance(3 * HOUR)
    far_ms = world.now_ms() + 24 * HOUR * 1000
    closed = Standings(down_test=Standing("mx.down.test", 10, far_ms))
    assert claimed(world, standing=closed).answers == []
    assert world.recipient(queue_id).next_attempt_ms == world.now_ms() + HOUR * 1000
    world.clock.advance(HOUR)
    (answer,) = claimed(world, standing=closed, batch=2).answers
    assert [number for number, _ in answer.recipients] == [0]
    assert world.recipient(queue_id).next_attempt_ms == far_ms


def test_putting_off_is_done_in_slices() -> None:
    """A million messages for a dead site do not make one transaction of a million."""
    world = World()
    for _ in range(MAX_PUT_OFF + 50):
        world.enqueue("u@down.test")
    closed = Standings(down_test=Standing("mx.down.test", 10, world.now_ms() + 600_000))
    first = claimed(world, standing=closed)
    assert (first.put_off, first.more) == (MAX_PUT_OFF, True)
    second = claimed(world, standing=closed, batch=2)
    assert (second.put_off, second.more) == (50, False)


def test_a_paused_lane_is_left_alone_until_it_is_resumed() -> None:
    """Its messages stay as they are; a resume has them looked at at once."""
    world = World()
    queue_id = world.enqueue("u@remote.test", account=ALICE)
    other = world.enqueue("u@remote.test", account=BOB)
    found = claimed(world, paused=lambda lane: lane == f"1{ALICE}")
    assert [each.queue_id for each in found.claims] == [other]
    assert claimed(world, batch=2).claims == []
    world.transact(lambda transaction: thaw(transaction, ALICE, world.now_ms()))
    assert [each.queue_id for each in claimed(world, batch=3).claims] == [queue_id]


def test_a_paused_site_stands_in_line() -> None:
    """What is due there waits in its line, and is not put off or looked at."""
    world = World()
    world.enqueue("u@remote.test")
    frozen = Standings(remote_test=Standing("mx.remote.test", 10, frozen=True))
    found = claimed(world, standing=frozen)
    assert (found.claims, found.parked) == ([], [Line("mx.remote.test", f"1{ALICE}")])
    assert claimed(world, standing=frozen, lines=found.parked, batch=2).claims == []
    assert len(claimed(world, lines=found.parked, batch=3).claims) == 1


def test_entries_without_record_are_dropped_when_met() -> None:
    """A claim repairs what it stumbles over instead of failing on it."""
    world = World()

    def stray(transaction: Any) -> None:
        transaction.put((DESTINATION, "remote.test", "1x", 5, "0" * 16, 0), b"")
        transaction.put((DUE, "1x", 5, "remote.test"), b"")
        transaction.put((TURN, "1", 5, "1x"), b"")

    world.transact(stray)
    assert claimed(world).claims == []
    assert [key for key in world.engine.entries if key[0] in (DESTINATION, DUE, TURN)] == []


def test_what_is_under_way_is_not_claimed_again() -> None:
    """A recipient made due by hand during its attempt is looked at again some seconds later."""
    world = World()
    queue_id = world.enqueue("carol@remote.test")
    found = claimed(world, under_way=frozenset({(queue_id, 0)}))
    assert found.claims == []
    assert found.next_due_ms == world.now_ms() + 5000


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enqueue", "claim", "claim", "pass"]),
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_nothing_is_ever_out_of_reach(steps: list[tuple[str, int, int, int]]) -> None:
    """Whatever sites do: every waiting recipient keeps a way in, and is claimed once all sites are open."""
    world = World()
    lines: dict[Line, None] = {}
    waiting: set[str] = set()

    def take(batch: int, standing: Any) -> list[str]:
        found = claimed(world, standing=standing, lines=list(lines), recipients=7, batch=batch)
        lines.update(dict.fromkeys(found.parked))
        for line in found.emptied:
            lines.pop(line, None)
        return [each.queue_id for each in found.claims]

    for batch, (step, account, destination, amount) in enumerate(steps):
        if step == "enqueue":
            for _ in range(amount):
                waiting.add(world.enqueue(f"u@d{destination}.test", account=f"a{account}@example.test"))
        elif step == "pass":
            world.clock.advance(amount)
        else:
            until_ms = world.now_ms() + amount * 1000
            told = {
                f"d{destination}_test": Standing(f"s{destination % 2}", account, until_ms, frozen=amount == 5)
            }
            waiting.difference_update(take(batch, Standings(**told)))
        assert problems(world) == []
    world.clock.advance(10)
    open_ = Standings(**{f"d{number}_test": Standing(f"s{number % 2}", 50) for number in range(4)})
    for batch in range(100, 200):
        waiting.difference_update(take(batch, open_))
        world.clock.advance(0.001)
    assert waiting == set()
