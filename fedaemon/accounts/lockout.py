"""Guessing passwords is made slow: failed logins are counted per address and per login name, and too many
lock out.

Counted are guesses, not attempts: a mail program that keeps trying its outdated password counts once, so
that it does not lock out the office behind the same address. A success forgives the failures of that login
only; otherwise somebody with an account of their own could guess at others for ever.

A login name that is attacked from many addresses is locked, too, but not for addresses from which it has
logged in before: otherwise anybody could lock anybody out. A locked name answers the same whether it exists
or not.

Invariants: while locked, no password is looked at, not even the right one; no waiting, no clock but the one
given.
Limits: the most recent 10,000 networks and names; older ones are forgotten. The count is in memory and per
process.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fedaemon.errors import LoginRefused

WINDOW_S = 3600.0
MAX_ENTRIES = 10_000
LOGIN_FACTOR = 5
"""A name may fail this many times as often as an address: it takes several addresses to lock it."""

WIDE_FACTOR = 5
"""An IPv6 /48 may fail this many times as often as a /64: many customers are given a whole one."""

MAX_DELAY_S = 5.0


@dataclass(frozen=True, slots=True)
class _Failure:
    """One wrong guess; *login* and *guess* are hashes."""

    at_s: float
    login: int
    guess: int | None


class Lockout:
    """Counts failed logins.

    :param clock: returns the time in seconds since the epoch.
    :param failures_per_hour: wrong guesses of one address in an hour before it is locked out; 0 never locks
        nor delays.
    """

    def __init__(self, clock: Callable[[], float], failures_per_hour: int = 10) -> None:
        self._clock = clock
        self._limit = failures_per_hour
        self._networks: OrderedDict[str, deque[_Failure]] = OrderedDict()
        self._logins: OrderedDict[int, deque[float]] = OrderedDict()
        self._known: OrderedDict[tuple[int, str], None] = OrderedDict()

    def check(self, peer: str, login: str) -> None:
        """Raise unless *peer* may try a password.

        :param peer: IP address in text form.
        :param login: the login name as canonical as it gets; it need not exist.
        :raises Refused: 454 4.7.0 with the time when it is over.
        """
        if not self._limit:
            return
        now = self._clock()
        networks = networks_of(peer)
        for network, factor in networks:
            failures = self._recent(network, now)
            if failures is not None and len(failures) >= self._limit * factor:
                raise _locked(f"your address ({peer})", failures[0].at_s + WINDOW_S)
        times = self._recent_times(hash(login), now)
        if times is not None and len(times) >= self._limit * LOGIN_FACTOR:
            if (hash(login), networks[0][0]) in self._known:
                return
            raise _locked("this user name", times[0] + WINDOW_S)

    def failed(self, peer: str, login: str, guess: bytes | None) -> float:
        """Count a wrong guess; return for how many seconds its answer should be held back.

        :param guess: a digest of what was tried, by which the same guess is recognised; None when there is
            none.
        """
        if not self._limit:
            return 0.0
        now = self._clock()
        failure = _Failure(now, hash(login), None if guess is None else hash(guess))
        is_new = True
        count = 0
        for network, factor in networks_of(peer):
            failures = self._recent(network, now)
            if failures is None:
                failures = self._networks[network] = deque(maxlen=self._limit * factor)
                _forget_oldest(self._networks)
            self._networks.move_to_end(network)
            if guess is None or not any(
                (earlier.login, earlier.guess) == (failure.login, failure.guess) for earlier in failures
            ):
                failures.append(failure)
            elif factor == 1:
                is_new = False
            if factor == 1:
                count = len(failures)
        if is_new:
            self._count_login(failure.login, now)
        return min(MAX_DELAY_S, float(count - 1))

    def succeeded(self, peer: str, login: str) -> None:
        """Forgive the failures of *login* from *peer*, and remember that it logs in from there."""
        if not self._limit:
            return
        name = hash(login)
        networks = networks_of(peer)
        for network, _ in networks:
            failures = self._networks.get(network)
            if failures is None:
                continue
            others = [failure for failure in failures if failure.login != name]
            if others:
                self._networks[network] = deque(others, failures.maxlen)
            else:
                del self._networks[network]
        place = (name, networks[0][0])
        self._known[place] = None
        self._known.move_to_end(place)
        _forget_oldest(self._known)

    def _count_login(self, login: int, now: float) -> None:
        times = self._recent_times(login, now)
        if times is None:
            times = self._logins[login] = deque(maxlen=self._limit * LOGIN_FACTOR)
            _forget_oldest(self._logins)
        self._logins.move_to_end(login)
        times.append(now)

    def _recent(self, network: str, now: float) -> deque[_Failure] | None:
        """Return the failures of *network* in the last hour, None when there are none."""
        failures = self._networks.get(network)
        if failures is None:
            return None
        while failures and failures[0].at_s <= now - WINDOW_S:
            failures.popleft()
        if not failures:
            del self._networks[network]
            return None
        return failures

    def _recent_times(self, login: int, now: float) -> deque[float] | None:
        times = self._logins.get(login)
        if times is None:
            return None
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        if not times:
            del self._logins[login]
            return None
        return times


@lru_cache(1024)
def networks_of(peer: str) -> tuple[tuple[str, int], ...]:
    """Return the networks that failures of *peer* count for, narrowest first, each with its factor.

    An IPv4 address (also written as "::ffff:192.0.2.1") counts alone; of IPv6 a /64 is what one machine can
    choose from.
    """
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return ((peer, 1),)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return ((str(address.ipv4_mapped), 1),)
        number = int(address)
        return ((f"{number >> 64:x}/64", 1), (f"{number >> 80:x}/48", WIDE_FACTOR))
    return ((str(address), 1),)


def _forget_oldest(entries: OrderedDict[Any, Any]) -> None:
    while len(entries) > MAX_ENTRIES:
        entries.popitem(last=False)


def _locked(what: str, over_s: float) -> LoginRefused:
    # The next full minute: "try again after" must hold when it is read to the minute.
    over = time.strftime("%H:%M", time.gmtime(over_s + 60))
    return LoginRefused(
        f"Too many failed logins for {what}: try again after {over} UTC", code=454, status="4.7.0"
    )
