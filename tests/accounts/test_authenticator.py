"""Logging in with a password: who is let in for what, what it costs, and what is answered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail

from fedaemon.accounts import authenticator as module
from fedaemon.accounts import directory
from fedaemon.accounts.authenticator import REMEMBERED_S
from fedaemon.accounts.login import WRONG, BadCredentials
from fedaemon.accounts.records import MAIN, SCOPES, Account, Domain
from fedaemon.errors import MailError, Refused, Unavailable
from tests.accounts.world import ALICE, PEER, Threads, World, make_account, results_of
from tests.fakes import MemoryStore

APPS = {"printer": ("printer's", frozenset({"smtp"})), "phone": ("phone's", frozenset({"imap", "smtp"}))}


@pytest.fixture
def world() -> World:
    world = World()
    world.put(make_account(apps=APPS))
    return world


def refusal(
    world: World, login: str = ALICE, password: str = "wrong", scope: str = "smtp", peer: str = PEER
) -> MailError:
    """Return what a login is refused with."""
    with pytest.raises(MailError) as refused:
        world.verify(login, password, scope, peer)
    return refused.value


def test_the_right_password(world: World) -> None:
    """The account is given, with the hash of the password used, however the login is spelled."""
    account = world.verify("Alice@EXAMPLE.org ")
    assert account == directory.need_account(world.engine.view(lambda snapshot: snapshot), ALICE)
    assert account.logged_in_with == account.passwords[0].hash


def test_space_around_a_pasted_password(world: World) -> None:
    """A password copied with a line end or a space still is the password."""
    assert world.verify(password=" alice's secret\r\n").address == ALICE


def test_app_passwords_and_their_scopes(world: World) -> None:
    """Each is good for its services; for others the text says how to make one that is."""
    assert (
        world.verify(password="printer's").logged_in_with != world.verify(password="phone's").logged_in_with
    )
    assert world.verify(password="phone's", scope="imap").address == ALICE
    error = refusal(world, password="printer's", scope="imap")
    assert (error.code, error.status) == (535, "5.7.8")
    assert "--scope imap" in error.text
    assert refusal(world, password="phone's", scope="pop3").code == 535


def test_wrong_password(world: World) -> None:
    """535 5.7.8, and where to look."""
    error = refusal(world)
    assert isinstance(error, BadCredentials)
    assert (error.code, error.status, error.login) == (535, "5.7.8", ALICE)
    assert "fedaemonctl password add" in error.text


def test_not_a_full_address(world: World) -> None:
    """The text says that the full address is needed; nothing is hashed."""
    error = refusal(world, "alice")
    assert "full address" in error.text
    # It may be a password that was typed into the wrong field: the log does not get it.
    assert isinstance(error, BadCredentials)
    assert error.login == ""
    assert world.hashes == 0


def test_the_password_of_a_guide(world: World) -> None:
    """Somebody who left the example in place is told so, whoever they say they are."""
    assert (
        refusal(world, password="your-password").text == refusal(world, "x@y.example", "your-password").text
    )
    assert "example password" in refusal(world, password="your-password").text


def test_disabled_accounts_and_domains(world: World) -> None:
    """With the right password 535 5.7.13, with a wrong one as for anybody."""
    world.put(make_account("bob@example.org", main="bob's", disabled=True))
    assert refusal(world, "bob@example.org", "bob's").status == "5.7.13"
    assert refusal(world, "bob@example.org", "wrong").status == "5.7.8"
    world.engine.transact(lambda t: directory.put_domain(t, Domain("example.org", disabled=True)))
    assert refusal(world, password="alice's secret").status == "5.7.13"


def test_an_account_without_a_password(world: World) -> None:
    """Nobody can log in to it, not with an empty password either."""
    world.put(make_account("bob@example.org", main=None))
    for password in ("", " ", "x"):
        assert refusal(world, "bob@example.org", password).status == "5.7.8"


def test_a_login_for_each_message_costs_one_hash(world: World) -> None:
    """For five minutes the password is known; then it is hashed again."""
    for _ in range(50):
        world.verify()
    assert world.hashes == 1
    world.clock.advance(REMEMBERED_S)
    world.verify()
    assert world.hashes == 2


def test_remembering_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the latest logins are remembered, and wrong ones not at all."""
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    for password in ("alice's secret", "printer's", "phone's"):
        world.verify(password=password)
    refusal(world)
    assert len(world.authenticator._remembered) == 2


def test_simultaneous_logins_share_a_hash(world: World) -> None:
    """An application that opens fifty connections at once pays one hash."""
    threads = Threads()
    authenticator = world.new_authenticator(threads)
    results = [results_of(authenticator.verify(ALICE, "alice's secret", "smtp", PEER)) for _ in range(50)]
    assert results == [[]] * 50
    threads.run()
    assert threads.started == 1
    assert all(isinstance(result[0], Account) for result in results)


def test_one_gives_up_and_the_others_get_in(world: World) -> None:
    """A connection that goes while its password is hashed takes no other login with it."""
    threads = Threads()
    authenticator = world.new_authenticator(threads)
    gone, kept = (authenticator.verify(ALICE, "alice's secret", "smtp", PEER) for _ in range(2))
    ends = [results_of(gone), results_of(kept)]
    gone.cancel()
    threads.run()
    assert isinstance(ends[0][0], CancelledError)
    assert isinstance(ends[1][0], Account)


def test_too_many_at_once_is_temporary(world: World) -> None:
    """When the queue of hashes is full: 454 4.7.0, never 535."""
    threads = Threads()
    authenticator = world.new_authenticator(threads)
    answers = [
        results_of(authenticator.verify(ALICE, f"guess {number}", "smtp", PEER)) for number in range(40)
    ]
    failures = [answer[0] for answer in answers if answer]
    assert len(failures) == 18
    assert all(
        isinstance(error, Unavailable) and (error.code, error.status) == (454, "4.7.0") for error in failures
    )


def test_a_fault_of_the_store_is_not_a_wrong_password(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store fails with is passed on, and no failure is counted."""

    def broken(self: MemoryStore, function: object) -> Deferred[None]:
        return fail(Unavailable("disk error"))

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, "read", broken)
        for _ in range(20):
            assert isinstance(refusal(world, password="alice's secret"), Unavailable)
    assert world.verify().address == ALICE


def test_changes_count_at_once(world: World) -> None:
    """A removed password, a disabled or removed account: refused at the next login, remembered or not."""
    account = world.verify()
    world.put(replace(account, disabled=True))
    assert refusal(world, password="alice's secret").status == "5.7.13"
    world.put(account)
    assert world.verify().address == ALICE
    world.engine.transact(lambda transaction: directory.remove_password(transaction, ALICE, MAIN))
    assert refusal(world, password="alice's secret").text == WRONG
    assert world.verify(password="printer's").address == ALICE
    world.engine.transact(lambda transaction: directory.remove_account(transaction, ALICE))
    assert refusal(world, password="printer's").status == "5.7.8"


def test_a_password_removed_while_it_is_hashed(world: World) -> None:
    """The account counts as it is when the hash is done."""
    threads = Threads()
    results = results_of(world.new_authenticator(threads).verify(ALICE, "alice's secret", "smtp", PEER))
    world.engine.transact(lambda transaction: directory.remove_password(transaction, ALICE, MAIN))
    threads.run()
    assert isinstance(results[0], BadCredentials)


def test_a_locked_address_is_told_when_it_is_over(world: World) -> None:
    """After ten guesses 454 4.7.0, also for the right password; an hour later it is in again."""
    for number in range(10):
        refusal(world, password=f"guess {number}")
    hashes = world.hashes
    error = refusal(world, password="alice's secret")
    assert isinstance(error, Refused) and (error.code, error.status) == (454, "4.7.0")
    assert world.hashes == hashes
    world.clock.advance(3600)
    assert world.verify().address == ALICE


def test_answers_to_failures_are_held_back(world: World) -> None:
    """The first is answered at once, the third after two seconds; a success is never held back."""
    started = world.clock.seconds()
    refusal(world, password="one")
    assert world.clock.seconds() == started
    refusal(world, password="two")
    refusal(world, password="three")
    assert world.clock.seconds() == started + 3
    assert world.verify().address == ALICE
    assert world.clock.seconds() == started + 3


def test_without_lockout_nothing_is_held_back() -> None:
    """Local mode: any number of failures, no delay."""
    world = World(failures_per_hour=0)
    world.put(make_account(apps={"all": ("x", SCOPES)}))
    started = world.clock.seconds()
    for number in range(30):
        refusal(world, password=f"guess {number}")
    assert world.clock.seconds() == started
    assert world.verify(password="x", scope="pop3").address == ALICE
