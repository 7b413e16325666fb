"""Lets a bounded number of password hashes wait for a bounded number of threads.

A hash takes 70 ms of a processor and 16 MiB: whoever may start as many as they like has the machine. Here
they wait in order; one network fills only a part of the queue, and equal questions asked at the same time
(an application that opens fifty connections) are answered by one hash.

Invariants: at most ``threads`` hashes run; a job's check runs right before its hash, so that what was
refused while it waited costs no hash.
Limits: 200 jobs wait, 20 of one network; further ones fail with 454 4.7.0 at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from fedaemon.errors import Unavailable

MAX_WAITING = 200
MAX_WAITING_OF_ONE = 20

RunInThread = Callable[[Callable[[], str | None]], "Deferred[str | None]"]


class _Job:
    """One hash and those who wait for it."""

    __slots__ = ("askers", "check", "compute", "name", "network")

    def __init__(
        self, name: bytes, network: str, check: Callable[[], None], compute: Callable[[], str | None]
    ) -> None:
        self.name = name
        self.network = network
        self.check = check
        self.compute = compute
        self.askers: list[Deferred[str | None]] = []


class HashQueue:
    """The queue.

    :param run_in_thread: runs a function in a thread pool and fires with its result.
    :param threads: how many hashes may run at the same time.
    """

    def __init__(self, run_in_thread: RunInThread, threads: int) -> None:
        self._run_in_thread = run_in_thread
        self._free = threads
        self._jobs: dict[bytes, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._waiting_of: dict[str, int] = {}

    def submit(
        self, name: bytes, network: str, check: Callable[[], None], compute: Callable[[], str | None]
    ) -> Deferred[str | None]:
        """Fire with what *compute* returns in a thread.

        :param name: equal names are equal questions: one that waits or runs is joined.
        :param network: whose part of the queue the job takes.
        :param check: raises when the question is not to be answered any more.
        :raises Unavailable: through the Deferred, when too many wait; also whatever *check* raises.
        """
        job = self._jobs.get(name)
        if job is None:
            if len(self._waiting) >= MAX_WAITING or self._waiting_of.get(network, 0) >= MAX_WAITING_OF_ONE:
                return fail(
                    Unavailable(
                        "Too many logins are being checked at the moment; try again in a minute",
                        code=454,
                        status="4.7.0",
                    )
                )
            job = self._jobs[name] = _Job(name, network, check, compute)
            self._waiting.append(job)
            self._waiting_of[network] = self._waiting_of.get(network, 0) + 1
        asker: Deferred[str | None] = Deferred()
        job.askers.append(asker)
        self._start()
        return asker

    def _start(self) -> None:
        """Start waiting jobs while threads are free."""
        while self._free and self._waiting:
            job = self._waiting.popleft()
            self._leave(job.network)
            if all(asker.called for asker in job.askers):
                # All who asked have gone (their Deferreds are cancelled): nobody wants the hash.
                del self._jobs[job.name]
                continue
            try:
                job.check()
            except Exception as error:
                self._answer(job, error)
                continue
            self._free -= 1
            self._run_in_thread(job.compute).addBoth(self._done, job)

    def _leave(self, network: str) -> None:
        left = self._waiting_of[network] - 1
        if left:
            self._waiting_of[network] = left
        else:
            del self._waiting_of[network]

    def _done(self, result: str | Failure | None, job: _Job) -> None:
        self._free += 1
        self._answer(job, result)
        self._start()

    def _answer(self, job: _Job, result: str | Exception | Failure | None) -> None:
        del self._jobs[job.name]
        for asker in job.askers:
            # One whose connection went has been cancelled: the others still want to know.
            if asker.called:
                continue
            if isinstance(result, (Failure, Exception)):
                asker.errback(result)
            else:
                asker.callback(result)
