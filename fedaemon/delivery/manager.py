"""The delivery manager: one object that keeps both lanes of the queue going, local and remote.

``wake`` is called after every commit that may have added work; ``start`` first lets the recipients go again
whose attempts died with an earlier run; ``stop`` drains.

Invariants: a queue of any size costs no memory and no time at the start: only the window of claims is in
memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from fedaemon.delivery.classification import Classifier
from fedaemon.delivery.event_log import log_outcome
from fedaemon.delivery.inhouse import LocalLane
from fedaemon.delivery.outcomes import Recorded, Terms
from fedaemon.delivery.recovery import recover
from fedaemon.delivery.remote import Finder, RemoteLane
from fedaemon.delivery.schedule import Schedule
from fedaemon.delivery.sites.keeper import SiteKeeper
from fedaemon.delivery.sites.registry import Sites
from fedaemon.delivery.sites.shaping import Shaping
from fedaemon.delivery.transport import Source, Transport
from fedaemon.logs import Logger
from fedaemon.mailbox.shaping import Shaper
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Store
from fedaemon.store.turns import in_background

if TYPE_CHECKING:
    from fedaemon.delivery.attempts import Signer
    from fedaemon.store.blobs import Blobs

_log = Logger()


def wall_clock_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return int(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class Rules:
    """What delivery goes by; all of it may change while it runs.

    :param hostname: our name in reports.
    :param classifier: reads what other servers say.
    :param shaping: limits of sites.
    :param sources: the addresses that connections come from; none: the system chooses.
    :param paused: nothing remote is claimed; local mail is still delivered.
    :param suppression_ms: how long an address that bounced is refused to who sent there.
    :param complaints: the address (its key) to which providers send complaints, "" for none.
    :param quota_octets: what an account without a limit of its own may keep, None for no limit.
    """

    hostname: str
    schedule: Schedule
    classifier: Classifier
    shaping: Shaping = field(default_factory=Shaping)
    sources: tuple[Source, ...] = ()
    paused: bool = False
    suppression_ms: int = 0
    complaints: str = ""
    quota_octets: int | None = None


class DeliveryManager:
    """Delivers what is in the queue.

    :param clock: the reactor, or a test's clock.
    :param finder: finds next hosts (``mx.HostFinder``, ``capture.CaptureFinder``).
    :param transport: carries remote mail.
    :param shaper: makes the shapes of messages for mailboxes here.
    :param signer: signs the mail of our users, and reports (``mailauth.signer.Signer``).
    :param message_finished: told when messages are over (``Retention.message_finished``).
    :param noted: told when there are events for webhooks.
    :param sites: what is in memory and under way.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        clock: Any,
        *,
        rules: Rules,
        finder: Finder,
        transport: Transport,
        shaper: Shaper,
        signer: Signer | None = None,
        now_ms: Callable[[], int] = wall_clock_ms,
        message_finished: Callable[[], None] | None = None,
        noted: Callable[[], None] | None = None,
        sites: Sites | None = None,
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._message_finished = message_finished
        self._noted = noted
        self._rules = rules
        self._run = new_id(now_ms())
        self._running = False
        self._starting: Deferred[None] | None = None
        self._blobs = blobs
        self._clock = clock
        self._look: Any = None
        self.sites = Sites(now_ms) if sites is None else sites
        self.sites.shaping = rules.shaping
        self.sites.sources = rules.sources
        self._keeper = SiteKeeper(store, clock, now_ms, self.sites)
        terms = self._terms(rules)
        self._local = LocalLane(
            store, blobs, clock, now_ms, terms=terms, shaper=shaper, recorded=self._recorded
        )
        self._remote = RemoteLane(
            store,
            blobs,
            clock,
            now_ms,
            run=self._run,
            terms=terms,
            finder=finder,
            transport=transport,
            sites=self.sites,
            classifier=rules.classifier,
            signer=signer,
            recorded=self._recorded,
        )

    def _terms(self, rules: Rules) -> Terms:
        return Terms(
            rules.hostname,
            rules.schedule,
            self._blobs,
            rules.suppression_ms,
            rules.complaints,
            rules.quota_octets,
        )

    @property
    def attempts_under_way(self) -> int:
        """How many remote attempts are under way."""
        return self.sites.active

    @property
    def paused(self) -> bool:
        """Remote delivery rests as a whole, by the settings or by the administrator."""
        return self._rules.paused or self.sites.pauses.all is not None

    def start(self) -> Deferred[None]:
        """Begin to deliver; fires when the claims of earlier runs have been seen to."""
        self._running = True
        self._local.start()
        self._starting = in_background(self._start_remote(), "starting delivery")
        return self._starting

    async def _start_remote(self) -> None:
        found, more = 0, True
        schedule = self._rules.schedule
        while more and self._running:
            count, more = await self._store.write(
                partial(recover, run=self._run, now_ms=self._now_ms(), schedule=schedule)
            )
            found += count
        if found:
            _log.warn(
                "recipients were under way when the last run died; they go again",
                event="recovered",
                count=found,
            )
        await self._keeper.start()
        self._apply_pauses()

    def stop(self) -> Deferred[None]:
        """Let running attempts end, at most for the transport's drain time; put back what did not begin."""
        self._running = False
        if self._look is not None:
            self._look.cancel()
            self._look = None
        return in_background(self._stop(), "stopping delivery")

    async def _stop(self) -> None:
        if self._starting is not None:
            await self._starting
        await self._local.stop()
        await self._remote.stop()
        await self._keeper.stop()

    def wake(self) -> None:
        """Something was added to the queue, or changed in it; said after each commit, so it costs little."""
        if self._look is None and self._running:
            self._look = self._clock.callLater(0, self._wake_lanes)

    def foreign_commit(self) -> None:
        """Another process has written into the store: the administrator, most likely."""
        if self._running:
            in_background(self._refresh(), "reading what was paused")

    async def _refresh(self) -> None:
        paused = self.sites.pauses
        await self._keeper.refresh()
        self._apply_pauses()
        if any(each not in paused for each in self.sites.pauses):
            await self._remote.unclaim()
        self.wake()

    def _wake_lanes(self) -> None:
        self._look = None
        self._local.wake()
        self._remote.wake()

    def configure(self, rules: Rules, finder: Finder) -> None:
        """Go on with new settings; attempts under way end as they began."""
        self._rules = rules
        self._local.terms = self._remote.terms = self._terms(rules)
        self._remote.finder = finder
        self._remote.classifier = rules.classifier
        self.sites.shaping = rules.shaping
        self.sites.sources = rules.sources
        self._apply_pauses()

    def _apply_pauses(self) -> None:
        """Pause or start remote delivery as the settings and the administrator say."""
        if not self._running:
            return
        if self.paused:
            self._remote.pause()
        elif not self._remote.running:
            self._remote.start()

    def _recorded(self, recorded: Recorded) -> None:
        """Follow up on what a recording led to."""
        if recorded.message is not None:
            for each in recorded.ended:
                log_outcome(
                    recorded.queue_id,
                    recorded.message,
                    each.recipient,
                    each.outcome,
                    each.event,
                    self._now_ms(),
                    each.recipient.next_attempt_ms,
                )
        if recorded.reported:
            self.wake()
        if self._noted is not None and (recorded.hooked or self._took_complaint(recorded)):
            self._noted()
        if recorded.finished and self._message_finished is not None:
            self._message_finished()

    def _took_complaint(self, recorded: Recorded) -> bool:
        """Return True for mail to the address for complaints, which may have led to an event."""
        complaints = self._rules.complaints
        return bool(complaints) and any(each.recipient.address == complaints for each in recorded.ended)
