"""The real reactor, turned by a test for as long as it waits for something."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

reactor: Any = global_reactor

PATIENCE_S = 30.0


def turn_until(done: Callable[[], object]) -> None:
    """Let the reactor work until *done*."""
    if not reactor.running:
        reactor.startRunning(installSignalHandlers=False)
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, "the test waits in vain"
        reactor.iterate(0.05)


def wait_for(deferred: Deferred[Any]) -> Any:
    """Let the reactor work until *deferred* has fired; return its value or raise its error."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    turn_until(lambda: results)
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]
