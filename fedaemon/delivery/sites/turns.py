"""Turns: what waits in memory for one site, shared fairly between the lanes.

Deficit round robin: each lane has its turn, and may spend what it has saved up; a message to a hundred
recipients, or a large one, costs as many turns as it makes work. Urgent lanes go before normal ones, those
before non-urgent ones.

Standards: RFC 6710 4.1 (priorities).
Invariants: a lane that is empty keeps no savings; among lanes of one class none waits longer than the others
take one turn each, times the cost of its own message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from fedaemon.delivery.claiming import Claim
from fedaemon.delivery.records import CLASSES

OCTETS_OF_A_TURN: Final = 256 * 1024
"""A message costs one turn for each recipient, and one more for each quarter of a megabyte."""


def cost(claim: Claim) -> int:
    """Return how many turns an attempt costs its lane."""
    return len(claim.recipients) + claim.message.size // OCTETS_OF_A_TURN


class Turns:
    """The claims that are ready at one site; ``len()`` is how many."""

    __slots__ = ("_count", "_lanes", "_rings", "_savings")

    def __init__(self) -> None:
        self._count = 0
        self._lanes: dict[str, deque[Claim]] = {}
        self._savings: dict[str, int] = {}
        self._rings: dict[str, deque[str]] = {each: deque() for each in CLASSES}

    def __len__(self) -> int:
        return self._count

    def add(self, claim: Claim) -> None:
        """Put *claim* behind what its lane has ready."""
        lane = self._lanes.get(claim.lane)
        if lane is None:
            lane = self._lanes[claim.lane] = deque()
            self._savings[claim.lane] = 0
            self._rings[claim.lane[0]].append(claim.lane)
        lane.append(claim)
        self._count += 1

    def next(self) -> Claim | None:
        """Take out the claim whose turn it is, None when nothing is ready."""
        for ring in self._rings.values():
            if ring:
                return self._next(ring)
        return None

    def _next(self, ring: deque[str]) -> Claim:
        while True:
            name = ring[0]
            lane = self._lanes[name]
            price = cost(lane[0])
            if len(ring) > 1 and self._savings[name] + 1 < price:
                self._savings[name] += 1
                ring.rotate(-1)
                continue
            claim = lane.popleft()
            self._count -= 1
            ring.popleft()
            if lane:
                self._savings[name] = max(0, self._savings[name] + 1 - price)
                ring.append(name)
            else:
                del self._lanes[name], self._savings[name]
            return claim

    def take_all(self) -> Iterator[Claim]:
        """Take out everything, lane by lane."""
        lanes = list(self._lanes.values())
        self._count = 0
        self._lanes.clear()
        self._savings.clear()
        for ring in self._rings.values():
            ring.clear()
        for lane in lanes:
            yield from lane
