"""The pace of the upkeep: one slice of work at a time, and a pause behind each, so that mail goes first.

Theory of operation: whatever wants something done waits for its turn in one line. A slice is one look at the
store, one small transaction, or one call in a thread; the reactor is free while it waits for the disk, and for
PAUSE_S after it. So the upkeep as a whole takes at most about half of one core, in pieces that nobody notices.

Invariants: two slices never share a turn of the reactor; after ``stop`` no slice begins; what fails is logged when
it begins to fail, and is left alone for longer each time.
Limits: a rest after a failure is REST_S at first and LONGEST_REST_S at most.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from math import inf
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredLock

from fedaemon.logs import Logger
from fedaemon.store.errors import StoreFull
from fedaemon.store.interface import Snapshot, Store, Transaction
from fedaemon.store.turns import TurnLoop

PAUSE_S: Final = 0.005
REST_S: Final = 5.0
LONGEST_REST_S: Final = 3600.0

T = TypeVar("T")

_log = Logger()


class Stopped(Exception):
    """There is no further slice; never seen outside the upkeep."""


class Pace:
    """Runs slices.

    :param clock: gives ``callLater``.
    :param run_in_thread: runs a blocking function elsewhere.
    """

    def __init__(self, store: Store, clock: Any, run_in_thread: Callable[..., Deferred[Any]]) -> None:
        self._store = store
        self._clock = clock
        self._run_in_thread = run_in_thread
        self._line = DeferredLock()
        self._pause: Any = None
        self._stopped = True

    def start(self) -> None:
        """Let slices begin."""
        self._stopped = False

    def stop(self) -> None:
        """Let no further slice begin: those that wait raise ``Stopped``."""
        self._stopped = True
        if self._pause is not None:
            self._pause.cancel()
            self._next()

    async def read(self, function: Callable[[Snapshot], T]) -> T:
        """Return what *function* makes of a consistent view; raises what it raises, and ``Stopped``."""
        await self._turn()
        try:
            return await self._store.read(function)
        finally:
            self._rest()

    async def write(self, function: Callable[[Transaction], T]) -> T:
        """Run *function* as a transaction; raises what it raises, ``Unavailable``, and ``Stopped``."""
        await self._turn()
        try:
            return await self._store.write(function)
        finally:
            self._rest()

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run *function* in a thread; raises what it raises, and ``Stopped``."""
        await self._turn()
        try:
            value: T = await self._run_in_thread(function)
        finally:
            self._rest()
        return value

    async def _turn(self) -> None:
        await self._line.acquire()
        if self._stopped:
            self._line.release()
            raise Stopped

    def _rest(self) -> None:
        if self._stopped:
            self._line.release()
        else:
            self._pause = self._clock.callLater(PAUSE_S, self._next)

    def _next(self) -> None:
        self._pause = None
        self._line.release()


class Rests:
    """What has failed, and until when it is left alone: longer each time.

    :param clock: gives ``seconds``.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._until: dict[Hashable, tuple[float, float]] = {}

    def failed(self, what: Hashable) -> bool:
        """Leave *what* alone for a time; True when it had not failed before, so that it is worth a line."""
        first = what not in self._until
        rest_s = REST_S if first else min(2 * self._until[what][1], LONGEST_REST_S)
        self._until[what] = (self._clock.seconds() + rest_s, rest_s)
        return first

    def went_well(self, what: Hashable) -> None:
        """Forget that *what* has failed."""
        self._until.pop(what, None)

    def left_s(self, what: Hashable) -> float:
        """Return for how many seconds *what* is to be left alone, 0 when it is not."""
        until_s, _ = self._until.get(what, (0.0, 0.0))
        left_s: float = until_s - self._clock.seconds()
        return max(0.0, left_s)


class Round:
    """Does *work* at the start, when it is asked to, and *interval_s* seconds after its end again.

    :param now_s: returns the time in seconds since the epoch.
    :param work: is told by ``Stopped`` when it is to end.
    :param what: names it in the log.
    """

    def __init__(
        self,
        clock: Any,
        now_s: Callable[[], float],
        work: Callable[[], Coroutine[Any, Any, None]],
        what: str,
        interval_s: float | None = None,
    ) -> None:
        self._clock = clock
        self._at = 0.0
        self._loop = TurnLoop(clock, lambda: int(now_s() * 1000), self._turn, what)
        self._rests = Rests(clock)
        self._work = work
        self._what = what
        self._interval_s = interval_s

    def start(self) -> None:
        """Begin, with a round at once."""
        self._at = 0.0
        self._loop.start()

    def stop(self) -> Deferred[None]:
        """Begin no further round; fires when the one under way is over."""
        return Deferred.fromCoroutine(self._loop.stop())

    def soon(self, seconds: float) -> None:
        """Do a round in so many seconds, unless the store has refused the last one."""
        if self._loop.running:
            # Never at once: a rest that has next to nothing left would be waited for in a tight loop.
            wait_s = max(seconds, self._rests.left_s(self._what), PAUSE_S)
            self._at = min(self._at, self._clock.seconds() + wait_s)
            self._arm()

    def _arm(self) -> None:
        # The alarm counts whole milliseconds: rather too late than too early.
        self._loop.alarm.set_in(self._at - self._clock.seconds() + PAUSE_S)

    async def _turn(self) -> None:
        if self._clock.seconds() < self._at:
            # It rings now and then, see ``LONGEST_SLEEP_S``, and perhaps for a round that has begun already.
            if self._at < inf:
                self._arm()
            return
        self._at = inf
        try:
            await self._work()
        except Stopped:
            return
        except StoreFull as error:
            if self._rests.failed(self._what):
                _log.error(
                    "work waits for the store", event="store-awaited", what=self._what, reason=error.text
                )
        except Exception:
            if self._rests.failed(self._what):
                _log.failure(
                    "work on mailboxes failed; tried again later", event="upkeep-failed", what=self._what
                )
        else:
            self._rests.went_well(self._what)
            if self._interval_s is not None:
                self.soon(self._interval_s)
            return
        self.soon(0)
