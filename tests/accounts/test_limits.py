"""Daily limits: counted once per message, for account and domain, reset at midnight UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fedaemon.accounts import directory, limits
from fedaemon.accounts.records import Account, Domain
from fedaemon.errors import Refused
from fedaemon.store.interface import Key
from fedaemon.store.spaces import SENT
from tests.fakes import MemoryTransaction

NOON_MS = 1_750_075_200_000  # 2025-06-16 12:00 UTC
ALICE = Account("alice@example.org")
BOB = Account("bob@example.org")


@pytest.fixture
def transaction() -> MemoryTransaction:
    transaction = MemoryTransaction({})
    directory.add_domain(transaction, Domain("example.org"))
    return transaction


def spend(
    transaction: MemoryTransaction,
    account: Account = ALICE,
    now_ms: int = NOON_MS,
    per_account: int = 3,
    per_domain: int = 0,
) -> None:
    limits.spend(transaction, account, now_ms, per_account=per_account, per_domain=per_domain)


def test_the_limit_and_its_refusal(transaction: MemoryTransaction) -> None:
    """Three are taken, the fourth is 450 4.7.1 with the time of the reset and the way to more."""
    for _ in range(3):
        spend(transaction)
    with pytest.raises(Refused) as refused:
        spend(transaction)
    assert (refused.value.code, refused.value.status) == (450, "4.7.1")
    assert "2025-06-17 00:00 UTC" in refused.value.text
    assert "fedaemonctl account set alice@example.org --daily-limit" in refused.value.text


def test_a_new_day_begins_at_midnight_utc(transaction: MemoryTransaction) -> None:
    """The last millisecond of the day is refused, the next is not."""
    midnight_ms = NOON_MS + 12 * 60 * 60 * 1000
    for _ in range(3):
        spend(transaction)
    with pytest.raises(Refused):
        spend(transaction, now_ms=midnight_ms - 1)
    spend(transaction, now_ms=midnight_ms)


def test_the_domain_shares_one_limit(transaction: MemoryTransaction) -> None:
    """Two accounts of a domain use it up together; the refused message counts for nobody."""
    spend(transaction, ALICE, per_domain=2)
    spend(transaction, BOB, per_domain=2)
    with pytest.raises(Refused, match=r"example\.org has sent the 2"):
        spend(transaction, BOB, per_domain=2)
    assert limits.left(transaction, BOB, NOON_MS, per_account=3, per_domain=0) == 2


def test_own_limits_go_before_the_settings(transaction: MemoryTransaction) -> None:
    """An account's and a domain's own number count, 0 is none, None is the settings'."""
    directory.put_domain(transaction, Domain("example.org", daily_limit=5))

    def left(account: Account, per_account: int = 3, per_domain: int = 0) -> int | None:
        return limits.left(transaction, account, NOON_MS, per_account=per_account, per_domain=per_domain)

    assert left(ALICE) == 3
    assert left(replace(ALICE, daily_limit=4)) == 4
    assert left(replace(ALICE, daily_limit=0)) == 5
    directory.put_domain(transaction, Domain("example.org", daily_limit=0))
    assert left(replace(ALICE, daily_limit=0), per_domain=7) is None


def test_without_limits_nothing_is_counted(transaction: MemoryTransaction) -> None:
    """No limit, no counter: it would only cost."""
    spend(transaction, per_account=0)
    assert list(transaction.scan((SENT,))) == []


def test_check_does_not_count(transaction: MemoryTransaction) -> None:
    """Asking whether something is left costs nothing, and refuses when nothing is."""
    for _ in range(5):
        limits.check(transaction, ALICE, NOON_MS, per_account=1, per_domain=0)
    spend(transaction, per_account=1)
    with pytest.raises(Refused):
        limits.check(transaction, ALICE, NOON_MS, per_account=1, per_domain=0)


def test_old_counters_go(transaction: MemoryTransaction) -> None:
    """Each new counter takes up to twenty of earlier days with it, none of today."""
    today = NOON_MS // limits.DAY_MS

    def counters() -> Iterator[Key]:
        return (key for key, _ in transaction.scan((SENT,)))

    for number in range(50):
        spend(transaction, Account(f"a{number}@example.org"), NOON_MS - limits.DAY_MS)
    for number in range(3):
        spend(transaction, Account(f"a{number}@example.org"), NOON_MS)
    assert sorted(key[1] for key in counters()) == [today] * 3
