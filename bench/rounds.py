"""One row of a comparison: warm-up, then rounds in changing order, each server in turn.

Why: servers are measured in the same run, in alternating rounds on the same disk, because a figure from
another day or machine says nothing. The warm-up also shows how much memory they take under load.
Invariants: what one server left to write back is on the disk before the next one's round begins.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.figures import Outcome, Result, Row, Sample
from bench.machine import progress
from bench.measured import MeasuredServer
from bench.server import Memory

SETTLE_S = 0.3
"""Servers finish a connection after the client has gone; that work belongs to the round."""
SAMPLE_S = 0.2
WARM_UP_SHARE = 0.25

Load = Callable[[MeasuredServer, Row, int], tuple[float, float]]
"""Sends so many messages to a server; returns elapsed seconds and the load's own CPU seconds."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """How a row is measured.

    :param load: what is measured.
    :param number: of rounds.
    :param settle_s: how long a server is given to end the work of a round.
    """

    load: Load
    number: int
    settle_s: float = SETTLE_S

    def measure(
        self, servers: Sequence[MeasuredServer], row: Row, count: int, outcome: Outcome
    ) -> dict[str, Result]:
        """Measure *row* with *count* messages a round on *servers*, which have just been started.

        Versions and notes go into *outcome*; the figures are returned, by server's name.
        """
        results = {server.name: Result() for server in servers}
        for server in servers:
            outcome.versions[server.name] = f"{server.version}; CPU time from {server.processes.cpu_source}"
            outcome.notes[server.name] = server.fate.note
            time.sleep(self.settle_s)
            results[server.name].idle = server.processes.memory()
            with _peak_memory(server, results[server.name]):
                self.load(server, row, warm_up_count(row, count))
        for number in range(self.number):
            for server in servers if number % 2 == 0 else reversed(servers):
                sample = self._round(server, row, count)
                results[server.name].samples.append(sample)
                progress(f"  {server.name}: {sample.rate:.0f}/s, {sample.cpu_ms:.2f} ms CPU")
        return results

    def _round(self, server: MeasuredServer, row: Row, count: int) -> Sample:
        time.sleep(self.settle_s)
        os.sync()  # what the other server left to write back is not this one's business
        before_s = server.processes.cpu_s()
        elapsed_s, load_cpu_s = self.load(server, row, count)
        time.sleep(self.settle_s)
        cpu_s = server.processes.cpu_s() - before_s
        return Sample(count / elapsed_s, cpu_s / count * 1000, load_cpu_s / count * 1000)


def warm_up_count(row: Row, count: int) -> int:
    """Return how many messages warm a server up for rounds of *count*."""
    return max(row.sessions, int(count * WARM_UP_SHARE))


@contextlib.contextmanager
def _peak_memory(server: MeasuredServer, result: Result) -> Iterator[None]:
    """Sample a server's memory meanwhile and keep the highest."""
    done = threading.Event()
    seen: list[Memory] = []

    def sample() -> None:
        while not done.wait(SAMPLE_S):
            seen.append(server.processes.memory())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        seen.append(server.processes.memory())
        result.peak = max(seen, key=lambda memory: memory.pss_octets)
