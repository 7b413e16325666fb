"""Counting TLS sessions for reports (RFC 8460): what is stored, when, and within which bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from fedaemon.delivery.tls_policy import results as module
from fedaemon.delivery.tls_policy.results import (
    DayResult,
    FailedSessions,
    TlsResults,
    days,
    policy_type,
    results,
)
from fedaemon.errors import Unavailable
from fedaemon.store.interface import Transaction
from fedaemon.store.lmdb_engine import LmdbEngine
from tests.delivery.tls_policy.world import DAY_MS, DOMAIN, MX, START_MS, Time, fired
from tests.fakes import MemoryStore

T = TypeVar("T")

TODAY = START_MS // DAY_MS


class MoodyStore(MemoryStore):
    """Writes fail while *full*."""

    full = False
    writes = 0

    def write(self, function: Callable[[Transaction], T]) -> Deferred[T]:
        self.writes += 1
        return fail(Unavailable("disk full")) if self.full else super().write(function)


class World:
    """The counts, and the store they go to."""

    def __init__(self) -> None:
        self.store = MoodyStore()
        self.clock = Clock()
        self.time = Time()
        self.results = TlsResults(self.store, self.clock, self.time)
        self.results.start()

    def succeed(self, policy: str = "tlsa") -> None:
        self.results.record(DOMAIN, policy, MX, True, "")

    def fail(self, failure: str = "certificate-expired", host: str = MX) -> None:
        self.results.record(DOMAIN, "sts", host, False, failure)

    def of(self, day: int = TODAY) -> list[DayResult]:
        found = fired(self.store.read(lambda snapshot: results(snapshot, day)))
        assert isinstance(found, list)
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_counts_are_stored_each_minute_and_added_up(world: World) -> None:
    """By policy domain and type; failures by result type and host."""
    for _ in range(3):
        world.succeed()
    world.fail()
    assert world.of() == []
    world.clock.advance(60)
    world.succeed()
    world.fail()
    world.fail(host="mx2.example.org")
    world.fail("starttls-not-supported")
    world.clock.advance(60)
    assert world.of() == [
        DayResult(
            DOMAIN,
            "sts",
            0,
            (
                FailedSessions("certificate-expired", MX, 2),
                FailedSessions("certificate-expired", "mx2.example.org", 1),
                FailedSessions("starttls-not-supported", MX, 1),
            ),
        ),
        DayResult(DOMAIN, "tlsa", 4, ()),
    ]


def test_a_day_ends_at_midnight_utc(world: World) -> None:
    """A session counts for the day in which it ended, whenever that is stored."""
    world.time.ms += DAY_MS - 1
    world.succeed()
    world.time.ms += 1
    world.succeed()
    world.clock.advance(60)
    assert [result.succeeded for day in (TODAY, TODAY + 1) for result in world.of(day)] == [1, 1]
    assert fired(world.store.read(days)) == [TODAY, TODAY + 1]


def test_what_is_left_is_stored_at_the_stop(world: World) -> None:
    """And nothing is written after it."""
    world.succeed()
    fired(world.results.stop())
    assert world.of()[0].succeeded == 1
    writes = world.store.writes
    world.succeed()
    world.clock.advance(600)
    assert world.store.writes == writes


def test_a_full_disk_delays_the_counts(world: World) -> None:
    """They are kept, together with what comes meanwhile."""
    world.store.full = True
    world.succeed()
    world.clock.advance(60)
    world.succeed()
    world.clock.advance(60)
    world.store.full = False
    world.clock.advance(60)
    assert world.of()[0].succeeded == 2


def test_nothing_to_store_is_no_transaction(world: World) -> None:
    """But for looking once a day for what is too old."""
    world.clock.advance(600)
    assert world.store.writes == 1
    world.time.ms += DAY_MS
    world.clock.advance(600)
    assert world.store.writes == 2


def test_results_are_kept_for_thirty_days(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older ones go with the first store of a new day, a slice at a time."""
    monkeypatch.setattr(module, "PRUNED_AT_ONCE", 2)
    for policy in ("a", "b", "c"):
        world.succeed(policy)
    world.clock.advance(60)
    world.time.ms += 30 * DAY_MS
    world.succeed()
    world.clock.advance(60)
    assert len(world.of()) == 3
    world.time.ms += DAY_MS
    world.clock.advance(60)
    assert len(world.of()) == 1
    world.clock.advance(60)
    assert fired(world.store.read(days)) == [TODAY + 30]


def test_memory_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound failures lose their host, and what is new even so is not counted; the rest goes on."""
    monkeypatch.setattr(module, "MAX_PENDING", 3)
    world.fail(host="")
    world.fail(host="a")
    world.fail(host="b")
    world.fail(host="c")
    world.fail(host="a")
    world.fail("validation-failure")
    world.clock.advance(60)
    (found,) = world.of()
    assert [(each.host, each.count) for each in found.failed] == [("", 2), ("a", 2), ("b", 1)]


def test_a_record_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain with a new host name for each session cannot make one record grow for a day."""
    monkeypatch.setattr(module, "MAX_HOSTS", 2)
    for number in range(5):
        world.fail(host=f"mx{number}")
        world.clock.advance(60)
    (found,) = world.of()
    assert [(each.host, each.count) for each in found.failed] == [("", 3), ("mx0", 1), ("mx1", 1)]


def test_a_failure_without_a_name_is_a_failure(world: World) -> None:
    """RFC 8460 4.3.3: validation-failure is for what nothing else fits."""
    world.results.record(DOMAIN, "tlsa", MX, False, "")
    world.clock.advance(60)
    assert world.of() == [DayResult(DOMAIN, "tlsa", 0, (FailedSessions("validation-failure", MX, 1),))]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("dane", "tlsa"),
        ("mta-sts enforce", "sts"),
        ("mta-sts testing", "sts"),
        ("opportunistic", "no-policy-found"),
        ("route", None),
        ("domain", None),
        ("requiretls", None),
        ("tls-required: no", None),
    ],
)
def test_policy_types(policy: str, expected: str | None) -> None:
    """RFC 8460 4.2 knows three; demands of our own are nobody's to hear of."""
    assert policy_type(policy) == expected


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LmdbEngine]:
    engine = LmdbEngine.open(tmp_path)
    yield engine
    engine.close()


def test_the_real_store_takes_them(engine: LmdbEngine) -> None:
    """Keys and records as LMDB wants them, days found in order."""

    time = Time()
    counted = TlsResults(MemoryStore(cast("Any", engine)), Clock(), time)
    for _ in range(3):
        counted.record(DOMAIN, "tlsa", MX, True, "")
        time.ms += DAY_MS
    fired(counted.stop())
    assert engine.view(days) == [TODAY, TODAY + 1, TODAY + 2]
    assert engine.view(lambda snapshot: results(snapshot, TODAY + 1)) == [DayResult(DOMAIN, "tlsa", 1, ())]
