"""Remote delivery: claims what is due, has it attempted, and writes down what became of it.

Theory of operation. ``wake`` says that there may be work. One claim transaction at a time takes what fits
into memory (``sites/registry.py``); each claim's hosts are looked up, then it waits at its site for its turn
and becomes an attempt (``attempts.py``); when that ends, its outcomes are recorded, the site has room, and
more is claimed. Between that, an alarm sleeps until the first hint in the queue's calendars, or until a site
opens.

Invariants: nobody dials for a recipient that was held or deleted since it was claimed; while outcomes cannot
be recorded (disk full) nothing more is claimed, because what cannot be written down would be delivered again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from fedaemon import counters
from fedaemon.delivery.attempts import Attempts, failed, our_fault
from fedaemon.delivery.claiming import Claim, Claimed, ClaimOrder, claim
from fedaemon.delivery.classification import Classifier
from fedaemon.delivery.outcomes import Recorded, Terms
from fedaemon.delivery.queue import look
from fedaemon.delivery.recording import Recording
from fedaemon.delivery.recovery import put_back
from fedaemon.delivery.release import release
from fedaemon.delivery.sites.registry import Sites
from fedaemon.delivery.sites.site import Site
from fedaemon.delivery.transport import NextHost, Outcome, Result, Transport
from fedaemon.delivery.verdicts import classified, judge_site
from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.store.interface import Store
from fedaemon.store.turns import Alarm, TurnLoop, in_background

if TYPE_CHECKING:
    from fedaemon.delivery.attempts import Signer
    from fedaemon.store.blobs import Blobs

STARTS_PER_TURN: Final = 20
"""Attempts begun in one turn of the reactor, so that a full window does not hold it up."""

CLAIM_SLICE: Final = 150
"""Recipients claimed in one transaction: some ten milliseconds of the writer's time."""

_log = Logger()


class Finder(Protocol):
    """Finds the hosts for a destination (``mx.HostFinder``)."""

    def find(self, destination: str) -> Deferred[tuple[NextHost, ...]]:
        """Fire with at least one host, or fail with a ``MailError``."""


class RemoteLane:
    """Delivers to other servers. *terms*, *finder* and *classifier* may be replaced while it runs.

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
        sites: Sites,
        classifier: Classifier,
        signer: Signer | None,
        recorded: Callable[[Recorded], None],
    ) -> None:
        self.terms = terms
        self.finder = finder
        self.classifier = classifier
        self.sites = sites
        self._store = store
        self._clock = clock
        self._now_ms = now_ms
        self._run = run
        self._transport = transport
        self._attempts = Attempts(store, blobs, transport, run, signer)
        self._recording = Recording(store, clock, now_ms, run, recorded=recorded, resumed=self._resume)
        self._loop = TurnLoop(clock, now_ms, self._claim_turn, "claiming", self._may_claim)
        self.wake = self._loop.wake
        """There may be something due."""
        self._rate_alarm = Alarm(clock, now_ms, self._start_ready)
        self._stopped = False
        self._more = False
        self._starting = False
        self._batch = 0
        self._last: dict[str, str] = {}
        self._under_way: set[Deferred[Any]] = set()

    @property
    def running(self) -> bool:
        """True from ``start`` to ``pause``."""
        return self._loop.running

    def start(self) -> None:
        """Begin (again) to claim."""
        self._loop.start()
        self._start_ready()

    def pause(self) -> None:
        """Claim nothing more, and begin no attempt; what is under way ends."""
        self._loop.pause()
        self._rate_alarm.cancel()

    def _may_claim(self) -> bool:
        return self.sites.free > 0 and not self._recording.stuck

    def _resume(self) -> None:
        """The store takes outcomes again."""
        self._start_ready()
        self.wake()

    async def unclaim(self) -> None:
        """Put back what has not begun: some of it may have been paused."""
        ready = self.sites.take_ready()
        if ready:
            await self._put_back(ready)

    async def stop(self) -> None:
        """Let attempts end, at most for the transport's drain time; put back what did not begin."""
        self.pause()
        self._stopped = True
        await self._loop.stop()
        await self.unclaim()
        await self._transport.close()
        self._recording.stop()
        await DeferredList(list(self._under_way))
        with suppress(MailError):
            # What stays is met, and found to be over, by the next start.
            await self._recording.forget_settled()

    async def _put_back(self, claims: list[Claim]) -> None:
        """Undo claims whose attempt does not take place."""
        now_ms = self._now_ms()
        try:
            await self._store.write(partial(put_back, claims=claims, now_ms=now_ms))
        except MailError as error:
            # Not lost: the next start finds the claims of this run.
            _log.error(
                "claims wait for the next start", event="claims-kept", count=len(claims), reason=error.text
            )
        else:
            for each in claims:
                self._recording.over(each)
        self.wake()

    # -- Claiming --------------------------------------------------------------------------------------------

    async def _claim_turn(self) -> None:
        sites, now_ms = self.sites, self._now_ms()
        self._loop.alarm.set(sites.opens_ms(now_ms))
        lines = sites.lines()
        if not lines:
            due, next_ms = await self._store.read(lambda snapshot: look(snapshot, now_ms))
            if not due:
                # What is due may belong to sites that have no room: look again when an attempt ends.
                self._more = True
                self._loop.alarm.set(next_ms)
                return
        self._batch += 1
        order = ClaimOrder(
            run=self._run,
            batch=self._batch,
            recipients=min(sites.free, CLAIM_SLICE),
            schedule=self.terms.schedule,
            standing=sites.standing,
            lines=lines,
            last=self._last,
            paused=sites.paused,
            under_way=sites.under_way(),
        )
        claimed = await self._store.write(lambda transaction: claim(transaction, now_ms, order))
        sites.parked(claimed.parked)
        sites.emptied(claimed.emptied)
        self._take_in(order.batch, claimed)
        self._last = claimed.last
        self._more = claimed.more
        if claimed.more and (claimed.claims or claimed.put_off):
            self._loop.wanted = True
        self._loop.alarm.set(claimed.next_due_ms)

    def _take_in(self, batch: int, claimed: Claimed) -> None:
        """Have what was claimed attempted, and what was put off answered."""
        for each in claimed.answers:
            self._keep(in_background(self._answer(each), "recording"))
        if not claimed.claims:
            return
        counters.count("queue_claims_total", len(claimed.claims))
        self._recording.begin(batch, claimed.claims)
        for each in claimed.claims:
            self.sites.claim(each)
        for each in claimed.claims:
            self._keep(
                self.finder.find(each.destination).addCallbacks(
                    self._found, self._not_found, (each,), {}, (each,)
                )
            )
        self._start_ready()

    def _keep(self, work: Deferred[Any]) -> None:
        """Remember what is under way, so that a stop waits for it."""
        self._under_way.add(work)
        work.addBoth(self._ended, work)

    def _ended(self, result: Any, work: Deferred[Any]) -> None:
        self._under_way.discard(work)
        if isinstance(result, Failure):
            _log.failure("delivery failed", failure=result, event="defect")

    def _found(self, hosts: tuple[NextHost, ...], claimed: Claim) -> Deferred[None] | None:
        """The hosts of a claim are known: it waits at its site for its turn."""
        claimed = replace(claimed, hosts=hosts)
        if not self._stopped:
            _, taken = self.sites.resolved(claimed)
            if taken:
                self._start_ready()
                return None
        else:
            self.sites.unresolved(claimed)
        # The site was not known when this was claimed: now it is, and the next claim minds it.
        return in_background(self._put_back([claimed]), "putting back")

    def _not_found(self, failure: Failure, claimed: Claim) -> Deferred[None]:
        """There is no host to be had for a claim: that is its outcome."""
        self.sites.unresolved(claimed)
        error = failure.value
        if isinstance(error, MailError):
            result = Result.PERMANENT if error.permanent else Result.TEMPORARY
            outcomes = failed(claimed, result, error.text, error.code, error.status, "dns")
        else:
            _log.failure("hosts were not found", failure, event="defect", id=claimed.queue_id)
            outcomes = our_fault(claimed)
        outcomes = [classified(self.classifier, each) for each in outcomes]
        return in_background(self._record(claimed, outcomes), "recording")

    async def _answer(self, claimed: Claim) -> None:
        """Record for recipients of a closed site what is owed to their senders now."""
        standing = self.sites.standing(claimed.destination)
        site = self.sites.get(standing.site)
        last = site.last_error if site is not None else {}
        outcomes = [
            Outcome(
                number,
                Result.TEMPORARY,
                f"{standing.site} is not tried for now: {last.get('text') or 'it gave no answer'}",
                last.get("code", 0),
                last.get("status", "4.4.1"),
                "site",
                last.get("host", ""),
                category=last.get("category", ""),
                site=standing.site,
                again_ms=standing.until_ms,
            )
            for number, _ in claimed.recipients
        ]
        await self._recording.record(self.terms, claimed, outcomes, claimed=False)

    # -- Attempts --------------------------------------------------------------------------------------------

    def _start_ready(self) -> None:
        """Begin attempts as slots allow, some in each turn of the reactor."""
        if self._starting or not self._loop.running or self._recording.stuck:
            return
        # Attempts that end at once come back here: the loop below goes on for them.
        self._starting = True
        self.sites.due(self._now_ms())
        for _ in range(STARTS_PER_TURN):
            ready = self.sites.next()
            if ready is None:
                self._starting = False
                self._rate_alarm.set(self.sites.due(self._now_ms()))
                return
            self._keep(in_background(self._attempt(*ready), "an attempt"))
        self._clock.callLater(0, self._start_more)

    def _start_more(self) -> None:
        self._starting = False
        self._start_ready()

    async def _attempt(self, site: Site, claimed: Claim) -> None:
        """Attempt one claim and record what became of it."""
        began_ms = self._now_ms()
        sources = site.sources(began_ms, self.sites.sources)
        recovered = False
        try:
            outcomes = await self._attempts.attempt(claimed, sources, site.limits.connection, began_ms)
            outcomes = [classified(self.classifier, each) for each in outcomes]
            if not self._stopped:
                # What our own stop cut off says nothing of the site.
                outcomes, recovered = judge_site(site, outcomes, self._now_ms(), began_ms, self.sites.sources)
                self._clear(site)
        except Exception:
            _log.failure("an attempt failed", event="defect", id=claimed.queue_id)
            outcomes = our_fault(claimed)
        self.sites.ended(site, claimed)
        self._start_ready()
        await self._record(claimed, outcomes)
        self.sites.recorded(claimed)
        for again_ms in {each.again_ms for each in outcomes if each.again_ms}:
            self._loop.alarm.set(again_ms)
        if recovered:
            self._keep(in_background(self._release(site), "releasing"))
        if (self._more or self._loop.wanted or self.sites.has_lines) and self.sites.is_low_at(site):
            self.wake()

    def _clear(self, site: Site) -> None:
        """Put back what is ready at a site that has just closed.

        Nothing would wake it when the site opens; and where every source address is blocked, it would leave from
        one that the system chooses.
        """
        if not site.until_ms(self._now_ms(), self.sites.sources):
            return
        self.sites.on_close(site)
        if len(site.ready):
            self._keep(in_background(self._put_back(self.sites.take_ready(site)), "putting back"))

    async def _record(self, claimed: Claim, outcomes: list[Outcome]) -> None:
        await self._recording.record(self.terms, claimed, outcomes, claimed=True)

    async def _release(self, site: Site) -> None:
        """Let what waited for *site* go, slice by slice."""
        destinations, after = self.sites.destinations_of(site), None
        while destinations and not self._stopped:
            now_ms = self._now_ms()
            after = await self._store.write(
                partial(release, site=site.name, destinations=destinations, after=after, now_ms=now_ms)
            )
            self.wake()
            if after is None:
                return
