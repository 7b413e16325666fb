"""The bounded part of the queue that is in memory: what was claimed and waits for its turn or is under way.

Destinations take turns; each has a limit of attempts at a time, and one that is at its limit stands in
nobody's way.

Limits: *recipients* in all, *attempts* at a time, *per_destination* attempts at a time for each. A
destination may have as many messages again waiting here, so that the next attempt need not wait for a
transaction, and a quarter of all recipients.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from fedaemon.delivery.queue import Claim

RECIPIENTS: Final = 1000
ATTEMPTS: Final = 100
PER_DESTINATION: Final = 20


@dataclass(slots=True)
class _Site:
    """One destination: claims that are ready, and how many attempts and recipients it has here."""

    ready: deque[Claim] = field(default_factory=deque)
    active: int = 0
    recipients: int = 0


class Window:
    """Claims in memory. *active* counts attempts under way, *claimed* recipients in all."""

    def __init__(
        self, recipients: int = RECIPIENTS, attempts: int = ATTEMPTS, per_destination: int = PER_DESTINATION
    ) -> None:
        self.active = 0
        self.claimed = 0
        self._recipients = recipients
        self._attempts = attempts
        self.per_destination = per_destination
        self._share = max(1, recipients // 4)
        self._sites: dict[str, _Site] = {}
        self._turns: deque[str] = deque()
        self._under_way: set[tuple[str, int]] = set()

    @property
    def free(self) -> int:
        """How many more recipients may be claimed."""
        return max(0, self._recipients - self.claimed)

    @property
    def messages(self) -> int:
        """How many messages may be claimed for a destination that has none here."""
        return 2 * self.per_destination

    def room(self) -> dict[str, int]:
        """Return how many more messages may be claimed for each destination that has some here."""
        return {
            destination: 0
            if site.recipients >= self._share
            else max(0, self.messages - site.active - len(site.ready))
            for destination, site in self._sites.items()
        }

    def under_way(self) -> frozenset[tuple[str, int]]:
        """Return (queue id, number) of all recipients here."""
        return frozenset(self._under_way)

    def add(self, claims: Iterable[Claim]) -> None:
        """Take in *claims*."""
        for claim in claims:
            site = self._sites.setdefault(claim.destination, _Site())
            if not site.ready and site.active < self.per_destination:
                self._turns.append(claim.destination)
            site.ready.append(claim)
            site.recipients += len(claim.recipients)
            self.claimed += len(claim.recipients)
            self._under_way.update((claim.queue_id, number) for number, _ in claim.recipients)

    def next(self) -> Claim | None:
        """Return the next claim to attempt, which now counts as under way; None without one or a slot."""
        if self.active >= self._attempts or not self._turns:
            return None
        destination = self._turns.popleft()
        site = self._sites[destination]
        claim = site.ready.popleft()
        site.active += 1
        self.active += 1
        if site.ready and site.active < self.per_destination:
            self._turns.append(destination)
        return claim

    def done(self, claim: Claim) -> bool:
        """An attempt has ended; return True when it is time to claim more."""
        site = self._sites[claim.destination]
        was_full = site.active >= self.per_destination
        site.active -= 1
        self.active -= 1
        self._forget(site, claim)
        if was_full and site.ready:
            self._turns.append(claim.destination)
        if not site.active and not site.ready:
            del self._sites[claim.destination]
        return self.free > self._recipients // 20 and len(site.ready) <= self.per_destination // 2

    def take_ready(self) -> list[Claim]:
        """Take out and return what has not been started."""
        taken: list[Claim] = []
        for destination, site in list(self._sites.items()):
            for claim in site.ready:
                self._forget(site, claim)
                taken.append(claim)
            site.ready.clear()
            if not site.active:
                del self._sites[destination]
        self._turns.clear()
        return taken

    def _forget(self, site: _Site, claim: Claim) -> None:
        site.recipients -= len(claim.recipients)
        self.claimed -= len(claim.recipients)
        self._under_way.difference_update((claim.queue_id, number) for number, _ in claim.recipients)
