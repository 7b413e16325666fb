"""The lock-out counts guesses by network and by name, in a window of an hour, in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from fedaemon.accounts import lockout as lockout_module
from fedaemon.accounts.lockout import Lockout, networks_of
from fedaemon.errors import Refused

NOON_S = 1_750_075_200.0
PEER = "192.0.2.7"


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(NOON_S)
    return clock


def locked(lockout: Lockout, peer: str = PEER, login: str = "alice@example.org") -> bool:
    try:
        lockout.check(peer, login)
    except Refused:
        return True
    return False


def fail(
    lockout: Lockout, times: int, peer: str = PEER, login: str = "alice@example.org", first: int = 0
) -> None:
    for number in range(first, first + times):
        lockout.failed(peer, login, b"guess %d" % number)


def test_ten_failures_lock_an_address_for_an_hour(clock: Clock) -> None:
    """The tenth failure locks, for every login name; it ends an hour after the first."""
    lockout = Lockout(clock.seconds)
    fail(lockout, 9)
    assert not locked(lockout)
    fail(lockout, 1, first=9)
    assert locked(lockout) and locked(lockout, login="bob@example.org")
    assert not locked(lockout, peer="192.0.2.8")
    clock.advance(3600)
    assert not locked(lockout)


def test_the_answer_while_locked(clock: Clock) -> None:
    """454 4.7.0 names the address and the minute when it is over."""
    lockout = Lockout(clock.seconds)
    fail(lockout, 10)
    with pytest.raises(Refused) as refused:
        lockout.check(PEER, "alice@example.org")
    assert (refused.value.code, refused.value.status) == (454, "4.7.0")
    assert "192.0.2.7" in refused.value.text and "13:01 UTC" in refused.value.text


def test_the_window_slides(clock: Clock) -> None:
    """Each failure is forgotten an hour after it happened, not all at once."""
    lockout = Lockout(clock.seconds)
    fail(lockout, 5)
    clock.advance(1800)
    fail(lockout, 5, first=5)
    assert locked(lockout)
    clock.advance(1800)
    fail(lockout, 4, first=10)
    assert not locked(lockout)
    fail(lockout, 1, first=14)
    assert locked(lockout)


def test_the_same_guess_counts_once(clock: Clock) -> None:
    """A program that keeps trying an outdated password does not lock its whole network out."""
    lockout = Lockout(clock.seconds)
    for _ in range(100):
        lockout.failed(PEER, "alice@example.org", b"outdated")
    assert not locked(lockout)


def test_guesses_that_cannot_be_compared_all_count(clock: Clock) -> None:
    """Without a digest (SCRAM) each failure is a guess."""
    lockout = Lockout(clock.seconds)
    for _ in range(10):
        lockout.failed(PEER, "alice@example.org", None)
    assert locked(lockout)


def test_success_forgives_only_its_own_login(clock: Clock) -> None:
    """After a success the failures of that name are gone, those of others stay."""
    lockout = Lockout(clock.seconds)
    fail(lockout, 5)
    fail(lockout, 5, login="bob@example.org")
    lockout.succeeded(PEER, "alice@example.org")
    assert not locked(lockout)
    fail(lockout, 5, login="carol@example.org")
    assert locked(lockout)


def test_a_login_attacked_from_everywhere_is_locked(clock: Clock) -> None:
    """Fifty failures from many addresses lock the name, known or not, but not where it has logged in from."""
    lockout = Lockout(clock.seconds)
    lockout.succeeded("198.51.100.1", "alice@example.org")
    for number in range(50):
        fail(lockout, 1, peer=f"203.0.113.{number}", first=number)
        fail(lockout, 1, peer=f"203.0.113.{number}", login="nobody@example.org", first=number)
    assert locked(lockout, peer="192.0.2.99")
    assert locked(lockout, peer="192.0.2.99", login="nobody@example.org")
    assert not locked(lockout, peer="198.51.100.1")
    assert not locked(lockout, peer="192.0.2.99", login="bob@example.org")
    clock.advance(3600)
    assert not locked(lockout, peer="192.0.2.99")


def test_delays_grow(clock: Clock) -> None:
    """The first wrong password is answered at once, later ones after up to five seconds."""
    lockout = Lockout(clock.seconds)
    delays = [lockout.failed(PEER, "alice@example.org", b"%d" % number) for number in range(8)]
    assert delays == [0, 1, 2, 3, 4, 5, 5, 5]
    fail(lockout, 3, peer="2001:db8:1:2::1")
    assert lockout.failed("2001:db8:1:3::1", "bob@example.org", b"first") == 0, "not for what a neighbour did"


def test_switched_off(clock: Clock) -> None:
    """With 0 failures per hour nothing is locked or delayed."""
    lockout = Lockout(clock.seconds, 0)
    assert [lockout.failed(PEER, "a", None) for _ in range(100)] == [0.0] * 100
    lockout.succeeded(PEER, "a")
    assert not locked(lockout)


@pytest.mark.parametrize(
    ("peer", "networks"),
    [
        ("192.0.2.7", (("192.0.2.7", 1),)),
        ("::ffff:192.0.2.7", (("192.0.2.7", 1),)),
        ("2001:db8:1:2:3:4:5:6", (("20010db800010002/64", 1), ("20010db80001/48", 5))),
        ("fe80::1%eth0", (("fe80000000000000/64", 1), ("fe8000000000/48", 5))),
        ("unix", (("unix", 1),)),
    ],
)
def test_networks(peer: str, networks: tuple[tuple[str, int], ...]) -> None:
    """IPv4 counts by address, however written, IPv6 by /64 and more generously by /48."""
    assert tuple((name.removeprefix("0"), factor) for name, factor in networks_of(peer)) == networks


def test_an_ipv6_network_is_one_client(clock: Clock) -> None:
    """Changing the address within a /64 does not help; changing the /64 within a /48 helps five times."""
    lockout = Lockout(clock.seconds)
    for number in range(10):
        fail(lockout, 1, peer=f"2001:db8:1:2::{number:x}", first=number)
    assert locked(lockout, peer="2001:db8:1:2:ffff::1")
    assert not locked(lockout, peer="2001:db8:1:3::1")
    for number in range(40):
        fail(
            lockout, 1, peer=f"2001:db8:1:{number + 3:x}::1", login=f"user{number}@example.org", first=number
        )
    assert locked(lockout, peer="2001:db8:1:ffff::1")
    assert not locked(lockout, peer="2001:db8:2::1")


def test_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many networks and names fail or succeed, only the latest are remembered."""
    monkeypatch.setattr(lockout_module, "MAX_ENTRIES", 50)
    lockout = Lockout(clock.seconds, 2)
    for number in range(500):
        fail(lockout, 3, peer=f"10.0.{number // 250}.{number % 250}", login=f"user{number}@example.org")
        lockout.succeeded(f"10.1.{number // 250}.{number % 250}", f"user{number}@example.org")
    assert len(lockout._networks) == len(lockout._logins) == len(lockout._known) == 50
    assert locked(lockout, peer="10.0.1.249")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["fail", "success", "wait"]),
            st.sampled_from(["10.0.0.1", "10.0.0.2"]),
            st.sampled_from(["a", "b"]),
            st.integers(0, 3),
        ),
        max_size=60,
    )
)
def test_locked_exactly_when_enough_guesses_are_recent(steps: list[tuple[str, str, str, int]]) -> None:
    """Against a model: an address is locked after three distinct unforgiven guesses within the hour."""
    clock = Clock()
    lockout = Lockout(clock.seconds, 3)
    model: list[tuple[float, str, str, int]] = []
    for kind, peer, login, number in steps:
        model = [entry for entry in model if entry[0] > clock.seconds() - 3600]
        at_peer = [entry for entry in model if entry[1] == peer]
        names = [entry for entry in model if entry[2] == login]
        if len(names) < 15:
            assert locked(lockout, peer, login) == (len(at_peer) >= 3)
        if kind == "wait":
            clock.advance(number * 900)
        elif kind == "success":
            lockout.succeeded(peer, login)
            model = [entry for entry in model if entry[1:3] != (peer, login)]
        elif len(at_peer) < 3:
            lockout.failed(peer, login, b"%d" % number)
            if (peer, login, number) not in [entry[1:] for entry in at_peer]:
                model.append((clock.seconds(), peer, login, number))
