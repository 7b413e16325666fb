"""Ends sessions whose credentials are no longer valid: the password was changed, the account disabled or removed.

Theory of operation: accounts are changed by ``fedaemonctl``, another process; after each of its commits the
sessions are gone through, some in each turn.

Invariants: within a second or two of the change no session goes on with the old password.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred

from fedaemon.accounts.directory import current
from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.net.sessions import Sessions
from fedaemon.store.interface import Snapshot, Store

SLICE: Final = 200
"""Sessions in one turn: some 10 µs each."""

log = Logger()


class Revocation:
    """Looks through the sessions of *sessions* whenever ``look`` is called; *clock* gives it turns.

    Sessions that have an ``account``, as the log-in gave it, are told with ``account_changed(error)``; those of
    other services check their credentials themselves.
    """

    def __init__(self, store: Store, sessions: Sessions, clock: Any) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._left: list[Any] = []
        self._turn: Any = None

    def look(self) -> None:
        """Something may have changed."""
        self._left = self._sessions.logged_in()
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._next)

    def stop(self) -> None:
        """Look no more."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _next(self) -> None:
        self._turn = None
        sessions, self._left = self._left[:SLICE], self._left[SLICE:]
        looked: Deferred[None] = self._store.read(partial(_look_at, sessions))
        looked.addErrback(
            lambda failure: log.failure(
                "sessions were not checked after a change of accounts", failure, event="defect"
            )
        )
        if self._left:
            self._turn = self._clock.callLater(0, self._next)


def _look_at(sessions: list[Any], snapshot: Snapshot) -> None:
    for session in sessions:
        account = getattr(session, "account", None)
        if account is None:
            continue
        try:
            current(snapshot, account)
        except MailError as error:
            session.account_changed(error)
