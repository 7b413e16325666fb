"""What is measured in the background: the reactor's lag, rates, the queue's depth; and what health makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.defer import fail
from twisted.internet.task import Clock

from fedaemon import counters
from fedaemon.counters import Counters
from fedaemon.errors import Unavailable
from fedaemon.store.errors import StoreError, StoreFull
from fedaemon.store.statistics import Statistics
from fedaemon.web import queue_depth
from fedaemon.web.health import FAILED_S, LAG_S, STUCK_S, Health
from fedaemon.web.lag import INTERVAL_S, WINDOW_S, LagMeter
from fedaemon.web.queue_depth import PAUSE_S, REST_S, QueueDepth
from fedaemon.web.rates import Rates
from tests.delivery.support import GREYLISTED, HOUR, World

# -- lag


def late(clock: Clock, seconds: float) -> None:
    """Let a turn of the reactor take *seconds* longer than the meter expects."""
    clock.rightNow += seconds
    clock.advance(INTERVAL_S)


def test_lag_is_how_late_a_call_comes() -> None:
    """The latest is remembered, and the largest for five minutes."""
    clock = Clock()
    meter = LagMeter(clock)
    before = counters.value("reactor_lag_seconds")
    meter.start()
    clock.advance(INTERVAL_S)
    assert (meter.latest_s, meter.largest_s()) == (0, 0)
    late(clock, 0.5)
    late(clock, 0.125)
    assert (meter.latest_s, meter.largest_s()) == (0.125, 0.5)
    assert counters.value("reactor_lag_seconds") == before + 3
    clock.pump([INTERVAL_S] * int(20 / INTERVAL_S))
    assert (meter.largest_s(10), meter.largest_s()) == (0, 0.5)
    clock.pump([INTERVAL_S] * int((WINDOW_S + 10) / INTERVAL_S))
    assert meter.largest_s() == 0
    meter.stop()
    assert clock.getDelayedCalls() == []


# -- rates


def test_rates_are_differences_over_periods() -> None:
    """What happened before a period began is not in it; a young process says how much it knows."""
    clock, numbers = Clock(), Counters()
    numbers.count("messages_accepted_total", 100, service="mx")
    rates = Rates(clock, numbers)
    rates.start()
    clock.pump([15.0] * 2)
    numbers.count("messages_accepted_total", 3, service="submission")
    numbers.count("delivery_outcomes_total", 2, result="delivered")
    numbers.count("delivery_outcomes_total", result="deferred", category="greylist")
    found = rates.summary()
    assert found["minute"] == {
        "seconds": 30, "accepted": 3, "delivered": 2, "deferred": 1, "bounced": 0, "expired": 0,
    }  # fmt: skip
    clock.pump([15.0] * 8)
    assert (rates.summary()["minute"]["accepted"], rates.summary()["hour"]["accepted"]) == (0, 3)
    assert rates.summary()["minute"]["seconds"] == 60
    clock.pump([60.0] * 70)
    assert (rates.summary()["hour"]["accepted"], rates.summary()["day"]["accepted"]) == (0, 3)
    clock.pump([900.0] * 100)
    assert rates.summary()["day"]["accepted"] == 0
    rates.stop()
    assert clock.getDelayedCalls() == []


# -- the queue's depth


@pytest.fixture
def world() -> World:
    world = World()
    world.manager.start()
    world.settle()
    return world


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(queue_depth, "SLICE", 2)
    yield


def test_the_depth_is_counted_by_state(world: World) -> None:
    """Recipients that wait, tried or not, and since when; what is finished is in no count."""
    world.submit("done@remote.test")
    world.transport.answer = lambda address: GREYLISTED
    first_ms = world.now_ms()
    world.submit("carol@remote.test", "dave@remote.test")
    world.pass_time(HOUR / 60)
    world.enqueue("eve@remote.test")
    depth = QueueDepth(world.store, world.clock, world.now_ms)
    depth.start()
    world.clock.advance(0)
    assert depth.latest is not None
    assert depth.latest.recipients == {"queued": 1, "deferred": 2}
    assert depth.latest.oldest_ms == {"deferred": first_ms, "queued": world.now_ms()}
    assert depth.latest.at_ms == world.now_ms()
    depth.stop()


@pytest.mark.usefixtures("small_slices")
def test_a_long_queue_is_counted_in_slices(world: World) -> None:
    """No view looks at more than a slice; what is shown is a whole count; then the counter rests."""
    for number in range(7):
        world.enqueue(f"r{number}@remote{number % 3}.test")
    clock = Clock()
    depth = QueueDepth(world.store, clock, world.now_ms)
    depth.start()
    clock.pump([0, PAUSE_S, PAUSE_S])
    assert depth.latest is None
    clock.advance(PAUSE_S)
    assert cast(Any, depth.latest).recipients == {"queued": 7, "deferred": 0}
    world.enqueue("r@remote.test")
    clock.advance(REST_S - 1)
    assert cast(Any, depth.latest).recipients["queued"] == 7
    clock.pump([1, *[PAUSE_S] * 5])
    assert cast(Any, depth.latest).recipients["queued"] == 8


def test_a_store_that_refuses_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last count stays, and its age shows."""
    depth = QueueDepth(world.store, world.clock, world.now_ms)
    depth.start()
    world.clock.advance(0)
    counted = depth.latest
    monkeypatch.setattr(world.store, "read", lambda function: fail(Unavailable("no")))
    world.enqueue("r@remote.test")
    world.clock.advance(REST_S)
    assert depth.latest is counted
    monkeypatch.undo()
    world.clock.advance(REST_S)
    assert cast(Any, depth.latest).recipients["queued"] == 1


# -- health


class Store:
    """What health asks of the store."""

    def __init__(self) -> None:
        self.statistics = Statistics()
        self.busy_s = 0.0
        self.error: Exception | None = None

    def check_space(self) -> None:
        if self.error is not None:
            raise self.error


def reasons(
    store: Store, *, lag_s: float = 0.0, closed: tuple[str, ...] = (), now_s: float = 0.0
) -> list[str]:
    lag = SimpleNamespace(largest_s=lambda window_s: lag_s)
    return Health(cast(Any, store), cast(Any, lag), lambda: list(closed), lambda: now_s).reasons()


def test_all_is_well() -> None:
    """A server at rest has no reasons."""
    assert reasons(Store()) == []


def test_each_fault_is_a_reason() -> None:
    """The store, the disk, the reactor, a listener: each in words."""
    store = Store()
    store.statistics.failure, store.statistics.failed_s = StoreError("input/output error"), 100.0
    store.busy_s = STUCK_S + 1
    store.error = StoreFull("only 1 MiB is free")
    found = reasons(store, lag_s=LAG_S + 1, closed=("imap :: port 993",), now_s=110.0)
    assert len(found) == 5
    for part in ("input/output error", "31 s", "only 1 MiB", "3.0 s late", "imap :: port 993"):
        assert any(part in reason for reason in found)


def test_a_failure_of_long_ago_counts_no_more() -> None:
    """A balancer must send mail again before anything can be committed."""
    store = Store()
    store.statistics.failure, store.statistics.failed_s = StoreError("input/output error"), 100.0
    assert reasons(store, now_s=100.0 + FAILED_S + 1) == []
