"""The registry of connections: limits, deadlines, and the orderly end."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from fedaemon.errors import Refused
from fedaemon.net.sessions import FOREVER, SWEEP_INTERVAL_S, Sessions, network_of


class FakeSession:
    """A connection that notes what it is told."""

    def __init__(self, deadline: float = FOREVER) -> None:
        self.deadline = deadline
        self.told: list[str] = []

    def timed_out(self) -> None:
        self.told.append("timed out")

    def shut_down(self) -> None:
        self.told.append("shut down")


def test_the_limit_of_an_address_counts_open_connections() -> None:
    """The connection over the limit is refused with 421, and has a place again once another has ended."""
    sessions = Sessions(Clock(), per_address=2)
    first, second = FakeSession(), FakeSession()
    sessions.admit(first, "192.0.2.1")
    sessions.admit(second, "192.0.2.1")
    with pytest.raises(Refused) as refused:
        sessions.admit(FakeSession(), "192.0.2.1")
    assert (refused.value.code, refused.value.status) == (421, "4.7.0")
    sessions.admit(FakeSession(), "192.0.2.2")
    sessions.leave(first)
    sessions.admit(FakeSession(), "192.0.2.1")
    assert len(sessions) == 3


def test_an_ipv6_customer_is_one_address() -> None:
    """All of a /64 counts together."""
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff")
    assert network_of("2001:db8::1") != network_of("2001:db8:0:1::1")
    assert network_of("192.0.2.1") == "192.0.2.1"


def test_the_limits_of_all_and_of_an_account() -> None:
    """Each limit refuses with 421; leaving twice is harmless."""
    sessions = Sessions(Clock(), total=2, per_account=1)
    first, second = FakeSession(), FakeSession()
    sessions.admit(first, "192.0.2.1")
    sessions.admit(second, "192.0.2.2")
    with pytest.raises(Refused, match="too many connections"):
        sessions.admit(FakeSession(), "192.0.2.3")
    sessions.login(first, "alice@example.test")
    assert sessions.of_account("alice@example.test") == [first]
    with pytest.raises(Refused, match=r"alice@example\.test"):
        sessions.login(second, "alice@example.test")
    sessions.leave(first)
    sessions.leave(first)
    sessions.login(second, "alice@example.test")


def test_who_left_during_the_log_in_is_not_counted() -> None:
    """Otherwise the account would in time be shut out by sessions that are long gone."""
    sessions = Sessions(Clock(), per_account=1)
    gone = FakeSession()
    sessions.admit(gone, "192.0.2.1")
    sessions.leave(gone)
    sessions.login(gone, "alice@example.test")
    assert sessions.of_account("alice@example.test") == []
    here = FakeSession()
    sessions.admit(here, "192.0.2.1")
    sessions.login(here, "alice@example.test")


def test_only_overdue_sessions_are_told() -> None:
    """The sweep tells the one whose deadline has passed, and no other."""
    clock = Clock()
    sessions = Sessions(clock)
    sessions.start()
    late, early, patient = FakeSession(3.0), FakeSession(100.0), FakeSession()
    for session in (late, early, patient):
        sessions.admit(session, "192.0.2.1")
    clock.advance(SWEEP_INTERVAL_S)
    assert (late.told, early.told, patient.told) == (["timed out"], [], [])


def test_stop_waits_for_the_last_session_or_the_grace() -> None:
    """Stopping fires when the last session has left, and at the end of the grace at the latest."""
    clock = Clock()
    for leaves in (True, False):
        sessions = Sessions(clock)
        sessions.start()
        session = FakeSession()
        sessions.admit(session, "192.0.2.1")
        fired: list[None] = []
        sessions.stop(10.0).addCallback(fired.append)
        assert session.told == ["shut down"]
        assert fired == []
        if leaves:
            sessions.leave(session)
        else:
            clock.advance(10.0)
        assert fired == [None]


def test_deadlines_count_while_the_server_stops() -> None:
    """A peer that does not answer the close holds the stop up for a moment, not for the grace."""
    clock = Clock()
    sessions = Sessions(clock)
    sessions.start()
    session = FakeSession()
    sessions.admit(session, "192.0.2.1")
    sessions.stop(10.0)
    session.deadline = clock.seconds() + 1.0
    clock.pump([0.5] * 3)
    assert session.told == ["shut down", "timed out"]
    sessions.leave(session)
    assert not clock.getDelayedCalls()
