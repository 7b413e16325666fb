"""Remote delivery: claims what is due, attempts it, and writes down what became of it.

Theory of operation. ``wake`` says that there may be work. One claim transaction at a time takes what fits
into the window; each claim becomes an attempt as soon as its destination has a slot; when it ends, its
outcomes are recorded, the slot is free, and more is claimed. Between that, an alarm sleeps until the first
hint in the queue's calendar.

Invariants: nobody dials for a recipient that was held or deleted since it was claimed; while outcomes cannot
be recorded (disk full) nothing more is claimed, because what cannot be written down would be delivered again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger

from fedaemon.delivery.background import Alarm, in_background
from fedaemon.delivery.outcomes import Recorded, Terms, record_outcomes
from fedaemon.delivery.queue import Claim, ClaimOrder, claim, look
from fedaemon.delivery.records import WAITING, RecipientRecord, load_recipient
from fedaemon.delivery.recovery import put_back, settle
from fedaemon.delivery.transport import Attempt, NextHost, Outcome, Recipient, Result, Transport
from fedaemon.delivery.window import Window
from fedaemon.errors import MailError
from fedaemon.store.interface import Content, Snapshot, Store, Transaction

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

STARTS_PER_TURN: Final = 20
"""Attempts begun in one turn of the reactor, so that a full window does not hold it up."""

RETRY_S: Final = 5.0
"""After a claim that the store refused."""

RECORD_RETRIES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses between tries to record outcomes that the store refused; the last one goes on."""

_log = Logger()


class Finder(Protocol):
    """Finds the hosts for a destination (``mx.HostFinder``)."""

    def find(self, destination: str) -> Deferred[tuple[NextHost, ...]]:
        """Fire with at least one host, or fail with a ``MailError``."""


class RemoteLane:
    """Delivers to other servers. *terms* and *finder* may be replaced while it runs (new settings).

    :param run: names this run of the daemon in the claims.
    :param recorded: told what each recording led to.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        clock: Any,
        now_ms: Callable[[], int],
        *,
        run: str,
        terms: Terms,
        finder: Finder,
        transport: Transport,
        window: Window,
        recorded: Callable[[Recorded], None],
    ) -> None:
        self.terms = terms
        self.finder = finder
        self.window = window
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._now_ms = now_ms
        self._run = run
        self._transport = transport
        self._recorded = recorded
        self._alarm = Alarm(clock, now_ms, self.wake)
        self._running = False
        self._stopped = False
        self._wanted = False
        self._more = False
        self._claiming = False
        self._claimed: Deferred[None] | None = None
        self._starting = False
        self._batch = 0
        self._batches: dict[int, int] = {}
        self._attempts: set[Deferred[None]] = set()
        self._unrecorded: set[Deferred[None]] = set()

    def start(self) -> None:
        """Begin (again) to claim."""
        self._running = True
        self._start_ready()
        self.wake()

    def pause(self) -> None:
        """Begin nothing more; what was claimed stays ready for ``start`` or ``stop``."""
        self._running = False
        self._alarm.cancel()

    def wake(self) -> None:
        """There may be something due."""
        self._wanted = True
        if self._running and not self._claiming and self.window.free and not self._unrecorded:
            self._claiming = True
            self._claimed = in_background(self._claim_turns(), "claiming")

    async def stop(self) -> None:
        """Let attempts end, at most for the transport's drain time; put back what did not begin."""
        self.pause()
        self._stopped = True
        if self._claimed is not None:
            await self._claimed
        unbegun = self.window.take_ready()
        if unbegun:
            await self._put_back(unbegun)
        await self._transport.close()
        for waiting in list(self._unrecorded):
            waiting.cancel()
        await DeferredList(list(self._attempts))

    async def _put_back(self, claims: list[Claim]) -> None:
        now_ms = self._now_ms()
        batches = [each.batch for each in claims if self._left_in(each)]

        def undo(transaction: Transaction) -> None:
            put_back(transaction, claims, now_ms)
            for batch in batches:
                settle(transaction, self._run, batch)

        try:
            await self._store.write(undo)
        except MailError as error:
            # Not lost: the next start finds the claims of this run.
            _log.error("delivery: {count} claims were not put back: {why}", count=len(claims), why=error.text)

    # -- Claiming --------------------------------------------------------------------------------------------

    async def _claim_turns(self) -> None:
        try:
            while self._running and self._wanted and self.window.free and not self._unrecorded:
                self._wanted = False
                await self._claim_turn()
        except MailError as error:
            _log.error("delivery: nothing could be claimed: {why}", why=error.text)
            self._alarm.set_in(RETRY_S)
        except Exception:
            self._alarm.set_in(RETRY_S)
            raise
        finally:
            self._claiming = False

    async def _claim_turn(self) -> None:
        now_ms = self._now_ms()
        room = self.window.room()
        due, next_ms = await self._store.read(lambda snapshot: look(snapshot, now_ms, room))
        if not due:
            # What is due may belong to destinations that have no room: look again when an attempt ends.
            self._more = True
            self._alarm.set(next_ms)
            return
        self._batch += 1
        order = ClaimOrder(
            run=self._run,
            batch=self._batch,
            recipients=self.window.free,
            messages=self.window.messages,
            schedule=self.terms.schedule,
            room=room,
            under_way=self.window.under_way(),
        )
        result = await self._store.write(lambda transaction: claim(transaction, now_ms, order))
        if result.claims:
            self._batches[order.batch] = len(result.claims)
            self.window.add(result.claims)
            self._start_ready()
        self._more = result.more
        if result.more and result.claims:
            self._wanted = True
        self._alarm.set(result.next_due_ms)

    # -- Attempts --------------------------------------------------------------------------------------------

    def _start_ready(self) -> None:
        """Begin attempts as slots allow, some in each turn of the reactor."""
        if self._starting or not self._running:
            return
        # Attempts that end at once come back here: the loop below goes on for them.
        self._starting = True
        for _ in range(STARTS_PER_TURN):
            ready = self.window.next()
            if ready is None:
                self._starting = False
                return
            attempt = in_background(self._attempt(ready), "an attempt")
            if not attempt.called:
                self._attempts.add(attempt)
                attempt.addCallback(self._ended, attempt)
        self._clock.callLater(0, self._start_more)

    def _ended(self, result: None, attempt: Deferred[None]) -> None:
        self._attempts.discard(attempt)

    def _start_more(self) -> None:
        self._starting = False
        self._start_ready()

    async def _attempt(self, claimed: Claim) -> None:
        """Attempt one claim and record what became of it."""
        outcomes: list[Outcome] | None
        try:
            outcomes = await self._outcomes(claimed)
        except Exception:
            _log.failure("{queue_id}: an attempt failed by a defect of ours", queue_id=claimed.queue_id)
            outcomes = _all(
                claimed, Result.TEMPORARY, "an internal error of this server", 451, "4.3.0", "local"
            )
        if outcomes is None:
            await self._put_back([claimed])
        else:
            await self._record(claimed, outcomes)
        refill = self.window.done(claimed)
        self._start_ready()
        if refill and (self._more or self._wanted):
            self.wake()

    async def _outcomes(self, claimed: Claim) -> list[Outcome] | None:
        """Attempt a claim; return None when the server stops before it could begin."""
        try:
            hosts = await self.finder.find(claimed.destination)
        except MailError as error:
            result = Result.PERMANENT if error.permanent else Result.TEMPORARY
            return _all(claimed, result, error.text, error.code, error.status, "dns")
        try:
            content, recipients = await self._store.read(
                lambda snapshot: self._still_wanted(snapshot, claimed)
            )
        except MailError as error:
            return _all(claimed, Result.TEMPORARY, error.text, error.code, error.status, "local")
        if content is None:
            return []
        if self._stopped:
            return None
        message = claimed.message
        return await self._transport.attempt(
            Attempt(
                queue_id=claimed.queue_id,
                sender=message.sender,
                recipients=tuple(
                    Recipient(n, each.address, each.notify, each.orcpt) for n, each in recipients
                ),
                content=content,
                hosts=hosts,
                body=message.body,
                smtputf8=message.smtputf8,
                require_tls=message.require_tls,
                ret=message.ret,
                envid=message.envid,
            )
        )

    def _still_wanted(
        self, snapshot: Snapshot, claimed: Claim
    ) -> tuple[Content | None, list[tuple[int, RecipientRecord]]]:
        """Return the content, and the recipients that were not held or deleted since they were claimed."""
        wanted = []
        for number, _ in claimed.recipients:
            recipient = load_recipient(snapshot, claimed.queue_id, number)
            if recipient is not None and recipient.state in WAITING and recipient.claim == self._run:
                wanted.append((number, recipient))
        content = self._blobs.open(snapshot, claimed.message.blob) if wanted else None
        return content, wanted

    # -- Recording -------------------------------------------------------------------------------------------

    async def _record(self, claimed: Claim, outcomes: list[Outcome]) -> None:
        """Record outcomes; when the store refuses, try again until it takes them or the server stops."""
        last = self._left_in(claimed)
        tries = 0
        while True:
            try:
                self._recorded(await self._write(claimed, outcomes, last))
            except MailError as error:
                pause_s = RECORD_RETRIES_S[min(tries, len(RECORD_RETRIES_S) - 1)]
                tries += 1
                _log.error(
                    "{queue_id}: outcomes not recorded: {why}", queue_id=claimed.queue_id, why=error.text
                )
                if not await self._wait(pause_s):
                    return
            except Exception:
                _log.failure("{queue_id}: outcomes could not be recorded", queue_id=claimed.queue_id)
                if tries:
                    # The attempt that the claim stored stands.
                    return
                tries += 1
                outcomes = [
                    Outcome(
                        each.number,
                        Result.TEMPORARY,
                        "an internal error of this server",
                        451,
                        "4.3.0",
                        "local",
                    )
                    for each in outcomes
                ]
            else:
                return

    def _write(self, claimed: Claim, outcomes: list[Outcome], last: bool) -> Deferred[Recorded]:
        terms, now_ms = self.terms, self._now_ms()

        def write(transaction: Transaction) -> Recorded:
            recorded = record_outcomes(transaction, terms, claimed.queue_id, outcomes, now_ms)
            if last:
                settle(transaction, self._run, claimed.batch)
            return recorded

        return self._store.write(write)

    def _left_in(self, claimed: Claim) -> bool:
        """Count a claim of its batch as over; return True for the last."""
        self._batches[claimed.batch] -= 1
        if self._batches[claimed.batch]:
            return False
        del self._batches[claimed.batch]
        return True

    async def _wait(self, seconds: float) -> bool:
        """Wait while nothing is claimed; False when the server stops meanwhile."""
        if self._stopped:
            return False
        waiting: Deferred[None] = deferLater(self._clock, seconds)
        self._unrecorded.add(waiting)
        try:
            await waiting
        except CancelledError:
            return False
        finally:
            self._unrecorded.discard(waiting)
        self.wake()
        return True


def _all(claimed: Claim, result: Result, text: str, code: int, status: str, phase: str) -> list[Outcome]:
    """Return the same outcome for all recipients of a claim."""
    return [Outcome(number, result, text, code, status, phase) for number, _ in claimed.recipients]
