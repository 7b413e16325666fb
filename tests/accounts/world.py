"""A directory with a few accounts in memory, and an authenticator whose clock and threads the test holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from fedaemon.accounts import directory
from fedaemon.accounts.authenticator import Authenticator
from fedaemon.accounts.lockout import Lockout
from fedaemon.accounts.passwords import Cost, new_account, new_password
from fedaemon.accounts.records import MAIN, Account, Domain
from tests.fakes import MemoryEngine, MemoryStore

T = TypeVar("T")

CHEAP = Cost(scrypt_log2_n=2, iterations=4096)
"""Hashes that cost a test next to nothing."""

NOW_S = 1_750_000_000.0
PEER = "192.0.2.7"
ALICE = "alice@example.org"


def make_account(
    address: str = ALICE,
    *,
    main: str | None = "alice's secret",
    apps: dict[str, tuple[str, frozenset[str]]] | None = None,
    disabled: bool = False,
) -> Account:
    """Return an account with a main password and app passwords given as name: (password, scopes)."""
    account = new_account(address, cost=CHEAP)
    made = [] if main is None else [new_password(account, MAIN, main, now_ms=0, cost=CHEAP)]
    made += [
        new_password(account, name, text, scopes=scopes, now_ms=0, cost=CHEAP)
        for name, (text, scopes) in (apps or {}).items()
    ]
    return replace(account, passwords=tuple(made), disabled=disabled)


def results_of(deferred: Deferred[T]) -> list[object]:
    """Return a list that will hold what *deferred* fires with, or the error it fails with."""
    results: list[object] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results


class Threads:
    """A thread pool that works when it is told to: ``run`` lets one waiting function run."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], str | None], Deferred[str | None]]] = []
        self.started = 0

    def __call__(self, function: Callable[[], str | None]) -> Deferred[str | None]:
        self.started += 1
        result: Deferred[str | None] = Deferred()
        self.waiting.append((function, result))
        return result

    def run(self) -> None:
        """Run the function that waits longest."""
        function, result = self.waiting.pop(0)
        try:
            value = function()
        except Exception as error:
            result.errback(error)
        else:
            result.callback(value)


class World:
    """Everything a login needs."""

    def __init__(self, *, failures_per_hour: int = 10) -> None:
        self.engine = MemoryEngine()
        self.clock = Clock()
        self.clock.advance(NOW_S)
        self.hashes = 0
        self.lockout = Lockout(self.clock.seconds, failures_per_hour)
        self.authenticator = self.new_authenticator(self.run_at_once)
        self.engine.transact(lambda transaction: directory.add_domain(transaction, Domain("example.org")))

    def new_authenticator(
        self, run_in_thread: Callable[[Callable[[], str | None]], Deferred[str | None]]
    ) -> Authenticator:
        return Authenticator(
            MemoryStore(self.engine), run_in_thread, self.clock, self.lockout, threads=2, cost=CHEAP
        )

    def run_at_once(self, function: Callable[[], str | None]) -> Deferred[str | None]:
        self.hashes += 1
        return execute(function)

    def put(self, account: Account) -> Account:
        self.engine.transact(lambda transaction: directory.put_account(transaction, account))
        return account

    def verify(
        self, login: str = ALICE, password: str = "alice's secret", scope: str = "smtp", peer: str = PEER
    ) -> Account:
        """Log in and wait (by the clock) for the answer."""
        return self.result(self.authenticator.verify(login, password, scope, peer))

    def result(self, deferred: Deferred[T]) -> T:
        """Return what *deferred* fired with, letting time pass if it waits; raise what it failed with."""
        results: list[T] = []
        failures: list[BaseException] = []
        deferred.addCallbacks(results.append, lambda failure: failures.append(failure.value))
        while not (results or failures):
            assert self.clock.getDelayedCalls(), "it waits for something other than time"
            self.clock.advance(1)
        if failures:
            raise failures[0]
        return results[0]
