from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from tests.mailbox.upkeep_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A store whose mailboxes are kept in shape."""
    made = World(tmp_path)
    yield made
    made.upkeep.stop()
    made.engine.close()


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """What is logged meanwhile."""
    events: list[LogEvent] = []
    observer = cast(ILogObserver, events.append)
    globalLogPublisher.addObserver(observer)
    yield events
    globalLogPublisher.removeObserver(observer)
