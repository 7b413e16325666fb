"""The sites in memory, and the bounded part of the queue that is claimed for them.

Theory of operation. A destination's site is known once its hosts were looked up, and is remembered; until
then the destination is a site of its own with little room, named "@" and the destination. Claims are
``resolving`` until then, ``ready`` at their site afterwards, and under way when the site lets them start;
sites take turns. A site also knows which lanes stand in its line in the store, and they too take turns.

Invariants: what is not remembered of a site (it was idle and well) costs nothing but a new beginning; a site
that is down, blocked or slowed is kept, in memory and in the store (``site_records.py``).
Limits: *recipients* claimed in all, of which a site may have a quarter; *attempts* at a time;
``MAX_KNOWN`` destinations whose site is remembered.
"""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from fedaemon.delivery.claiming import Claim, Line, Standing
from fedaemon.delivery.pauses import NO_PAUSES, Pauses
from fedaemon.delivery.records import lane_name
from fedaemon.delivery.schedule import MINUTE_MS
from fedaemon.delivery.sites.shaping import Shaping, SiteLimits
from fedaemon.delivery.sites.site import KEPT_DESTINATIONS, Site
from fedaemon.delivery.transport import Source

RECIPIENTS: Final = 2000
ATTEMPTS: Final = 400
MAX_KNOWN: Final = 50_000
LINES_SERVED: Final = 50
"""Lanes in lines that one claim serves."""
MAX_LINES_MET: Final = 500
"""Sites with a line that are asked whether they have room, for one claim."""

DOUBTED_MS: Final = 30 * MINUTE_MS
"""Whether a destination is still at a site that is closed is looked up again after this time."""

IDLE_MS: Final = 10 * MINUTE_MS
"""A site that is well and has not been used for this long is forgotten."""


def _unheard(site: Site) -> None:
    """Nobody is to be told."""


class _Known(NamedTuple):
    """The site of a destination, and when that was looked up."""

    site: str
    since_ms: int


class Sites:
    """All sites, and what is claimed.

    *active* counts attempts under way, *claimed* recipients in memory. *shaping*, *sources* and *pauses* may
    be replaced. *on_close* is called with a site that is found closed at the end of an attempt.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        *,
        shaping: Shaping | None = None,
        sources: Sequence[Source] = (),
        recipients: int = RECIPIENTS,
        attempts: int = ATTEMPTS,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._shaping = shaping or Shaping()
        self.sources = tuple(sources)
        self._pauses = NO_PAUSES
        self._paused_lanes: frozenset[str] = frozenset()
        self.active = 0
        self.claimed = 0
        self.on_close: Callable[[Site], None] = _unheard
        self._now_ms = now_ms
        self._recipients = recipients
        self._attempts = attempts
        self._share = max(1, recipients // 4)
        self._random = rng
        self._sites: dict[str, Site] = {}
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._resolving: dict[str, int] = {}
        self._turns: deque[str] = deque()
        self._waiting: set[str] = set()  # the sites in _turns
        self._rated: set[str] = set()  # sites that wait for their rate
        self._lines: dict[str, OrderedDict[str, None]] = {}
        self._served: deque[str] = deque()  # the sites in _lines, in turns
        self._under_way: set[tuple[str, int]] = set()

    def __iter__(self) -> Iterator[Site]:
        return iter(self._sites.values())

    def __len__(self) -> int:
        return len(self._sites)

    def get(self, name: str) -> Site | None:
        """Return the site *name* if it is in memory."""
        return self._sites.get(name)

    @property
    def shaping(self) -> Shaping:
        """The limits of sites."""
        return self._shaping

    @shaping.setter
    def shaping(self, shaping: Shaping) -> None:
        self._shaping = shaping
        for site in self._sites.values():
            if site.hosts:
                site.limit_to(shaping.site_of(site.hosts)[1])

    @property
    def pauses(self) -> Pauses:
        """What the administrator has paused."""
        return self._pauses

    @pauses.setter
    def pauses(self, pauses: Pauses) -> None:
        self._pauses = pauses
        self._paused_lanes = frozenset(map(lane_name, pauses.accounts))

    @property
    def free(self) -> int:
        """How many more recipients may be claimed."""
        return max(0, self._recipients - self.claimed)

    def is_low_at(self, site: Site) -> bool:
        """True when it is time to claim more: a transaction should bring more than one message."""
        return self.free > self._recipients // 20 and len(site.ready) <= site.limit // 2

    def under_way(self) -> AbstractSet[tuple[str, int]]:
        """Return (queue id, number) of all recipients here: the set itself, which goes on changing."""
        return self._under_way

    # -- For claims

    def standing(self, destination: str) -> Standing:
        """Return how the site of *destination* stands."""
        now_ms = self._now_ms()
        known = self._known.get(destination)
        if known is not None and self._is_doubtful(known, now_ms):
            del self._known[destination]
            known = None
        if known is None:
            frozen = self._pauses.blocks(destination, "", "") is not None
            room = max(0, 2 * self._shaping.default.initial - self._resolving.get(destination, 0))
            return Standing(f"@{destination}", room, 0, frozen, known=False)
        name = known.site
        frozen = self._pauses.blocks(destination, name, "") is not None
        site = self._sites.get(name)
        if site is None:
            return Standing(name, 2 * self._shaping.default.initial, 0, frozen)
        room = site.room(now_ms) - self._resolving.get(destination, 0)
        if site.recipients >= self._share:
            room = 0
        return Standing(name, max(0, room), site.until_ms(now_ms, self.sources), frozen)

    def _is_doubtful(self, known: _Known, now_ms: int) -> bool:
        """Return True when a closed site may not be the destination's any more: its domain may have moved."""
        site = self._sites.get(known.site)
        return (
            site is not None
            and now_ms - known.since_ms >= DOUBTED_MS
            and site.until_ms(now_ms, self.sources) > 0
        )

    def destinations_of(self, site: Site) -> tuple[str, ...]:
        """Return every destination that is known to be at *site*."""
        found = {destination for destination, known in self._known.items() if known.site == site.name}
        return tuple(found | site.destinations.keys())

    def paused(self, lane: str) -> bool:
        """Return True when the account of *lane* is paused."""
        return lane[1:] in self._paused_lanes

    def lines(self) -> list[Line]:
        """Return the lanes whose line is to be served next: of sites with room, and of closed ones."""
        now_ms = self._now_ms()
        chosen: list[Line] = []
        for _ in range(min(len(self._served), MAX_LINES_MET)):
            name = self._served[0]
            self._served.rotate(-1)
            lanes = self._lines[name]
            standing = self._standing_of(name, now_ms)
            if standing.frozen or (standing.room <= 0 and standing.until_ms <= now_ms):
                continue
            # By class, and by turn within each: what is urgent has the room first.
            for lane in sorted(lanes, key=lambda each: each[0])[: max(1, standing.room)]:
                lanes.move_to_end(lane)
                chosen.append(Line(name, lane))
            if len(chosen) >= LINES_SERVED:
                break
        return chosen

    def _standing_of(self, name: str, now_ms: int) -> Standing:
        if name.startswith("@"):
            return self.standing(name[1:])
        frozen = self._pauses.blocks("", name, "") is not None
        site = self._sites.get(name)
        if site is None:
            return Standing(name, 1, 0, frozen)
        room = 0 if site.recipients >= self._share else site.room(now_ms)
        return Standing(name, room, site.until_ms(now_ms, self.sources), frozen)

    def parked(self, lines: Iterable[Line]) -> None:
        """Lanes went into the lines of sites."""
        for name, lane in lines:
            if name not in self._lines:
                self._lines[name] = OrderedDict()
                self._served.append(name)
            self._lines[name][lane] = None

    def emptied(self, lines: Iterable[Line]) -> None:
        """Lanes have nothing more in the lines of sites."""
        for name, lane in lines:
            lanes = self._lines.get(name)
            if lanes is None:
                continue
            lanes.pop(lane, None)
            if not lanes:
                del self._lines[name]
                self._served.remove(name)

    @property
    def has_lines(self) -> bool:
        """True when some lane stands in the line of a site."""
        return bool(self._lines)

    # -- What is claimed

    def claim(self, claim: Claim) -> None:
        """Take in a claim whose hosts are being looked up."""
        self._resolving[claim.destination] = self._resolving.get(claim.destination, 0) + 1
        self.claimed += len(claim.recipients)
        self._under_way.update((claim.queue_id, number) for number, _ in claim.recipients)

    def resolved(self, claim: Claim) -> tuple[Site, bool]:
        """The hosts of *claim* are known; return its site, and whether it takes the claim in.

        One that is closed, or has too much here already, does not: the claim is over then.
        """
        self._looked_up(claim)
        known = self._known.get(claim.destination)
        site = self._sites.get(known.site) if known is not None else None
        if site is None or site.hosts is not claim.hosts:
            name, limits = self._shaping.site_of(claim.hosts)
            site = self.open(name, (claim.destination,), limits)
            site.hosts = claim.hosts
        fits = site.recipients < self._share and not site.until_ms(self._now_ms(), self.sources)
        if fits and self._pauses.blocks(claim.destination, site.name, "") is None:
            site.ready.add(claim)
            site.recipients += len(claim.recipients)
            self.wait(site)
            return site, True
        # For who asks why it waits: only what is written can be seen.
        site.changed = True
        self._forget(claim)
        return site, False

    def open(self, name: str, destinations: Iterable[str], limits: SiteLimits | None = None) -> Site:
        """Return the site *name*, made if need be, and remember that *destinations* belong to it."""
        site = self._sites.get(name)
        if site is None:
            site = Site(name, limits or self._shaping.default, self._now_ms(), self._random)
            self._sites[name] = site
        elif limits is not None and limits != site.limits:
            site.limit_to(limits)
        for destination in destinations:
            self._known[destination] = _Known(name, self._now_ms())
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
            if destination not in site.destinations:
                site.destinations[destination] = None
                if len(site.destinations) > KEPT_DESTINATIONS:
                    del site.destinations[next(iter(site.destinations))]
        return site

    def unresolved(self, claim: Claim) -> None:
        """The hosts of *claim* could not be found: it is over."""
        self._looked_up(claim)
        self._forget(claim)

    def _looked_up(self, claim: Claim) -> None:
        left = self._resolving[claim.destination] - 1
        if left:
            self._resolving[claim.destination] = left
        else:
            del self._resolving[claim.destination]

    def wait(self, site: Site) -> None:
        """Have *site* take its turn."""
        if site.name not in self._waiting and len(site.ready):
            self._waiting.add(site.name)
            self._turns.append(site.name)

    def next(self) -> tuple[Site, Claim] | None:
        """Return the next claim to attempt, which now counts as under way; None without one or a slot."""
        if self.active >= self._attempts:
            return None
        now_ms = self._now_ms()
        while self._turns:
            name = self._turns.popleft()
            self._waiting.discard(name)
            site = self._sites[name]
            if not site.may_start(now_ms):
                # It gets in line again when one of its attempts ends, or its time comes (``due``).
                if site.next_start_ms(now_ms):
                    self._rated.add(name)
                continue
            claim = site.ready.next()
            if claim is None:
                continue
            site.started(now_ms)
            self.active += 1
            self.wait(site)
            return site, claim
        return None

    def due(self, now_ms: int) -> int | None:
        """Have the sites take turns whose rate lets more through; return when the next one's does."""
        soonest: int | None = None
        for name in list(self._rated):
            site = self._sites.get(name)
            at_ms = site.next_start_ms(now_ms) if site is not None else 0
            if at_ms:
                soonest = at_ms if soonest is None else min(soonest, at_ms)
                continue
            self._rated.discard(name)
            if site is not None:
                self.wait(site)
        return soonest

    def opens_ms(self, now_ms: int) -> int | None:
        """Return when the next site opens, or the rate of one lets more through, that has a line."""
        soonest: int | None = None
        for name in self._lines:
            site = self._sites.get(name)
            if site is None:
                continue
            for at_ms in (site.until_ms(now_ms, self.sources), site.next_start_ms(now_ms)):
                if at_ms > now_ms:
                    soonest = at_ms if soonest is None else min(soonest, at_ms)
        return soonest

    def ended(self, site: Site, claim: Claim) -> None:
        """An attempt has ended: the site has room for the next, while its outcomes are written down."""
        site.ended()
        self.active -= 1
        site.recipients -= len(claim.recipients)
        self.wait(site)

    def recorded(self, claim: Claim) -> None:
        """The outcomes of an attempt are written down: the claim is over."""
        self._forget(claim)

    def take_ready(self, site: Site | None = None) -> list[Claim]:
        """Take out and return what has not been started, at *site* or everywhere."""
        taken: list[Claim] = []
        for each in (site,) if site is not None else tuple(self._sites.values()):
            for claim in each.ready.take_all():
                each.recipients -= len(claim.recipients)
                self._forget(claim)
                taken.append(claim)
        return taken

    def sweep(self, now_ms: int) -> list[str]:
        """Forget sites that are idle and well; return their names."""
        gone = [
            name
            for name, site in self._sites.items()
            if now_ms - site.used_ms >= IDLE_MS and site.is_well(now_ms)
        ]
        for name in gone:
            del self._sites[name]
        return gone

    def _forget(self, claim: Claim) -> None:
        self.claimed -= len(claim.recipients)
        self._under_way.difference_update((claim.queue_id, number) for number, _ in claim.recipients)
