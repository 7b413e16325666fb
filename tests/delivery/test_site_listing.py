"""The sites as people see them, and the numbers of the whole queue."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fedaemon.delivery import pauses
from fedaemon.delivery.census import take_census
from fedaemon.delivery.site_listing import count_waiting, known_sites, nudge, site_rows
from fedaemon.store.records import decode
from fedaemon.store.spaces import SITE
from tests.delivery.site_records import put_site
from tests.delivery.support import ACCEPTED, ALICE, BOB, GREYLISTED, HOUR, UNKNOWN, World


@pytest.fixture
def world() -> World:
    world = World()
    world.manager.start()
    world.transport.answer = lambda address: {"slow": GREYLISTED, "gone": UNKNOWN}.get(
        address.rpartition("@")[2].removesuffix(".test"), ACCEPTED
    )
    return world


def test_sites_are_listed_with_what_waits_there(world: World) -> None:
    """Most waiting first; destinations without a site stand for themselves; local mail is no site."""
    put_site(world, "mx.slow.test", destinations=["slow.test", "slow2.test"], delivered=4, failed=1)
    for address in ("a@slow.test", "b@slow2.test", "c@slow2.test", "d@fast.test"):
        world.enqueue(address)
    world.enqueue(BOB)
    counts = count_waiting(world.view)
    assert counts == {"slow.test": 1, "slow2.test": 2, "fast.test": 1}
    assert count_waiting(world.view, "slow2.test") == {"slow2.test": 2}
    rows = site_rows(world.view(known_sites), world.view(pauses.read), counts, world.now_ms())
    assert [(row["site"], row["waiting"], row["state"]) for row in rows] == [
        ("mx.slow.test", 3, "open"),
        (None, 1, "not tried lately"),
    ]
    assert rows[0]["destinations"] == {"slow2.test": 2, "slow.test": 1}
    assert (rows[0]["delivered"], rows[0]["failed"], rows[0]["limit"]) == (4, 1, 5)


@pytest.mark.parametrize(
    ("record", "state"),
    [
        ({"down_until_ms": 1, "failures": 2}, "down"),
        ({"down_until_ms": -1, "failures": 2}, "probed"),
        ({"closed": {"": 1}}, "blocked"),
        ({"slowed_until_ms": 1}, "slowed"),
        ({"limit": 1, "active": 1}, "busy"),
        ({}, "open"),
    ],
)
def test_the_state_of_a_site_is_what_keeps_mail_from_it(
    world: World, record: dict[str, Any], state: str
) -> None:
    """Times in the record count from now; a pause comes before all."""
    now_ms = world.now_ms()
    for name in ("down_until_ms", "slowed_until_ms"):
        if name in record:
            record = {**record, name: now_ms + record[name] * 1000}
    if "closed" in record:
        record = {**record, "closed": {"": now_ms + 1000}}
    put_site(world, "mx.slow.test", **record)
    for _ in range(3):
        world.enqueue("c@slow.test")
    counts = count_waiting(world.view)
    (row,) = site_rows(world.view(known_sites), pauses.NO_PAUSES, counts, now_ms)
    assert row["state"] == state
    world.transact(lambda transaction: pauses.pause(transaction, "site", "mx.slow.test", "", now_ms))
    (row,) = site_rows(world.view(known_sites), world.view(pauses.read), counts, now_ms)
    assert row["state"] == "paused"


def test_a_destination_that_moved_belongs_to_the_newer_site(world: World) -> None:
    """Its mail is counted once, where it goes now."""
    put_site(world, "mx.old.test", at_ms=1)
    put_site(world, "mx.new.test", at_ms=2)
    world.enqueue("c@slow.test")
    rows = site_rows(world.view(known_sites), pauses.NO_PAUSES, count_waiting(world.view), world.now_ms())
    assert {row["site"]: row["waiting"] for row in rows} == {"mx.new.test": 1, "mx.old.test": 0}


def test_a_census_counts_everything_once(world: World) -> None:
    """States, places, categories and ages of what waits, and what happened lately."""
    old = world.submit("c@slow.test", "c@gone.test", account=BOB)
    world.pass_time(2 * HOUR)
    world.submit("c@fast.test", BOB)
    world.enqueue("d@slow.test")
    counted = take_census(world.view, world.now_ms()).summary()
    assert counted["recipients"] == {"deferred": 1, "bounced": 1, "delivered": 3, "queued": 1}
    assert counted["waiting"] == 2
    assert counted["destinations"] == [{"destination": "slow.test", "waiting": 2}]
    assert sorted(row["account"] for row in counted["accounts"]) == [ALICE, BOB]
    assert counted["categories"]["not tried yet"] == 1
    assert sum(counted["categories"].values()) == 2
    assert counted["oldest"]["id"] == old
    assert [group["waiting"] for group in counted["ages"]] == [1, 0, 1, 0, 0, 0, 0]
    assert counted["last_hour"] == {"accepted": 2, "delivered": 2}
    assert counted["last_day"] == {"accepted": 4, "delivered": 3, "bounced": 1}


def test_a_nudge_reaches_only_a_site_that_is_known(world: World) -> None:
    """Nothing is written of a site of which nothing is kept."""
    put_site(world, "mx.slow.test", down_until_ms=world.now_ms() + 1000, closed={"": 1}, failures=2)
    assert world.transact(partial(nudge, site="mx.slow.test", now_ms=5)) is True
    assert world.transact(partial(nudge, site="mx.other.test", now_ms=5)) is False
    record = decode(world.engine.entries[SITE, "mx.slow.test"])
    assert (record["down_until_ms"], record["closed"], record["nudged_ms"]) == (0, {}, 5)
    assert record["failures"] == 2
    assert (SITE, "mx.other.test") not in world.engine.entries
