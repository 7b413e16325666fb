"""Every open connection in one place: how many there are for whom, and which have waited too long.

One periodic sweep compares deadlines, so that a connection costs no timer of its own: setting a deadline is
storing a number.

Limits: total, per network address (an IPv6 /64 counts as one, because a customer has at least that), and per
account.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall

from fedaemon.errors import Refused

SWEEP_INTERVAL_S = 5.0
"""How late a time-out may be noticed; the standard's time-outs are minutes."""
STOP_SWEEP_S = 0.5
"""The same while the server stops."""
FOREVER = float("inf")


class Session(Protocol):
    """A connection as the registry sees it; *deadline* is on the clock of the registry, or FOREVER."""

    deadline: float

    def timed_out(self) -> None:
        """The deadline has passed: say so to the peer and close."""

    def shut_down(self) -> None:
        """The server stops: say so to the peer as soon as nothing is under way, and close."""


class Sessions:
    """The registry.

    :param clock: the reactor, or a test's clock.
    :param total, per_address, per_account: limits; 0 is no limit.
    """

    def __init__(self, clock: Any, *, total: int = 0, per_address: int = 0, per_account: int = 0) -> None:
        self._clock = clock
        self.configure(total=total, per_address=per_address, per_account=per_account)
        self._sessions: dict[Session, str] = {}
        self._accounts: dict[Session, str] = {}
        self._by_address: Counter[str] = Counter()
        self._by_account: Counter[str] = Counter()
        self._sweep = LoopingCall(self._close_overdue)
        self._sweep.clock = clock
        self._empty: Deferred[None] | None = None

    def configure(self, *, total: int, per_address: int, per_account: int) -> None:
        """Change the limits; connections beyond a lower one stay."""
        self._total = total
        self._per_address = per_address
        self._per_account = per_account

    def start(self) -> None:
        """Begin to look at deadlines."""
        self._sweep.start(SWEEP_INTERVAL_S, now=False)

    def __len__(self) -> int:
        return len(self._sessions)

    def now(self) -> float:
        """Return the time on which deadlines are set."""
        seconds: float = self._clock.seconds()
        return seconds

    def admit(self, session: Session, address: str) -> None:
        """Count a new connection from *address*; ``Refused`` (421) when there are too many already."""
        key = network_of(address)
        if self._total and len(self._sessions) >= self._total:
            raise Refused("too many connections, try again later", code=421, status="4.3.2")
        if self._per_address and self._by_address[key] >= self._per_address:
            raise Refused(
                "too many connections from your address; close some or wait a moment",
                code=421,
                status="4.7.0",
            )
        self._sessions[session] = key
        self._by_address[key] += 1

    def login(self, session: Session, account: str) -> None:
        """Count *session* for *account*; ``Refused`` (421) when it has too many already."""
        if session not in self._sessions:
            # It left while its password was being checked: nobody would take it off the count again.
            return
        if self._per_account and self._by_account[account] >= self._per_account:
            raise Refused(f"too many connections of {account}; close some first", code=421, status="4.7.0")
        self._accounts[session] = account
        self._by_account[account] += 1

    def logout(self, session: Session) -> None:
        """Count *session* for no account any more; its connection stays."""
        account = self._accounts.pop(session, None)
        if account is not None:
            _decrease(self._by_account, account)

    def all(self) -> list[Session]:
        """Return every session."""
        return list(self._sessions)

    def logged_in(self) -> list[Session]:
        """Return the sessions that have logged in."""
        return list(self._accounts)

    def leave(self, session: Session) -> None:
        """Forget a connection that has ended; harmless for one that was never admitted."""
        key = self._sessions.pop(session, None)
        if key is None:
            return
        _decrease(self._by_address, key)
        self.logout(session)
        if not self._sessions and self._empty is not None:
            self._empty.callback(None)
            self._empty = None

    def of_account(self, account: str) -> list[Session]:
        """Return the sessions that are logged in as *account*."""
        return [session for session, name in self._accounts.items() if name == account]

    def stop(self, grace_s: float) -> Deferred[None]:
        """Ask every session to end; fire when the last has, or after *grace_s* seconds."""
        if self._sweep.running:
            self._sweep.stop()
        for session in list(self._sessions):
            session.shut_down()
        if not self._sessions:
            return succeed(None)
        self._sweep.start(STOP_SWEEP_S, now=False)
        empty: Deferred[None] = Deferred()
        self._empty = empty
        # At the end of the grace the waiting ends, and the reactor closes what is still open.
        empty.addTimeout(grace_s, self._clock, lambda result, timeout: None)
        return empty.addBoth(lambda _: self._sweep.stop())

    def _close_overdue(self) -> None:
        now = self._clock.seconds()
        for session in [session for session in self._sessions if session.deadline < now]:
            session.timed_out()


def network_of(address: str) -> str:
    """Return what an address counts as: itself for IPv4, its /64 for IPv6."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def _decrease(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
