"""How many messages an account and a domain may send a day.

A message counts once, however many recipients it has, and in the transaction that accepts it: what was
refused or failed costs nothing, and no message slips through between counting and accepting.

Standards: RFC 5321 4.2.2 (450), RFC 3463 (4.7.1).
Invariants: a day is a day of UTC; a limit reached is a temporary refusal that names the time of the reset.
Limits: counters of earlier days are removed as new ones are made, so that their number does not grow with
time.
"""

from __future__ import annotations

from datetime import UTC, datetime

from fedaemon.accounts.directory import get_domain
from fedaemon.accounts.records import Account
from fedaemon.errors import Refused
from fedaemon.store import records
from fedaemon.store.interface import Key, Snapshot, Transaction
from fedaemon.store.spaces import SENT

DAY_MS = 24 * 60 * 60 * 1000

PRUNED_AT_ONCE = 20
"""Old counters removed for each new one: several, so that they run out; few, so that no message waits."""


def check(snapshot: Snapshot, account: Account, now_ms: int, *, per_account: int, per_domain: int) -> None:
    """Raise ``Refused`` when *account* or its domain has nothing left to send today.

    :param per_account: the settings' default for an account without a limit of its own; 0 is none.
    :param per_domain: likewise for a domain.
    """
    _sent(snapshot, account, now_ms, per_account, per_domain)


def spend(
    transaction: Transaction, account: Account, now_ms: int, *, per_account: int, per_domain: int
) -> None:
    """Count one message of *account* and its domain; parameters and errors as in ``check``."""
    for key, sent in _sent(transaction, account, now_ms, per_account, per_domain):
        if sent == 0:
            _prune(transaction, now_ms // DAY_MS)
        transaction.put(key, records.encode({"sent": sent + 1}))


def left(
    snapshot: Snapshot, account: Account, now_ms: int, *, per_account: int, per_domain: int
) -> int | None:
    """Return how many messages *account* can still send today, None when nothing limits it."""
    rest = [
        max(0, limit - _count(snapshot, key))
        for key, limit in _counters(snapshot, account, now_ms, per_account, per_domain)
    ]
    return min(rest, default=None)


def _sent(
    snapshot: Snapshot, account: Account, now_ms: int, per_account: int, per_domain: int
) -> list[tuple[Key, int]]:
    """Return each counter that limits *account* with its value; raise when one has reached its limit."""
    found: list[tuple[Key, int]] = []
    for key, limit in _counters(snapshot, account, now_ms, per_account, per_domain):
        sent = _count(snapshot, key)
        if sent >= limit:
            raise _reached(str(key[2]), str(key[3]), limit, now_ms)
        found.append((key, sent))
    return found


def _counters(
    snapshot: Snapshot, account: Account, now_ms: int, per_account: int, per_domain: int
) -> list[tuple[Key, int]]:
    """Return the keys of the counters that limit *account*, each with its limit."""
    day = now_ms // DAY_MS
    domain = get_domain(snapshot, account.domain)
    own = per_account if account.daily_limit is None else account.daily_limit
    shared = per_domain if domain is None or domain.daily_limit is None else domain.daily_limit
    counters: list[tuple[Key, int]] = []
    if own:
        counters.append(((SENT, day, "account", account.address), own))
    if shared:
        counters.append(((SENT, day, "domain", account.domain), shared))
    return counters


def _count(snapshot: Snapshot, key: Key) -> int:
    value = snapshot.get(key)
    return 0 if value is None else int(records.decode(value)["sent"])


def _reached(kind: str, name: str, limit: int, now_ms: int) -> Refused:
    reset = datetime.fromtimestamp((now_ms // DAY_MS + 1) * DAY_MS / 1000, UTC)
    return Refused(
        f"{name} has sent the {limit} messages it may send a day; the count starts again at "
        f"{reset:%Y-%m-%d %H:%M} UTC. To raise the limit: fedaemonctl {kind} set {name} --daily-limit N",
        code=450,
        status="4.7.1",
    )


def _prune(transaction: Transaction, day: int) -> None:
    """Remove some counters of earlier days."""
    old = [key for key, _ in transaction.scan((SENT, 0), (SENT, day), limit=PRUNED_AT_ONCE)]
    for key in old:
        transaction.delete(key)
