"""Counts how TLS sessions went under which policy, for the reports that domains ask for (TLSRPT).

Counts are kept in memory and added to the store each minute and at the stop, so that a session costs no
transaction. A crash loses at most a minute of them.

Standards: RFC 8460 4.2 to 4.4 (what is counted, policy types, result types), 1.1 (days are UTC days).
Invariants: what cannot be stored is kept and stored later.
Limits: ``MAX_PENDING`` different counts in memory (beyond that a failure is counted without its host, and what
is new even so is not counted); ``MAX_HOSTS`` hosts for a failure of one policy and day (further ones are counted
under ""); ``KEPT_DAYS``.
Known gaps: counted only; no reports are sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from twisted.internet.defer import Deferred

from fedaemon.delivery.schedule import DAY_MS
from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.store.interface import Key, Snapshot, Store, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import TLS_RESULT
from fedaemon.store.turns import in_background

PolicyType = Literal["tlsa", "sts", "no-policy-found"]

FLUSH_S: Final = 60.0
MAX_PENDING: Final = 10_000
MAX_HOSTS: Final = 100
KEPT_DAYS: Final = 30
PRUNED_AT_ONCE: Final = 1000

UNSPECIFIED: Final = "validation-failure"
"""The result type for what no other fits (RFC 8460 4.3.3)."""

_Counted = tuple[int, str, str, str, str]
"""Day, policy domain, policy type, failure ("" for a success), host ("" for a success)."""

_log = Logger()


@dataclass(frozen=True, slots=True)
class FailedSessions:
    """How many sessions failed in one way with one host ("" for none in particular)."""

    failure: str
    host: str
    count: int


@dataclass(frozen=True, slots=True)
class DayResult:
    """How the sessions of one day went under one policy."""

    policy_domain: str
    policy: str
    succeeded: int
    failed: tuple[FailedSessions, ...]


def policy_type(policy: str) -> PolicyType | None:
    """Return the type of a ``HostTls.policy``; None for what only our own settings or a message demand.

    Spec: RFC 8460 4.2
    """
    if policy == "dane":
        return "tlsa"
    if policy.startswith("mta-sts"):
        return "sts"
    return "no-policy-found" if policy == "opportunistic" else None


class TlsResults:
    """The counts.

    :param clock: gives ``callLater``.
    :param now_ms: returns the time in milliseconds since the epoch.
    """

    def __init__(self, store: Store, clock: Any, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._now_ms = now_ms
        self._pending: Counter[_Counted] = Counter()
        self._call: Any = None
        self._writing: Deferred[None] | None = None
        self._pruned_day = -1

    def start(self) -> None:
        """Begin to store what is counted."""
        self._call = self._clock.callLater(FLUSH_S, self._due)

    def stop(self) -> Deferred[None]:
        """Store what is left; fires when that is done, never fails."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        return in_background(self._stop(), "storing TLS results")

    async def _stop(self) -> None:
        if self._writing is not None:
            await self._writing
        await self._flush()

    def record(self, policy_domain: str, policy: str, host: str, succeeded: bool, failure: str) -> None:
        """Count one session.

        :param policy_domain: the domain whose policy it was.
        :param policy: a ``PolicyType``.
        :param host: the mail server; "" when the failure is one of the policy itself.
        :param failure: a result type of RFC 8460 4.3; only for a session that failed.
        """
        day = self._now_ms() // DAY_MS
        counted = (day, policy_domain, policy, "", "")
        if not succeeded:
            counted = (day, policy_domain, policy, failure or UNSPECIFIED, host)
        if counted not in self._pending and len(self._pending) >= MAX_PENDING:
            counted = (*counted[:4], "")
            if counted not in self._pending:
                return
        self._pending[counted] += 1

    def _due(self) -> None:
        self._call = self._clock.callLater(FLUSH_S, self._due)
        if self._writing is None:
            self._writing = in_background(self._flush(), "storing TLS results")
            self._writing.addCallback(self._written)

    def _written(self, _: None) -> None:
        self._writing = None

    async def _flush(self) -> None:
        """Add what was counted to the store, and remove what is too old."""
        today = self._now_ms() // DAY_MS
        pending, self._pending = self._pending, Counter()
        prune = today != self._pruned_day
        if not pending and not prune:
            return

        def work(transaction: Transaction) -> bool:
            add(transaction, pending)
            return prune_before(transaction, max(0, today - KEPT_DAYS)) if prune else False

        try:
            more = await self._store.write(work)
        except MailError as error:
            _log.warn("results of TLS wait for the store", event="tls-results-unwritten", reason=error.text)
            for counted, number in pending.items():
                if counted in self._pending or len(self._pending) < MAX_PENDING:
                    self._pending[counted] += number
            return
        if not more:
            self._pruned_day = today


def add(transaction: Transaction, counts: Counter[_Counted]) -> None:
    """Add *counts* to the records."""
    records: dict[Key, dict[str, Any]] = {}
    for (day, domain, policy, failure, host), number in counts.items():
        key: Key = (TLS_RESULT, day, domain, policy)
        if key not in records:
            value = transaction.get(key)
            records[key] = {"succeeded": 0, "failed": {}} if value is None else decode(value)
        record = records[key]
        if not failure:
            record["succeeded"] += number
            continue
        hosts = record["failed"].setdefault(failure, {})
        known = host if host in hosts or len(hosts) < MAX_HOSTS else ""
        hosts[known] = hosts.get(known, 0) + number
    for key, record in records.items():
        transaction.put(key, encode(record))


def prune_before(transaction: Transaction, day: int) -> bool:
    """Remove results of the days before *day*; return True when there may be more."""
    old = list(transaction.scan((TLS_RESULT, 0), (TLS_RESULT, day), limit=PRUNED_AT_ONCE))
    for key, _ in old:
        transaction.delete(key)
    return len(old) == PRUNED_AT_ONCE


def results(snapshot: Snapshot, day: int) -> list[DayResult]:
    """Return the results of a day (days since 1970-01-01 UTC), by policy domain and type."""
    found = []
    for key, value in snapshot.scan((TLS_RESULT, day)):
        record = decode(value)
        failed = [
            FailedSessions(failure, host, number)
            for failure, hosts in sorted(record["failed"].items())
            for host, number in sorted(hosts.items())
        ]
        found.append(DayResult(str(key[2]), str(key[3]), record["succeeded"], tuple(failed)))
    return found


def days(snapshot: Snapshot) -> list[int]:
    """Return the days of which there are results, in order."""
    found: list[int] = []
    key: Key = (TLS_RESULT, 0)
    while entry := next(iter(snapshot.scan(key, (TLS_RESULT, 2**63), limit=1)), None):
        day = entry[0][1]
        assert isinstance(day, int)
        found.append(day)
        key = (TLS_RESULT, day + 1)
    return found
