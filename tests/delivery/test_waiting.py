"""Why what waits waits, what comes next, and when: in words."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from fedaemon.delivery import actions, pauses
from fedaemon.delivery.queue import NewRecipient
from fedaemon.delivery.records import load_recipient, save_recipient
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import LINE
from tests.delivery.site_records import put_site
from tests.delivery.support import ACCEPTED, ALICE, BOB, GREYLISTED, HOUR, MINUTE, UNKNOWN, UNREACHABLE, World


@pytest.fixture
def world() -> World:
    world = World()
    world.manager.start()
    world.transport.answer = lambda address: {"slow": GREYLISTED, "gone": UNKNOWN}.get(
        address.rpartition("@")[2].removesuffix(".test"), ACCEPTED
    )
    return world


def recipient(world: World, queue_id: str, number: int = 0, *, paused: bool = False) -> dict[str, Any]:
    shown: dict[str, Any] = world.show(queue_id, paused=paused)["recipients"][number]
    return shown


def obstacles(shown: dict[str, Any]) -> list[str]:
    return [each["kind"] for each in shown["obstacles"]]


def test_what_was_never_tried_says_so(world: World) -> None:
    """Due at once, with nothing in the way; after a minute the daemon is asked about."""
    queue_id = world.enqueue("c@slow.test")
    shown = recipient(world, queue_id)
    assert (shown["why"], shown["obstacles"]) == ("it has not been tried yet", [])
    assert shown["next"] == "the first attempt, at once"
    assert shown["expected_ms"] == world.now_ms()
    world.manager.stop()
    world.pass_time(2 * MINUTE)
    assert "overdue" in recipient(world, queue_id)["next"]


def test_the_last_reply_is_told_in_words_with_what_it_means(world: World) -> None:
    """The reply as it was, then category and explanation of the classification."""
    queue_id = world.submit("c@slow.test")
    shown = recipient(world, queue_id)
    last = shown["last"]
    assert shown["why"].startswith("the last attempt failed (rcpt, mx.remote.test): 451 4.7.1 greylisted")
    assert shown["why"].endswith(f"[{last['category']}: {last['explanation']}]")
    assert last["explanation"]
    assert shown["next"] == "another attempt"
    assert shown["expected_ms"] == shown["next_attempt_ms"] > world.now_ms()
    assert shown["notice_ms"] == world.now_ms() + 4 * HOUR * 1000


def test_who_does_not_want_a_notice_is_not_promised_one(world: World) -> None:
    """NOTIFY decides, and a report's empty sender."""
    never = world.submit(NewRecipient("c@slow.test", False, notify="NEVER"))
    delay = world.submit(NewRecipient("c@slow.test", False, notify="DELAY,FAILURE"))
    report = world.submit("c@slow.test", sender="")
    assert [recipient(world, each)["notice_ms"] is None for each in (never, delay, report)] == [
        True,
        False,
        True,
    ]


def test_a_site_that_is_down_is_named_with_its_error(world: World) -> None:
    """For what was tried and what was not: why, until when, and that one probes for all."""
    until_ms = world.now_ms() + 90_000
    error = {"code": 0, "text": "connection refused", "phase": "connect", "host": "mx.slow.test"}
    put_site(world, "mx.slow.test", down_until_ms=until_ms, failures=3, last_error=error)
    shown = recipient(world, world.enqueue("c@slow.test"))
    (obstacle,) = shown["obstacles"]
    assert (obstacle["kind"], obstacle["until_ms"]) == ("down", until_ms)
    assert "3 times in a row: connection refused (connect, mx.slow.test)" in obstacle["text"]
    assert shown["site"] == "mx.slow.test"
    assert shown["expected_ms"] == until_ms
    assert shown["next"].startswith("one attempt probes the site")
    assert recipient(world, world.enqueue("c@fast.test"))["obstacles"] == []


def test_a_site_that_really_went_down_is_seen_so(world: World) -> None:
    """The same from what the daemon itself wrote."""
    world.transport.answer = lambda address: UNREACHABLE
    queue_id = world.submit("c@slow.test")
    world.pass_time(5, step=1)
    assert obstacles(recipient(world, queue_id)) == ["down"]
    assert "connection refused" in recipient(world, queue_id)["obstacles"][0]["text"]


def test_blocked_slowed_and_busy_sites_are_explained(world: World) -> None:
    """All that is in the way is listed, each with its time."""
    now_ms = world.now_ms()
    put_site(
        world,
        "mx.slow.test",
        closed={"192.0.2.9": now_ms + 1000, "192.0.2.8": now_ms - 1},
        slowed_until_ms=now_ms + 2000,
        rate_per_minute=7,
        active=5,
    )
    queue_id = world.enqueue("c@slow.test")
    lane = world.recipient(queue_id).lane
    world.transact(
        lambda transaction: transaction.put((LINE, "mx.slow.test", lane, now_ms, "slow.test"), b"")
    )
    shown = recipient(world, queue_id)
    assert obstacles(shown) == ["blocked", "slowed", "busy"]
    texts = [each["text"] for each in shown["obstacles"]]
    assert "192.0.2.9" in texts[0]
    assert "7 messages a minute" in texts[1]
    assert "5 of 5 connections" in texts[2]
    assert shown["next"] == "the first attempt as soon as the site has room"


def test_a_line_before_the_site_is_known_is_seen_too(world: World) -> None:
    """Then the destination stands for its site."""
    queue_id = world.enqueue("c@slow.test")
    lane = world.recipient(queue_id).lane
    world.transact(
        lambda transaction: transaction.put((LINE, "@slow.test", lane, world.now_ms(), "slow.test"), b"")
    )
    assert obstacles(recipient(world, queue_id)) == ["busy"]


@pytest.mark.parametrize(("kind", "name"), [("all", ""), ("domain", "slow.test"), ("account", ALICE)])
def test_a_pause_is_named_with_its_reason(world: World, kind: pauses.Kind, name: str) -> None:
    """Nobody knows when it goes on: a person decides. Local mail is not concerned."""
    world.transact(lambda transaction: pauses.pause(transaction, kind, name, "while we move", world.now_ms()))
    queue_id = world.enqueue("c@slow.test", BOB)
    shown = recipient(world, queue_id)
    assert obstacles(shown) == ["pause"]
    assert shown["obstacles"][0]["text"].endswith("while we move")
    assert shown["expected_ms"] is None
    assert "resume" in shown["next"]
    assert recipient(world, queue_id, 1)["obstacles"] == []


def test_the_settings_pause_is_named(world: World) -> None:
    """delivery.paused, for remote mail only."""
    queue_id = world.enqueue("c@slow.test", BOB)
    assert obstacles(recipient(world, queue_id, paused=True)) == ["settings"]
    assert recipient(world, queue_id, 1, paused=True)["obstacles"] == []


def test_a_release_to_come_is_the_sender_s_wish(world: World) -> None:
    """RFC 4865: it waits because it was asked to, also for a mailbox here."""
    at_ms = world.now_ms() + HOUR * 1000
    queue_id = world.submit("c@slow.test", BOB, release_ms=at_ms)
    for number in (0, 1):
        shown = recipient(world, queue_id, number)
        assert obstacles(shown) == ["release"]
        assert shown["expected_ms"] == at_ms
        assert shown["next"] == "the first attempt"
        assert shown["given_up_ms"] == at_ms + 120 * HOUR * 1000


def test_a_time_to_deliver_by_is_shown(world: World) -> None:
    """RFC 2852: with mode R it is given up then."""
    by_ms = world.now_ms() + HOUR * 1000
    shown = world.show(world.submit("c@slow.test", deliver_by_ms=by_ms, deliver_by_mode="R"))
    assert (shown["deliver_by_ms"], shown["deliver_by_mode"]) == (by_ms, "R")
    assert shown["expires_ms"] == shown["recipients"][0]["given_up_ms"] == by_ms


def test_what_is_held_under_way_or_over_is_explained(world: World) -> None:
    """Each state has its words."""
    queue_id = world.submit("c@slow.test", "c@gone.test", "c@fast.test")
    world.transact(partial(actions.hold, queue_id=queue_id, now_ms=world.now_ms()))
    slow, gone, fast = (recipient(world, queue_id, number) for number in range(3))
    assert (slow["why"], slow["next"][:29]) == ("held by the administrator", "nothing until it is released ")
    assert gone["why"].startswith("refused for good: 550 5.1.1 no such user")
    assert fast["why"].startswith("delivered: 250 2.0.0 queued as 1")
    assert gone["given_up_ms"] is fast["expected_ms"] is None
    world.transport.answer = None
    assert recipient(world, world.submit("c@fast.test"))["why"] == "an attempt is under way"


def test_a_record_without_a_classification_is_explained_all_the_same(world: World) -> None:
    """Replies stored without category or explanation are shown as they are."""
    queue_id = world.submit("c@slow.test")

    def strip(transaction: Transaction) -> None:
        record = load_recipient(transaction, queue_id, 0)
        assert record is not None and record.last is not None
        last = {name: record.last[name] for name in ("code", "status", "text", "phase", "host")}
        save_recipient(transaction, queue_id, 0, replace(record, last=last))

    world.transact(strip)
    assert recipient(world, queue_id)["why"].endswith("451 4.7.1 greylisted, come back later")
