"""A reactor for tests: real threads may call into it, time stands still until told."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.python.failure import Failure

T = TypeVar("T")

PATIENCE_S = 20.0
"""A test that waits longer for a thread has failed."""


class Loop(Clock):
    """What the store uses of a reactor."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()

    def callFromThread(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._calls.put((function, arguments))

    def run_in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return execute(function, *arguments)

    def turn(self) -> None:
        """Run what is due now, then the next call that a thread made, waiting for it."""
        self.advance(0)
        function, arguments = self._calls.get(timeout=PATIENCE_S)
        function(*arguments)

    def wait(self, deferred: Deferred[T]) -> T:
        """Run what threads call until *deferred* has fired; return its result or raise its failure."""
        results: list[Any] = []
        deferred.addBoth(results.append)
        while not results:
            self.turn()
        if isinstance(results[0], Failure):
            results[0].raiseException()
        value: T = results[0]
        return value
