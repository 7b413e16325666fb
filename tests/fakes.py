"""Stand-ins for the store, for the tests of what is above it: the same verbs on a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Set
from typing import TypeVar

from twisted.internet.defer import Deferred, execute, succeed

from fedaemon.store.interface import Content, Key, Snapshot, StagedContent, Transaction

T = TypeVar("T")


def _sortable(key: Key) -> tuple[tuple[int, str | int | bytes], ...]:
    """Return *key* so that parts of different types can be compared."""
    order: dict[type, int] = {int: 0, str: 1, bytes: 2}
    return tuple((order[type(part)], part) for part in key)


class MemoryTransaction:
    """``Transaction`` on a dictionary."""

    def __init__(self, entries: dict[Key, bytes]) -> None:
        self.entries = entries
        self.committed: list[Callable[[], None]] = []
        self.announced: list[Hashable] = []

    def get(self, key: Key) -> bytes | None:
        return self.entries.get(key)

    def scan(
        self, start: Key, stop: Key | None = None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[Key, bytes]]:
        def wanted(key: Key) -> bool:
            if stop is None:
                return key[: len(start)] == start
            return _sortable(start) <= _sortable(key) < _sortable(stop)

        found = sorted(filter(wanted, self.entries), key=_sortable, reverse=reverse)
        for key in found[:limit]:
            yield key, self.entries[key]

    def put(self, key: Key, value: bytes) -> None:
        self.entries[key] = value

    def delete(self, key: Key) -> bool:
        return self.entries.pop(key, None) is not None

    def after_commit(self, function: Callable[[], None]) -> None:
        self.committed.append(function)

    def announce(self, subject: Hashable) -> None:
        self.announced.append(subject)


class MemoryEngine:
    """The verbs of ``LmdbEngine`` that commands use, on a dictionary; what raises changes nothing."""

    def __init__(self) -> None:
        self.entries: dict[Key, bytes] = {}
        self.listeners: list[Callable[[Set[Hashable]], None]] = []

    def view(self, function: Callable[[Snapshot], T]) -> T:
        return function(MemoryTransaction(dict(self.entries)))

    def transact(self, function: Callable[[Transaction], T]) -> T:
        transaction = MemoryTransaction(dict(self.entries))
        result = function(transaction)
        self.entries = transaction.entries
        for after in transaction.committed:
            after()
        for listener in self.listeners if transaction.announced else ():
            listener(set(transaction.announced))
        return result

    def close(self) -> None:
        """There is nothing to close."""


class MemoryStore:
    """``Store`` on a ``MemoryEngine``; every Deferred has fired when it is returned."""

    def __init__(self, engine: MemoryEngine | None = None) -> None:
        self.engine = engine or MemoryEngine()

    def read(self, function: Callable[[Snapshot], T]) -> Deferred[T]:
        return execute(self.engine.view, function)

    def write(self, function: Callable[[Transaction], T]) -> Deferred[T]:
        return execute(self.engine.transact, function)

    def stage(self, content: Content) -> Deferred[StagedContent]:
        return succeed(content)

    def discard(self, staged: StagedContent) -> Deferred[None]:
        return succeed(None)

    def on_commit(self, callback: Callable[[Set[Hashable]], None]) -> None:
        self.engine.listeners.append(callback)
