"""The suppression list: who is put on it, who is not, how it ends, and that its keys stay whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon import counters
from fedaemon.delivery import suppression
from fedaemon.delivery.suppression import BOUNCED, COMPLAINED, MANUAL, Suppression
from fedaemon.store.keys import encode_key
from tests.fakes import MemoryTransaction

ALICE, BOB, GONE = "alice@example.test", "bob@example.test", "gone@else.test"
REPLY = "550 5.1.1 no such user"
NOW, KEEP = 1_700_000_000_000, 14 * 86_400_000


def note(
    transaction: MemoryTransaction,
    *,
    address: str = GONE,
    category: str = BOUNCED,
    now_ms: int = NOW,
    keep_ms: int = KEEP,
) -> bool:
    """Note a bounce of alice's mail."""
    return suppression.note_bounce(transaction, ALICE, address, category, REPLY, now_ms, keep_ms)


@pytest.fixture
def store() -> MemoryTransaction:
    """An empty store."""
    return MemoryTransaction({})


def test_a_bounce_suppresses_the_address_for_its_sender(store: MemoryTransaction) -> None:
    """Until the time is over, in every spelling of the address, and for nobody else."""
    assert note(store, address="Gone@else.test")
    found = suppression.find(store, ALICE, GONE, NOW + KEEP - 1)
    assert found == Suppression(ALICE, GONE, NOW, NOW + KEEP, BOUNCED, REPLY, 1)
    assert suppression.find(store, ALICE, GONE, NOW + KEEP) is None
    assert suppression.find(store, BOB, GONE, NOW) is None
    assert suppression.find(store, ALICE, "other@else.test", NOW) is None


@pytest.mark.parametrize("category", ["policy", "spam", "capacity", "block", "", "other", MANUAL])
def test_other_refusals_suppress_nothing(store: MemoryTransaction, category: str) -> None:
    """They are about the message or the day, not about the address."""
    assert not note(store, category=category)
    assert store.entries == {}


def test_switched_off_and_without_an_account(store: MemoryTransaction) -> None:
    """No time to keep it, or nobody whose mail it was: nothing is written."""
    assert not note(store, keep_ms=0)
    assert not suppression.note_bounce(store, "", GONE, BOUNCED, REPLY, NOW, KEEP)
    assert store.entries == {}


def test_again_is_counted_and_lasts_longer(store: MemoryTransaction) -> None:
    """The beginning stays, the end moves, and there is still one entry and one key by time."""
    note(store)
    note(store, now_ms=NOW + 1000, category=COMPLAINED)
    found = suppression.find(store, ALICE, GONE, NOW)
    assert found is not None
    assert (found.since_ms, found.until_ms, found.count) == (NOW, NOW + 1000 + KEEP, 2)
    assert found.category == COMPLAINED
    note(store, now_ms=NOW + 2000, keep_ms=1)
    assert [entry.until_ms for entry in suppression.listing(store)] == [NOW + 1000 + KEEP]
    assert len(store.entries) == 2


def test_one_that_ran_out_begins_anew(store: MemoryTransaction) -> None:
    """What was long ago is not counted on."""
    note(store)
    note(store, now_ms=NOW + 2 * KEEP)
    found = suppression.find(store, ALICE, GONE, NOW + 2 * KEEP)
    assert found is not None and (found.since_ms, found.count) == (NOW + 2 * KEEP, 1)
    assert len(store.entries) == 2


def test_a_bounce_does_not_end_an_entry_without_end(store: MemoryTransaction) -> None:
    """What an administrator put in for good stays for good."""
    suppression.put(store, Suppression(ALICE, GONE, NOW, 0, MANUAL))
    note(store)
    found = suppression.find(store, ALICE, GONE, NOW + 100 * KEEP)
    assert found is not None and found.until_ms == 0


def test_remove(store: MemoryTransaction) -> None:
    """Nothing is left; a second time there is nothing to remove."""
    note(store)
    assert suppression.remove(store, ALICE, GONE)
    assert store.entries == {}
    assert not suppression.remove(store, ALICE, GONE)


def test_listing(store: MemoryTransaction) -> None:
    """All, or one account's, by address; the keys by time are no entries."""
    for account, address in ((BOB, "x@else.test"), (ALICE, "z@else.test"), (ALICE, "y@else.test")):
        suppression.put(store, Suppression(account, address, NOW, NOW + 1, MANUAL))
    assert [(entry.account, entry.address[0]) for entry in suppression.listing(store)] == [
        (ALICE, "y"),
        (ALICE, "z"),
        (BOB, "x"),
    ]
    assert [entry.address for entry in suppression.listing(store, BOB)] == ["x@else.test"]


def test_sweep(store: MemoryTransaction) -> None:
    """What has run out goes, the oldest first, at most so many at a time; the rest stays."""
    for number in range(5):
        suppression.put(store, Suppression(ALICE, f"{number}@else.test", NOW, NOW + 5 - number, MANUAL))
    suppression.put(store, Suppression(ALICE, "ever@else.test", NOW, 0, MANUAL))
    assert suppression.sweep(store, NOW + 4, 3) == 3
    assert [entry.address[0] for entry in suppression.listing(store)] == ["0", "1", "e"]
    assert suppression.sweep(store, NOW + 4, 3) == 1
    assert suppression.sweep(store, NOW + 4, 3) == 0
    assert [entry.address[0] for entry in suppression.listing(store)] == ["0", "e"]


def test_the_longest_addresses_have_keys(store: MemoryTransaction) -> None:
    """Account and address of full length fit into a key, are told apart, and are listed as they are."""
    long = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 63}.example"
    account, other = long[:-7] + "test", "z" + long[1:]
    for address in (long, other):
        suppression.put(store, Suppression(account, address, NOW, NOW + 1, MANUAL))
    for key in store.entries:
        assert encode_key(key)
    assert [entry.address for entry in suppression.listing(store)] in ([long, other], [other, long])
    assert suppression.find(store, account, other, NOW) == Suppression(account, other, NOW, NOW + 1, MANUAL)
    assert suppression.sweep(store, NOW + 1, 10) == 2
    assert store.entries == {}


def test_it_is_counted_when_it_is_durable(store: MemoryTransaction) -> None:
    """A transaction that is run twice or fails counts nothing."""
    before = counters.snapshot()
    note(store)
    assert counters.snapshot() == before
    for after in store.committed:
        after()
    assert counters.snapshot() != before


accounts = st.sampled_from([ALICE, BOB])
targets = st.sampled_from([GONE, "x@else.test"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("note"), accounts, targets, st.integers(1, 5)),
        st.tuples(st.just("put"), accounts, targets, st.integers(0, 5)),
        st.tuples(st.just("remove"), accounts, targets, st.just(0)),
        st.tuples(st.just("sweep"), accounts, targets, st.integers(1, 3)),
    ),
    max_size=20,
)


@given(steps)
def test_the_keys_by_time_equal_the_entries(todo: list[tuple[str, str, str, int]]) -> None:
    """Whatever is done, in whatever order: sweeping after the end of time leaves only entries without end."""
    store = MemoryTransaction({})
    for now, (what, account, address, number) in enumerate(todo):
        if what == "note":
            suppression.note_bounce(store, account, address, BOUNCED, REPLY, now, number)
        elif what == "put":
            until_ms = now + number if number else 0
            suppression.put(store, Suppression(account, address, now, until_ms, MANUAL))
        elif what == "remove":
            suppression.remove(store, account, address)
        else:
            suppression.sweep(store, now, number)
        ending = [entry for entry in suppression.listing(store) if entry.until_ms]
        assert len(store.entries) == len(list(suppression.listing(store))) + len(ending)
    suppression.sweep(store, 1000, 1000)
    assert all(entry.until_ms == 0 for entry in suppression.listing(store))
    assert len(store.entries) == len(list(suppression.listing(store)))
