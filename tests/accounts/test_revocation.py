"""Sessions end when what they logged in with is no longer valid."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest
from twisted.internet.defer import fail
from twisted.logger import LogLevel, globalLogPublisher

from fedaemon.accounts import directory
from fedaemon.accounts.records import MAIN, Account
from fedaemon.accounts.revocation import SLICE, Revocation
from fedaemon.errors import MailError
from fedaemon.net.sessions import FOREVER, Sessions
from fedaemon.store.errors import StoreError
from tests.accounts.world import ALICE, World, make_account
from tests.fakes import MemoryStore


class Client:
    """A session that notes what it is told."""

    deadline = FOREVER

    def __init__(self, account: Account | None) -> None:
        self.account = account
        self.told: list[str] = []

    def timed_out(self) -> None:
        """See ``net.sessions.Session``."""

    def shut_down(self) -> None:
        """See ``net.sessions.Session``."""

    def account_changed(self, error: MailError) -> None:
        self.told.append(error.text)


class Other:
    """A session of a service that looks at its credentials itself."""

    deadline = FOREVER

    def timed_out(self) -> None:
        """See ``net.sessions.Session``."""

    def shut_down(self) -> None:
        """See ``net.sessions.Session``."""


class Watched:
    """Sessions of alice that are watched: one by her main password, one by that of a program."""

    def __init__(self) -> None:
        self.world = World()
        self.world.put(make_account(apps={"phone": ("app secret", frozenset({"imap"}))}))
        self.sessions = Sessions(self.world.clock)
        self.store = MemoryStore(self.world.engine)
        self.revocation = Revocation(self.store, self.sessions, self.world.clock)
        self.main = self.enter("alice's secret")
        self.phone = self.enter("app secret")

    def enter(self, password: str) -> Client:
        client = Client(self.world.verify(password=password, scope="imap"))
        self.admit(client)
        return client

    def admit(self, session: Any) -> None:
        self.sessions.admit(session, "192.0.2.7")
        self.sessions.login(session, ALICE)

    def look(self) -> None:
        """Look, with all the turns it takes."""
        self.revocation.look()
        while self.world.clock.getDelayedCalls():
            self.world.clock.advance(0)

    def account(self) -> Account:
        found = self.world.engine.view(lambda snapshot: directory.get_account(snapshot, ALICE))
        assert found is not None
        return found


def without(account: Account, name: str) -> Account:
    return replace(account, passwords=tuple(each for each in account.passwords if each.name != name))


def test_nothing_has_changed() -> None:
    watched = Watched()
    watched.look()
    assert not watched.main.told
    assert not watched.phone.told


@pytest.mark.parametrize(("removed", "ended"), [(MAIN, (True, False)), ("phone", (False, True))])
def test_a_password_is_removed(removed: str, ended: tuple[bool, bool]) -> None:
    """It ends the sessions that it has begun, and no others."""
    watched = Watched()
    watched.world.put(without(watched.account(), removed))
    watched.look()
    assert (bool(watched.main.told), bool(watched.phone.told)) == ended


@pytest.mark.parametrize("gone", [False, True])
def test_the_account_is_disabled_or_removed(gone: bool) -> None:
    """It ends all of them."""
    watched = Watched()
    if gone:
        watched.world.engine.transact(lambda transaction: directory.remove_account(transaction, ALICE))
    else:
        watched.world.put(replace(watched.account(), disabled=True))
    watched.look()
    assert watched.main.told
    assert watched.phone.told


def test_who_has_left_is_told_nothing() -> None:
    watched = Watched()
    watched.revocation.look()
    watched.sessions.leave(cast(Any, watched.main))
    watched.main.account = None
    watched.world.put(replace(watched.account(), disabled=True))
    watched.world.clock.advance(0)
    assert not watched.main.told
    assert watched.phone.told


def test_many_sessions_take_turns() -> None:
    """A slice in each, and none is left out; those that look themselves are let be."""
    watched = Watched()
    watched.admit(Other())
    clients = [Client(watched.main.account) for _ in range(2 * SLICE)]
    for client in clients:
        watched.admit(client)
    watched.world.put(without(watched.account(), MAIN))
    read, told = watched.store.read, [0]

    def counting(function: Any) -> Any:
        done = read(function)
        told.append(sum(len(client.told) for client in clients))
        return done

    cast(Any, watched.store).read = counting
    watched.look()
    assert len(told) == 4
    assert max(after - before for before, after in pairwise(told)) <= SLICE
    assert all(client.told for client in clients)


def test_commits_in_a_row_are_one_look() -> None:
    watched = Watched()
    watched.revocation.look()
    watched.revocation.look()
    assert len(watched.world.clock.getDelayedCalls()) == 1


def test_stopped() -> None:
    watched = Watched()
    watched.revocation.look()
    watched.revocation.stop()
    assert not watched.world.clock.getDelayedCalls()
    watched.revocation.stop()


def test_a_store_that_cannot_be_read() -> None:
    """It is told in the log, and the next look works."""
    watched = Watched()
    watched.world.put(replace(watched.account(), disabled=True))
    read, events = watched.store.read, list[Any]()
    cast(Any, watched.store).read = lambda function: fail(StoreError("broken"))
    globalLogPublisher.addObserver(cast(Any, events.append))
    try:
        watched.revocation.look()
        watched.world.clock.advance(0)
    finally:
        globalLogPublisher.removeObserver(cast(Any, events.append))
    assert [event["log_level"] for event in events] == [LogLevel.critical]
    cast(Any, watched.store).read = read
    watched.revocation.stop()
    watched.look()
    assert watched.main.told
