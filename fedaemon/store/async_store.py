"""The store for the daemon: every waiting write shares one commit, and the reactor never waits for the disk.

A thread of its own begins and commits the transactions, which is what blocks: on the locks of other processes
and on the disk. The functions in between run in the reactor thread, because lmdb gives up Python's global
lock on every get and put, and a writer thread has to win it back from a busy reactor each time. At worst (a
synthetic thread that never rests) a batch of 50 puts took 150 ms instead of 0.6 ms; under simulated sessions
the difference was small: prototypes of both ways made about 0.15 and 0.22 commits a message with ten
sessions, used about the same CPU, and lending cost some 0.05 ms more a message with a single session, for its
extra switch of threads. LMDB's manual ties a transaction to one thread; its code ties only begin and end of a
write transaction (a mutex).

    reactor                               writer
    write(f) ... queue, wake       ->     begin
    run the functions that wait   <-      lend the transaction
    hand it back                   ->     commit (or abort, begin and lend again)
    fire the Deferreds            <-      tell
    (others queue and wake meanwhile)

A write that finds the writer idle wakes it at the end of the same turn of the reactor. Where the last group had
company the wake comes a millisecond later, so that more share the commit: at ten sessions that takes a third off
the commits, and a quarter off the processor time. Whoever writes alone never waits. While one commit runs, others
gather for the next.

Invariants: a Deferred fires with success only after the commit; the order of writes is kept; the transaction
is used by one thread at a time (the queues hand it over); one failing function or Deferred never keeps the
rest from theirs.
Limits: GROUP_LARGEST functions and GROUP_SECONDS of running them in one turn; the rest waits for the next
commit.
Spec: DESIGN promises 1 (250 means durable) and 3 (the reactor never waits).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Set
from queue import SimpleQueue
from typing import Any, TypeVar

from twisted.internet import defer, threads
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from fedaemon.logs import Logger
from fedaemon.store.blobs import INLINE_OCTETS
from fedaemon.store.errors import StoreError
from fedaemon.store.group import Call, Group
from fedaemon.store.interface import Content, Snapshot, StagedContent, Transaction
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.lmdb_transaction import LmdbTransaction
from fedaemon.store.locks import ServiceLock
from fedaemon.store.statistics import Statistics

T = TypeVar("T")

GROUP_LARGEST = 256
GROUP_SECONDS = 0.010
"""Half of what promise 3 allows a turn of the reactor."""
ALONE = 2
"""Writes in the last group up to which the next write is committed at once."""
GATHER_S = 0.001
"""How long a write waits for others when the last group had company."""
POLL_S = 1.0
"""How often commits of other processes are looked for."""
SWEEP_S = 3600.0
"""How often files that nothing names are looked for."""

_log = Logger()


class _Write(Call):
    """A call and the Deferred that waits for it."""

    __slots__ = ("deferred",)

    def __init__(self, function: Callable[[Transaction], Any]) -> None:
        super().__init__(function)
        self.deferred: Deferred[Any] = Deferred()

    def fire(self) -> None:
        """Tell the caller, unless it has cancelled."""
        deferred = self.deferred
        if self.error is not None:
            deferred.errback(self.error)
        elif isinstance(self.value, Deferred):
            deferred.errback(
                TypeError("a function given to write returned a Deferred; it can only read and write")
            )
        else:
            deferred.callback(self.value)


class AsyncStore:
    """An engine behind ``interface.Store``. All methods are called in the reactor thread.

    :param engine: the open store; it stays the caller's, to close after ``stop`` has fired.
    :param reactor: gives callFromThread, callLater, and a thread pool for files.
    :param run_in_thread: runs a blocking function elsewhere; by default the reactor's thread pool.
    """

    def __init__(
        self, engine: LmdbEngine, reactor: Any, run_in_thread: Callable[..., Deferred[Any]] | None = None
    ) -> None:
        self.engine = engine
        self.blobs = engine.blobs
        self._reactor = reactor
        self._run_in_thread = run_in_thread or self._defer_to_pool
        self._waiting: deque[_Write] = deque()
        self._awake = False
        self._company = 0
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._returned: SimpleQueue[bool] = SimpleQueue()
        self._running = False
        self._stopped: Deferred[None] | None = None
        self._foreign = 0
        self._foreign_callbacks: list[Callable[[], None]] = []
        self._commit_callbacks: list[Callable[[Set[Hashable]], None]] = []
        self._timers: dict[str, Any] = {}
        self._lock: ServiceLock | None = None
        self._busy_since_s: float | None = None

    @property
    def busy_s(self) -> float:
        """How long the writer has been at the group that it writes now, 0 while it rests."""
        since_s = self._busy_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    @property
    def statistics(self) -> Statistics:
        """The counters of the engine."""
        return self.engine.statistics

    def _defer_to_pool(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return threads.deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function, *arguments)

    # life

    def start(self) -> None:
        """Take the right to serve the data directory, start the writer, and sweep in the background.

        Raises StoreInUse when another daemon serves the directory.
        """
        self._lock = ServiceLock(self.engine.layout)
        self._running = True
        self.engine.reactor_thread = threading.get_ident()
        self._foreign = self.engine.foreign_commits()
        # A daemon thread: should the process end without stop, dying in a commit is safe, hanging is not.
        threading.Thread(target=self._work, name="store-writer", daemon=True).start()
        self._every("poll", POLL_S, self._poll)
        self._every("sweep", SWEEP_S, self._sweep)
        self._sweep()

    def stop(self) -> Deferred[None]:
        """Finish the writes that wait, refuse new ones, and fire when the writer has ended."""
        if not self._running:
            return defer.succeed(None)
        self._running = False
        if "wake" in self._timers:
            self._wake.put(True)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._stopped = Deferred()
        self._wake.put(False)
        return self._stopped

    def _every(self, name: str, seconds: float, function: Callable[[], None]) -> None:
        def again() -> None:
            self._timers[name] = self._reactor.callLater(seconds, again)
            function()

        self._timers[name] = self._reactor.callLater(seconds, again)

    def _sweep(self) -> None:
        sweeping = self._run_in_thread(self.blobs.sweep, self.engine)
        sweeping.addErrback(self._sweep_failed)

    def _sweep_failed(self, failure: Failure) -> None:
        # A store closed under a running sweep is no news.
        if self._running:
            _log.failure("orphan files were not removed; tried again later", failure, event="sweep-failed")

    # interface.Store

    def read(self, function: Callable[[Snapshot], T]) -> Deferred[T]:
        """Run *function* on a consistent view at once; the Deferred has fired when this returns."""
        try:
            return defer.succeed(self.engine.view(function))
        except Exception:
            return defer.fail()

    def write(self, function: Callable[[Transaction], T]) -> Deferred[T]:
        """Run *function* atomically; fire with what it returned once durable, in the order of the calls.

        Cancelling the Deferred before the function has run takes it back; later it only stops the news.
        """
        if not self._running:
            return defer.fail(StoreError("the service is stopping; please try again later"))
        write = _Write(function)
        self._waiting.append(write)
        if not self._awake:
            self._awake = True
            # Where writes came in company, more are about to: a commit costs more than their short wait.
            gather_s = GATHER_S if self._company > ALONE else 0
            self._timers["wake"] = self._reactor.callLater(gather_s, self._wake_up)
        return write.deferred

    def _wake_up(self) -> None:
        del self._timers["wake"]
        self._wake.put(True)

    def stage(self, content: Content) -> Deferred[StagedContent]:
        """Bring *content* to where a transaction can name it with ``blobs.add``; a large one in a thread."""
        if content.size > INLINE_OCTETS:
            try:
                self.engine.check_space(content.size)
            except StoreError as error:
                return defer.fail(error)
            return self._run_in_thread(self.blobs.stage, content)
        try:
            return defer.succeed(self.blobs.stage(content))
        except Exception:
            return defer.fail()

    def discard(self, staged: StagedContent) -> Deferred[None]:
        """Remove what ``stage`` made when no transaction has taken it; never fails."""
        if staged.size <= INLINE_OCTETS:
            return defer.succeed(None)
        return self._run_in_thread(self.blobs.discard, staged)

    def check_space(self, octets: int = 0) -> None:
        """Raise StoreFull when *octets* more would touch the disk reserve; cheap, for each new message."""
        self.engine.check_space(octets)

    # news of commits

    def on_commit(self, callback: Callable[[Set[Hashable]], None]) -> None:
        """Call *callback* with what a commit of this process announced, before its writes' Deferreds fire."""
        self._commit_callbacks.append(callback)

    def _announce(self, subjects: Set[Hashable]) -> None:
        for callback in self._commit_callbacks:
            try:
                callback(subjects)
            except Exception:
                _log.failure("a callback for a commit failed", event="defect")

    def on_foreign_commit(self, callback: Callable[[], None]) -> None:
        """Call *callback* within a second or so of a commit by another process, such as fedaemonctl."""
        self._foreign_callbacks.append(callback)

    def _poll(self) -> None:
        try:
            foreign = self.engine.foreign_commits()
        except StoreError as error:
            _log.warn(
                "commits of other processes are not seen", event="foreign-commits-unseen", reason=str(error)
            )
            return
        if foreign == self._foreign:
            return
        self._foreign = foreign
        for callback in self._foreign_callbacks:
            try:
                callback()
            except Exception:
                _log.failure("a callback for a foreign commit failed", event="defect")

    # the writer thread

    def _work(self) -> None:
        """Serve wake-ups until told to stop; runs as the writer thread."""
        while self._wake.get():
            group = Group()
            self._busy_since_s = time.monotonic()
            try:
                self._one_commit(group)
            except StoreError as error:
                group.fail(error)
            except BaseException as error:  # noqa: BLE001, RUF100 - this thread must live on
                _log.failure("the store's writer failed", event="defect")
                group.fail(StoreError(f"the store failed: {error!r}"))
            self._busy_since_s = None
            self.statistics.count(group.calls)
            self._reactor.callFromThread(self._tell, group)
        self._reactor.callFromThread(self._ended)

    def _one_commit(self, group: Group) -> None:
        """Begin, have the functions run, commit; raises StoreError when nothing became durable."""
        try:
            transaction = self.engine.begin()
        except StoreError:
            self._lend(group.calls.extend, self._take())
            raise
        if not self._lend_transaction(transaction, group.run, transaction, self._take()):
            transaction = self.engine.begin_again(transaction)
            self._lend_transaction(transaction, group.run_again, transaction, self.engine.begin_nested)
        began_s = time.perf_counter()
        self.engine.commit(transaction)
        if transaction.changes:
            group.commit_s = time.perf_counter() - began_s
        group.announced = transaction.announced

    def _lend_transaction(
        self, transaction: LmdbTransaction, function: Callable[..., Any], *arguments: Any
    ) -> Any:
        try:
            return self._lend(function, *arguments)
        except BaseException:
            self.engine.abort(transaction)
            raise

    def _lend(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have the reactor thread run *function*, and wait for it; raises what it raised."""
        call = Call(lambda _: function(*arguments))
        self._reactor.callFromThread(self._borrow, call)
        self._returned.get()
        if call.error is not None:
            raise call.error
        return call.value

    # the reactor's part of it

    def _borrow(self, call: Call) -> None:
        try:
            call.value = call.function(None)  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001, RUF100 - it belongs to the writer thread
            call.error = error
        finally:
            self._returned.put(True)

    def _take(self) -> Iterator[_Write]:
        """Yield the writes that wait, oldest first, until the group is full or its time is up."""
        end = time.perf_counter() + GROUP_SECONDS
        left = GROUP_LARGEST
        try:
            while self._waiting:
                write = self._waiting.popleft()
                # Cancelled before it ran: its caller has gone, and nothing needs to be undone.
                if write.deferred.called:
                    continue
                yield write
                left -= 1
                if (not left or time.perf_counter() > end) and self._running:
                    break
        finally:
            self._company = GROUP_LARGEST - left + len(self._waiting)
            self._awake = bool(self._waiting)
            if self._awake:
                self._wake.put(True)

    def _tell(self, group: Group) -> None:
        self.statistics.ended(group)
        if group.announced:
            self._announce(set(group.announced))
        for write in group.calls:
            try:
                write.fire()  # type: ignore[attr-defined]
            except Exception:
                _log.failure("a write's Deferred could not be fired", event="defect")

    def _ended(self) -> None:
        self.engine.reactor_thread = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            stopped.callback(None)
