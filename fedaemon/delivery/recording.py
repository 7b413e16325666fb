"""Writes outcomes of remote attempts into the store, and does not give up when the store refuses.

Invariants: while outcomes cannot be recorded (``stuck``) nothing may be claimed, because what cannot be
written down would be delivered again; the claims of a batch are forgotten with the last of its outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from fedaemon.delivery.claiming import Claim
from fedaemon.delivery.outcomes import Recorded, Terms, record_outcomes
from fedaemon.delivery.recovery import settle
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.store.interface import Store, Transaction

RETRIES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses between tries to record outcomes that the store refused; the last one goes on."""

_log = Logger()


class Recording:
    """Records the outcomes of the claims of *run*.

    :param recorded: told what each recording led to.
    :param resumed: called when the store takes outcomes again.
    """

    def __init__(
        self,
        store: Store,
        clock: Any,
        now_ms: Callable[[], int],
        run: str,
        *,
        recorded: Callable[[Recorded], None],
        resumed: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._now_ms = now_ms
        self._run = run
        self._recorded = recorded
        self._resumed = resumed
        self._batches: dict[int, int] = {}
        self._settled: set[int] = set()
        self._waits: set[Deferred[None]] = set()
        self._stopped = False

    @property
    def stuck(self) -> bool:
        """True while the store refuses outcomes."""
        return bool(self._waits)

    def begin(self, batch: int, claims: Sequence[Claim]) -> None:
        """A batch was claimed."""
        if claims:
            self._batches[batch] = len(claims)

    def over(self, claim: Claim) -> None:
        """What became of a claim is durable; with the last of its batch the batch may be forgotten."""
        self._batches[claim.batch] -= 1
        if not self._batches[claim.batch]:
            del self._batches[claim.batch]
            self._settled.add(claim.batch)

    async def forget_settled(self) -> None:
        """Forget the batches that are over; for the end, when no further write would do it."""
        settled = frozenset(self._settled)
        if settled:
            await self._store.write(partial(self._forget, settled))
            self._settled -= settled

    def _forget(self, settled: frozenset[int], transaction: Transaction) -> None:
        for batch in settled:
            settle(transaction, self._run, batch)

    def stop(self) -> None:
        """Wait no more: what the store refuses now is found by the next start."""
        self._stopped = True
        for waiting in list(self._waits):
            waiting.cancel()

    async def record(self, terms: Terms, claim: Claim, outcomes: list[Outcome], *, claimed: bool) -> None:
        """Record outcomes; when the store refuses, try again until it takes them or the server stops.

        :param claimed: they are what became of an attempt, and not of recipients that nobody claimed.
        """
        tries = 0
        while True:
            try:
                self._recorded(await self._write(terms, claim, outcomes, claimed))
            except MailError as error:
                pause_s = RETRIES_S[min(tries, len(RETRIES_S) - 1)]
                tries += 1
                _log.error(
                    "outcomes wait for the store",
                    event="outcomes-unrecorded",
                    id=claim.queue_id,
                    reason=error.text,
                )
                if not await self._wait(pause_s):
                    return
            except Exception:
                _log.failure("outcomes could not be recorded", event="defect", id=claim.queue_id)
                if tries:
                    # The attempt that the claim stored stands.
                    if claimed:
                        self.over(claim)
                    return
                tries += 1
                text = "an internal error of this server"
                outcomes = [
                    Outcome(each.number, Result.TEMPORARY, text, 451, "4.3.0", "local") for each in outcomes
                ]
            else:
                return

    async def _write(self, terms: Terms, claim: Claim, outcomes: list[Outcome], claimed: bool) -> Recorded:
        """Record outcomes, and forget the batches whose outcomes are all durable before this or with it."""
        now_ms = self._now_ms()
        last = claimed and self._batches[claim.batch] == 1
        settled = frozenset(self._settled | {claim.batch}) if last else frozenset(self._settled)

        def write(transaction: Transaction) -> Recorded:
            recorded = record_outcomes(transaction, terms, claim.queue_id, outcomes, now_ms)
            self._forget(settled, transaction)
            return recorded

        recorded = await self._store.write(write)
        if claimed:
            self.over(claim)
        self._settled -= settled
        return recorded

    async def _wait(self, seconds: float) -> bool:
        """Wait while nothing is claimed; False when the server stops meanwhile."""
        if self._stopped:
            return False
        waiting: Deferred[None] = deferLater(self._clock, seconds)
        self._waits.add(waiting)
        try:
            await waiting
        except CancelledError:
            return False
        finally:
            self._waits.discard(waiting)
        self._resumed()
        return True
