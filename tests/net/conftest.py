"""What the tests of net share: certificates made once, and a reactor that does nothing on its own."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from fedaemon.net.selfsigned import LocalCa, make_local_ca


class ThreadClock(Clock):
    """A Clock that also takes calls from threads; ``wait_for`` runs them in the test's thread."""

    def __init__(self) -> None:
        super().__init__()
        self.from_threads: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = queue.SimpleQueue()

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **_: Any) -> None:  # noqa: A002
        self.from_threads.put((callable, args))

    def wait_for(self, deferred: Deferred[Any]) -> Any:
        """Run calls until *deferred* has fired; return its value or raise its error."""
        results: list[Any] = []
        deferred.addBoth(results.append)
        while not results:
            function, args = self.from_threads.get(timeout=20)
            function(*args)
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]


@pytest.fixture
def reactor() -> ThreadClock:
    return ThreadClock()


@pytest.fixture(scope="session")
def local_ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCa:
    names = ["localhost", "mail.example.test", "127.0.0.1", "::1"]
    return make_local_ca(tmp_path_factory.mktemp("ca"), names)


@pytest.fixture(scope="session")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCa:
    return make_local_ca(tmp_path_factory.mktemp("other"), ["other.test", "*.wild.test"])
