"""The queue's indexes and records; claims are in test_claiming.py."""

from __future__ import annotations

from typing import Any

import pytest

from fedaemon.delivery.queue import look, look_local
from fedaemon.delivery.records import (
    LOCAL,
    MAX_LANE,
    MessageRecord,
    RecipientRecord,
    lane_of,
    load_message,
    message_value,
    recipient_value,
    status,
)
from fedaemon.store.records import decode
from fedaemon.store.spaces import DUE, TURN
from tests.delivery.support import ALICE, BOB, World


def test_enqueue_writes_little() -> None:
    """A remote recipient: message, recipient, index entry, a hint in each calendar; a local one: no hint."""
    world = World()
    before = set(world.engine.entries)
    world.enqueue("carol@remote.test")
    spaces = sorted(key[0] for key in set(world.engine.entries) - before)
    assert spaces == ["blob", "bytes", "destination", "due", "message", "recipient", "turn"]
    before = set(world.engine.entries)
    world.enqueue(BOB)
    spaces = sorted(key[0] for key in set(world.engine.entries) - before)
    assert spaces == ["blob", "bytes", "destination", "message", "recipient"]


def test_records_hold_what_was_given() -> None:
    """Encoding leaves defaults out and decoding brings them back."""
    message = MessageRecord(
        ALICE,
        5,
        7,
        "blob",
        1,
        ALICE,
        {"tls": "x"},
        "8BITMIME",
        True,
        False,
        "FULL",
        "id",
        9,
        10,
        11,
        "RT",
        -4,
        True,
    )
    assert MessageRecord(**decode(message_value(message))) == message
    lean = MessageRecord("", 5, 7, "blob", 1)
    assert set(decode(message_value(lean))) == {"sender", "accepted_ms", "size", "blob", "recipients"}
    recipient = RecipientRecord(
        "a@b", "b", "deferred", 3, 5, "1a@c", "o@p", "NEVER", "rfc822;x", "run", 1, True, True, 6, {"code": 4}
    )
    assert RecipientRecord(**decode(recipient_value(recipient))) == recipient


def test_the_calendars_do_not_grow_with_the_mail() -> None:
    """Two hundred messages of one second from one account to one destination are one hint in each."""
    world = World()
    for _ in range(200):
        world.enqueue("carol@remote.test")
    assert len([key for key in world.engine.entries if key[0] in (DUE, TURN)]) == 2


def test_a_message_is_due_at_its_release() -> None:
    """FUTURERELEASE: nothing is found due before."""
    world = World()
    release_ms = world.now_ms() + 3_600_000
    queue_id = world.enqueue("carol@remote.test", BOB, release_ms=release_ms)
    assert [world.recipient(queue_id, number).next_attempt_ms for number in (0, 1)] == [release_ms] * 2
    assert world.view(lambda snapshot: look(snapshot, world.now_ms())) == (False, release_ms)
    assert world.view(lambda snapshot: look_local(snapshot, world.now_ms(), 10)) == ([], release_ms)


@pytest.mark.parametrize(
    ("priority", "lane_class"), [(9, "0"), (1, "0"), (0, "1"), (-3, "1"), (-4, "2"), (-9, "2")]
)
def test_priorities_are_three_classes(priority: int, lane_class: str) -> None:
    """RFC 6710 with the three levels of its MIXER profile: urgent, normal, non-urgent."""
    assert lane_of(ALICE, priority) == lane_class + ALICE
    assert lane_of(None, priority) == lane_class


def test_a_long_account_has_a_short_lane() -> None:
    """Keys are bounded; two long names that begin alike are still two lanes."""
    long = "\u00e4" * 60 + "@example.test"
    lanes = {lane_of(long), lane_of(long + "x"), lane_of("a" * 200 + "@example.test")}
    assert len(lanes) == 3
    assert all(len(lane.encode()) <= MAX_LANE + 1 for lane in lanes)


def test_a_look_tells_due_and_next() -> None:
    """Whether a lane of any class has something due, and when to look again."""
    world = World()
    now_ms = world.now_ms()
    assert world.view(lambda snapshot: look(snapshot, now_ms)) == (False, None)
    world.enqueue("carol@remote.test", priority=-5)
    assert world.view(lambda snapshot: look(snapshot, now_ms)) == (True, None)
    assert world.view(lambda snapshot: look(snapshot, now_ms - 1)) == (False, now_ms)


def test_a_look_at_local_mail_tells_due_and_next() -> None:
    """Due entries in their order and the time of the first that is not."""
    world = World()
    queue_id = world.enqueue(BOB)
    now_ms = world.now_ms()
    due, next_ms = world.view(lambda snapshot: look_local(snapshot, now_ms, 10))
    assert ([key[4] for key in due], next_ms) == ([queue_id], None)
    assert world.view(lambda snapshot: look_local(snapshot, now_ms - 1, 10)) == ([], now_ms)


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


def test_local_mail_has_a_destination_that_no_domain_can_have() -> None:
    """bob@local is a remote address."""
    world = World()
    queue_id = world.enqueue("bob@local")
    assert world.recipient(queue_id).destination == "local"
    assert "@" in LOCAL
    assert world.view(lambda snapshot: load_message(snapshot, queue_id)).recipients == 1
