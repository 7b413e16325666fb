"""Rounds of a comparison, on servers that are only pretended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from bench.figures import Outcome, Row
from bench.measured import Fate, MeasuredServer
from bench.rounds import Rounds
from bench.server import Memory, Processes

ROW = Row(False, 10, 5000, True, 1.0)


@dataclass
class _Processes:
    """Uses half a second of CPU between two questions."""

    cpu_source: str = "cgroup"
    used_s: float = 0.0

    def cpu_s(self) -> float:
        self.used_s += 0.5
        return self.used_s

    def memory(self) -> Memory:
        return Memory(1, 20, 10, 5)


@dataclass
class _Server:
    name: str
    fate: Fate = Fate("", "keeps everything")  # noqa: RUF009 - frozen
    version: str = "1"
    processes: Processes = field(default_factory=lambda: cast(Processes, _Processes()))
    directory: Path = Path()


def test_rounds_change_their_order_and_the_warm_up_does_not_count() -> None:
    """Whoever is always second finds the disk as the first one left it."""
    sent: list[tuple[str, int]] = []

    def load(server: MeasuredServer, row: Row, count: int) -> tuple[float, float]:
        sent.append((server.name, count))
        return 2.0, 0.1

    outcome = Outcome({})
    servers = cast(list[MeasuredServer], [_Server("one"), _Server("other")])
    results = Rounds(load, number=2, settle_s=0).measure(servers, ROW, 100, outcome)
    assert sent == [
        *(("one", 25), ("other", 25)),
        *(("one", 100), ("other", 100)),
        *(("other", 100), ("one", 100)),
    ]
    assert [len(each.samples) for each in results.values()] == [2, 2]
    median = results["one"].median()
    assert (median.rate, median.cpu_ms, median.load_cpu_ms) == pytest.approx((50, 5, 1))
    assert outcome.notes == {"one": "keeps everything", "other": "keeps everything"}


def test_a_warm_up_gives_every_session_a_message() -> None:
    """With few messages a quarter of them would leave connections that were never opened."""
    sent: list[int] = []

    def load(server: MeasuredServer, row: Row, count: int) -> tuple[float, float]:
        sent.append(count)
        return 1.0, 0.0

    servers = cast(list[MeasuredServer], [_Server("one")])
    Rounds(load, number=1, settle_s=0).measure(servers, ROW, 12, Outcome({}))
    assert sent == [10, 12]
