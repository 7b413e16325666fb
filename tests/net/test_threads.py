"""Worker threads: what they return arrives in the reactor's thread, in any number, until they are stopped."""

from __future__ import annotations

import threading

import pytest

from fedaemon.errors import Unavailable
from fedaemon.net.threads import WorkerThreads
from tests.net.conftest import ThreadClock


def test_results_and_errors_arrive_and_work_is_done_elsewhere(reactor: ThreadClock) -> None:
    """The caller's thread is not the worker's; arguments, values and exceptions pass through."""
    workers = WorkerThreads(reactor, 2, "test")
    assert reactor.wait_for(workers.run(divmod, 7, 2)) == (3, 1)
    assert reactor.wait_for(workers.run(threading.current_thread)) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        reactor.wait_for(workers.run(divmod, 1, 0))
    workers.stop()


def test_no_more_threads_than_allowed_and_none_before_work(reactor: ThreadClock) -> None:
    """A thousand jobs share the few threads there may be."""
    workers = WorkerThreads(reactor, 3, "pool-of-three")
    assert not [each for each in threading.enumerate() if each.name.startswith("pool-of-three")]
    jobs = [workers.run(lambda: threading.current_thread().name) for _ in range(1000)]
    names = {reactor.wait_for(job) for job in jobs}
    workers.stop()
    assert names <= {"pool-of-three-1", "pool-of-three-2", "pool-of-three-3"}


def test_work_runs_side_by_side(reactor: ThreadClock) -> None:
    """Two jobs that wait for each other both end, so they run at the same time."""
    workers = WorkerThreads(reactor, 2, "test")
    meeting = threading.Barrier(2, timeout=20)
    jobs = [workers.run(meeting.wait) for _ in range(2)]
    assert sorted(reactor.wait_for(job) for job in jobs) == [0, 1]
    workers.stop()


def test_stop_fails_what_waits_and_ends_the_threads(reactor: ThreadClock) -> None:
    """Callers hear at once; a job under way ends in its own time and its result is dropped."""
    workers = WorkerThreads(reactor, 1, "ending")
    started, release = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        release.wait(20)

    running, waiting = workers.run(work), workers.run(work)
    assert started.wait(20)
    workers.stop()
    for job in (running, waiting, workers.run(work)):
        with pytest.raises(Unavailable, match="stopped"):
            reactor.wait_for(job)
    release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("ending"):
            thread.join(20)
            assert not thread.is_alive()
    function, arguments = reactor.from_threads.get(timeout=20)
    function(*arguments)
