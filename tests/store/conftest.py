"""Stores to test with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.store.async_store import AsyncStore
from fedaemon.store.faults import Faults
from fedaemon.store.lmdb_engine import LmdbEngine
from tests.store.loop import Loop


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def engine(tmp_path: Path, faults: Faults) -> Iterator[LmdbEngine]:
    opened = LmdbEngine.open(tmp_path / "data", reserve_octets=0, faults=faults)
    yield opened
    opened.close()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def store(engine: LmdbEngine, loop: Loop) -> Iterator[AsyncStore]:
    started = AsyncStore(engine, loop, loop.run_in_thread)
    started.start()
    yield started
    loop.wait(started.stop())
