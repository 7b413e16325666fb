"""A daemon, and one MX host for two domains that keeps an account of what it took."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.sink import Sink
from tests.e2e.peers import World


@pytest.fixture
def chance() -> random.Random:
    """Chance, seeded by the clock on purpose: each run kills at other moments. The seed is shown on failure."""
    seed = time.time_ns()
    print("seed", seed)
    return random.Random(seed)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A daemon that drops contents as soon as it may, so that files are removed under load, too."""
    made = World(tmp_path, extra='retention = "0"')
    # The same MX set is one site, however many domains it serves.
    for domain in ("remote.test", "twin.test"):
        made.dns.records[domain, "MX"] = ["10 mx1.remote.test."]
    yield made
    made.close()


@pytest.fixture
def sink(world: World, chance: random.Random) -> Iterator[Sink]:
    """The MX host of remote.test and twin.test, in the place of the world's first."""
    made = Sink(world.mx1.address, world.mx1.port, chance)
    yield made
    made.close()
