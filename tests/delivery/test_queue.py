"""The queue's indexes, claims and records."""

from __future__ import annotations

from typing import Any

import pytest

from fedaemon.delivery.queue import (
    MAX_PER_ATTEMPT,
    Claim,
    Claimed,
    ClaimOrder,
    claim,
    look,
    look_local,
)
from fedaemon.delivery.records import (
    LOCAL,
    MessageRecord,
    RecipientRecord,
    load_message,
    message_value,
    recipient_value,
    status,
)
from fedaemon.delivery.window import Window
from fedaemon.store.records import decode
from fedaemon.store.spaces import DUE
from tests.delivery.support import ALICE, BOB, World


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
    return ClaimOrder(
        **{"run": "RUN", "batch": 1, "recipients": 1000, "messages": 40, "schedule": world.schedule, **more}
    )


def claimed(world: World, **more: Any) -> Claimed:
    result = world.transact(lambda transaction: claim(transaction, world.now_ms(), order(world, **more)))
    assert isinstance(result, Claimed)
    return result


def test_enqueue_writes_little() -> None:
    """One remote recipient: message, recipient, index entry and hint; one local recipient: no hint."""
    world = World()
    before = set(world.engine.entries)
    world.enqueue("carol@remote.test")
    spaces = sorted(key[0] for key in set(world.engine.entries) - before)
    assert spaces == ["blob", "bytes", "destination", "due", "message", "recipient"]
    before = set(world.engine.entries)
    world.enqueue(BOB)
    spaces = sorted(key[0] for key in set(world.engine.entries) - before)
    assert spaces == ["blob", "bytes", "destination", "message", "recipient"]


def test_records_hold_what_was_given() -> None:
    """Encoding leaves defaults out and decoding brings them back."""
    message = MessageRecord(
        ALICE, 5, 7, "blob", 1, ALICE, {"tls": "x"}, "8BITMIME", True, False, "FULL", "id", 9
    )
    assert MessageRecord(**decode(message_value(message))) == message
    lean = MessageRecord("", 5, 7, "blob", 1)
    assert set(decode(message_value(lean))) == {"sender", "accepted_ms", "size", "blob", "recipients"}
    recipient = RecipientRecord(
        "a@b", "b", "deferred", 3, 5, "o@p", "NEVER", "rfc822;x", "run", 1, True, 6, {"code": 4}
    )
    assert RecipientRecord(**decode(recipient_value(recipient))) == recipient


def test_the_attempt_is_counted_and_the_next_one_stored_before_anybody_dials() -> None:
    """After a claim the recipient is due again only after the delay of the schedule."""
    world = World()
    queue_id = world.enqueue("carol@remote.test")
    (made,) = claimed(world).claims
    assert (made.queue_id, made.recipients[0][1].attempts) == (queue_id, 1)
    assert world.recipient(queue_id).next_attempt_ms == world.now_ms() + 300_000
    assert claimed(world, batch=2).claims == ()
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


def test_a_full_destination_costs_one_step_however_much_waits_there() -> None:
    """5,000 messages of a destination without room do not make the claim of another slower."""
    world = World()

    def fill(transaction: Any) -> None:
        for number in range(5000):
            due = world.now_ms() - 1000 * (number % 300)
            transaction.put(("destination", "slow.test", due, f"{number:016}", 0), b"")
            transaction.put(("due", due, "slow.test"), b"")

    world.transact(fill)
    world.enqueue("dave@fast.test")
    first = claimed(world, room={"slow.test": 0})
    assert [each.destination for each in first.claims] == ["fast.test"]
    steps = []

    def again(transaction: Any) -> None:
        counting: Any = CountingScans(transaction)
        claim(counting, world.now_ms(), order(world, batch=2, room={"slow.test": 0}))
        steps.append(counting.steps)

    world.transact(again)
    assert steps[0] <= 3


def test_the_calendar_does_not_grow_with_the_mail() -> None:
    """A thousand messages of one second to one destination are one hint."""
    world = World()
    for _ in range(200):
        world.enqueue("carol@remote.test")
    assert len([key for key in world.engine.entries if key[0] == DUE]) == 1


def test_a_look_goes_past_destinations_without_room() -> None:
    """It tells whether a claim would bring anything, and when to look again."""
    world = World()
    world.enqueue("carol@remote.test")
    now_ms = world.now_ms()
    assert world.view(lambda snapshot: look(snapshot, now_ms, {})) == (True, None)
    assert world.view(lambda snapshot: look(snapshot, now_ms, {"remote.test": 0})) == (False, None)
    claimed(world)
    assert world.view(lambda snapshot: look(snapshot, now_ms, {})) == (False, now_ms + 300_000)


def test_a_look_at_local_mail_tells_due_and_next() -> None:
    """Due entries in their order and the time of the first that is not."""
    world = World()
    queue_id = world.enqueue(BOB)
    now_ms = world.now_ms()
    due, next_ms = world.view(lambda snapshot: look_local(snapshot, now_ms, 10))
    assert ([key[3] for key in due], next_ms) == ([queue_id], None)
    assert world.view(lambda snapshot: look_local(snapshot, now_ms - 1, 10)) == ([], now_ms)


def test_entries_without_record_are_dropped_when_met() -> None:
    """A claim repairs what it stumbles over instead of failing on it."""
    world = World()

    def stray(transaction: Any) -> None:
        transaction.put(("destination", "remote.test", 5, "0" * 16, 0), b"")
        transaction.put(("due", 5, "remote.test"), b"")

    world.transact(stray)
    assert claimed(world).claims == ()
    assert [key for key in world.engine.entries if key[0] in ("destination", "due")] == []


def test_what_is_under_way_is_not_claimed_again() -> None:
    """A recipient made due by hand during its attempt is looked at again some seconds later."""
    world = World()
    queue_id = world.enqueue("carol@remote.test")
    found = claimed(world, under_way=frozenset({(queue_id, 0)}))
    assert found.claims == ()
    assert found.next_due_ms == world.now_ms() + 5000


STATUS_CASES = [
    (["queued"], "queued"),
    (["queued", "delivered"], "queued"),
    (["deferred", "queued", "delivered"], "deferred"),
    (["held"], "pending"),
    (["held", "bounced"], "pending"),
    (["delivered", "delivered"], "sent"),
    (["delivered", "bounced"], "partially_sent"),
    (["delivered", "expired", "suppressed"], "partially_sent"),
    (["bounced", "expired"], "bounced"),
    (["suppressed"], "rejected"),
    (["suppressed", "bounced"], "bounced"),
]


@pytest.mark.parametrize(("states", "expected"), STATUS_CASES)
def test_the_status_follows_from_the_recipients(states: list[Any], expected: str) -> None:
    """The words of the mail service that users know."""
    assert status(states) == expected


def made(destination: str, number: int = 0, recipients: int = 1) -> Claim:
    message = MessageRecord(ALICE, 0, 0, "blob", recipients)
    found = tuple((index, RecipientRecord("a@b", destination)) for index in range(recipients))
    return Claim(f"{destination}{number}", destination, message, found)


def test_destinations_take_turns() -> None:
    """Two destinations with three messages each alternate; neither goes over its limit."""
    window = Window(recipients=100, attempts=3, per_destination=2)
    window.add([made("a", number) for number in range(3)] + [made("b", number) for number in range(3)])
    begun = [window.next(), window.next(), window.next()]
    assert [each.destination for each in begun if each] == ["a", "b", "a"]
    assert window.next() is None
    assert begun[1] is not None
    window.done(begun[1])
    following = window.next()
    assert following is not None
    assert following.destination == "b"


def test_the_window_knows_its_room() -> None:
    """Room shrinks and comes back; a destination with a quarter of all recipients has none."""
    window = Window(recipients=100, attempts=10, per_destination=2)
    window.add([made("a"), made("a", 1), made("big", recipients=30)])
    assert window.room() == {"a": 2, "big": 0}
    assert window.free == 68
    assert ("a1", 0) in window.under_way()
    begun = window.next()
    assert begun is not None
    window.done(begun)
    assert window.room()["a"] == 3
    assert {each.destination for each in window.take_ready()} == {"a", "big"}
    assert (window.claimed, window.room(), window.under_way()) == (0, {}, frozenset())


def test_local_mail_has_a_destination_that_no_domain_can_have() -> None:
    """bob@local is a remote address."""
    world = World()
    queue_id = world.enqueue("bob@local")
    assert world.recipient(queue_id).destination == "local"
    assert "@" in LOCAL
    assert world.view(lambda snapshot: load_message(snapshot, queue_id)).recipients == 1
