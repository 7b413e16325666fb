"""What the tests of the log share."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from fedaemon.logs import Logger


class Written(list[LogEvent]):
    """Events, and a logger that adds to them."""

    def __init__(self) -> None:
        super().__init__()
        observer: Any = self.append
        self.log = Logger(namespace="test", observer=observer)

    def fail(self, error: Exception) -> LogEvent:
        """Log *error* as a defect of a session; return the event."""
        self.log.failure("it failed", Failure(error), event="defect", session=3)
        return self[-1]


@pytest.fixture
def events() -> Written:
    """What was logged with ``events.log``."""
    return Written()
