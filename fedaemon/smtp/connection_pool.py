"""Connections that wait for the next message to the same place.

A connection costs a handshake of TCP, two round trips of SMTP and mostly a handshake of TLS; a message on an
open connection costs two round trips. So a connection that is in order after a message waits a moment for the
next one that would have opened exactly such a connection: the same address, the same demands on TLS, the same
credentials, the same source address.

Theory of operation: the connection used last is taken first, so that under less load the others fall idle and
are closed. One timer looks after all of them. What a server says while its connection waits is no failure of
anything: the connection leaves the pool without a word.

Standards: RFC 5321 4.5.4.1 (several messages on a connection), RFC 9422 (MAILMAX).
Invariants: a connection carries no more messages than the site's limits, its server's MAILMAX and what the
server was seen to bear; none waits longer than the limits say.
Limits: ``MOST_IDLE`` connections wait, the one that has waited longest goes first; what a server bears is
remembered for ``LEARNED_S``.
"""

from __future__ import annotations

from typing import Any, Final

from fedaemon import counters
from fedaemon.delivery.transport import ConnectionLimits
from fedaemon.smtp.client_protocol import ClientConnection
from fedaemon.smtp.client_target import Target
from fedaemon.smtp.remembered import Remembered

MOST_IDLE: Final = 200

LEARNED_S: Final = 3600.0

FULL_WITHIN_S: Final = 1.0
"""A 421 so soon after a message speaks of the number of messages; later, of the time without one."""


class ConnectionPool:
    """Keeps idle connections; *clock* is an IReactorTime."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._idle: dict[Target, list[ClientConnection]] = {}
        self._until_s: dict[ClientConnection, float] = {}  # in the order in which they fell idle
        self._bearable: Remembered[int] = Remembered(clock, LEARNED_S)
        self._timer: Any = None  # IDelayedCall
        self._closed = False

    def __len__(self) -> int:
        return len(self._until_s)

    def take(self, target: Target) -> ClientConnection | None:
        """Return a connection to *target* that can carry a message, the one used last, or None."""
        waiting = self._idle.get(target)
        while waiting:
            connection = waiting.pop()
            if not waiting:
                del self._idle[target]
            del self._until_s[connection]
            if connection.usable:
                counters.count("connections_reused_total")
                counters.gauge("connections_idle", len(self._until_s))
                return connection
        return None

    def has_room(self, connection: ClientConnection, limits: ConnectionLimits) -> bool:
        """True when the connection can carry one message more."""
        if not connection.usable or connection.carried >= limits.messages:
            return False
        bearable = self._bearable.get(connection.target.place)
        return bearable is None or connection.carried < bearable

    def put(self, connection: ClientConnection, limits: ConnectionLimits) -> None:
        """Take back a connection of which nobody has need now: keep it, or let it quit."""
        if self._closed or limits.idle_s <= 0 or not self.has_room(connection, limits):
            connection.quit()
            return
        until_s = self._clock.seconds() + limits.idle_s
        connection.rest()
        self._idle.setdefault(connection.target, []).append(connection)
        self._until_s[connection] = until_s
        if len(self._until_s) > MOST_IDLE:
            self._let_go(next(iter(self._until_s)))
        counters.gauge("connections_idle", len(self._until_s))
        if self._timer is None:
            self._timer = self._clock.callLater(limits.idle_s, self._sweep)
        elif until_s < self._timer.getTime():
            self._timer.reset(limits.idle_s)

    def gone(self, connection: ClientConnection) -> None:
        """The connection is closed: whoever closed it, it waits no more; learn from how it ended."""
        if connection in self._until_s:
            self._remove(connection)
        if connection.carried and connection.ended_by_421_after_s <= FULL_WITHIN_S:
            self._bearable.put(connection.target.place, connection.carried)

    def close(self) -> None:
        """Let all idle connections quit, and keep none from now on."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in list(self._until_s):
            self._let_go(connection)

    def _let_go(self, connection: ClientConnection) -> None:
        self._remove(connection)
        connection.quit()

    def _remove(self, connection: ClientConnection) -> None:
        del self._until_s[connection]
        waiting = self._idle[connection.target]
        waiting.remove(connection)
        if not waiting:
            del self._idle[connection.target]
        counters.gauge("connections_idle", len(self._until_s))

    def _sweep(self) -> None:
        """Let those quit whose time is over, and sleep until the next one's is."""
        self._timer = None
        now_s = self._clock.seconds()
        for connection in [each for each, until_s in self._until_s.items() if until_s <= now_s]:
            self._let_go(connection)
        if self._until_s:
            left_s = min(self._until_s.values()) - now_s
            self._timer = self._clock.callLater(max(left_s, 0.0), self._sweep)
