"""A few threads for work that blocks, started when first needed, and never waited for at the end.

The reactor's own pool is shared by everything, and joining its threads holds up the exit of the process for
as long as a silent DNS server takes to time out. These threads are daemons: at stop their callers are told so
at once.

Invariants: Deferreds fire in the reactor's thread; nothing fires after ``stop`` except the failure it gives.
Limits: *limit* threads; work beyond that waits in order, without bound: callers bound what they ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred

from fedaemon.errors import Unavailable

T = TypeVar("T")


class ReactorThreads(Protocol):
    """What is needed of the reactor."""

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:  # noqa: A002, N802
        """Run *callable* in the reactor's thread."""


class WorkerThreads:
    """Runs blocking functions; all methods are for the reactor's thread."""

    def __init__(self, reactor: ReactorThreads, limit: int, name: str) -> None:
        self._reactor = reactor
        self._limit = limit
        self._name = name
        self._jobs: SimpleQueue[tuple[Deferred[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._waiting: set[Deferred[Any]] = set()
        self._threads = 0
        self._stopped = False

    def run(self, function: Callable[..., T], *arguments: object) -> Deferred[T]:
        """Run *function* in a thread; fire with what it returns or raises, ``Unavailable`` once stopped."""
        deferred: Deferred[T] = Deferred()
        if self._stopped:
            deferred.errback(self._stopped_error())
            return deferred
        self._waiting.add(deferred)
        if len(self._waiting) > self._threads and self._threads < self._limit:
            self._threads += 1
            Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._jobs.put((deferred, partial(function, *arguments)))
        return deferred

    def stop(self) -> None:
        """Fail what waits, and let every thread end after what it is doing."""
        self._stopped = True
        for _ in range(self._threads):
            self._jobs.put(None)
        waiting, self._waiting = self._waiting, set()
        for deferred in waiting:
            deferred.errback(self._stopped_error())

    def _stopped_error(self) -> Unavailable:
        return Unavailable(f"{self._name} has been stopped")

    def _work(self) -> None:
        """The life of one thread."""
        while (job := self._jobs.get()) is not None:
            if self._stopped:
                continue
            deferred, function = job
            try:
                result: Any = function()
            except BaseException as error:
                result = error
            self._reactor.callFromThread(self._finish, deferred, result)

    def _finish(self, deferred: Deferred[Any], result: object) -> None:
        if deferred in self._waiting:
            self._waiting.discard(deferred)
            if isinstance(result, BaseException):
                deferred.errback(result)
            else:
                deferred.callback(result)
