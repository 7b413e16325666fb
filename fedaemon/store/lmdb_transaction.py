"""One LMDB transaction behind the verbs of ``interface.py``.

Invariants: no exception of lmdb leaves this module, it becomes a StoreError; once an operation of LMDB has
failed, the transaction is ``broken`` and cannot be committed, even if the function that met the failure went
on.
Limits: a transaction and its scans end with the function they were given to; a scan consumed later raises
StoreError.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import lmdb

from fedaemon.store.errors import FULL_ERRNOS, StoreError, StoreFull
from fedaemon.store.interface import Key
from fedaemon.store.keys import decode_key, encode_key, prefix_end

_FULL_TEXTS = tuple(os.strerror(code) for code in FULL_ERRNOS)


def store_error(error: lmdb.Error, doing: str) -> StoreError:
    """Return the StoreError for what lmdb raised while the store was *doing* something."""
    text = str(error)
    if isinstance(error, lmdb.MapFullError):
        return StoreFull(f"{doing}: the store has reached its largest size (map_size)")
    # lmdb gives the system's errors as text, and not all of them as a class of their own.
    if isinstance(error, lmdb.DiskError) or text.endswith(_FULL_TEXTS):
        return StoreFull(f"{doing}: {text}; free some disk space")
    if isinstance(error, lmdb.CorruptedError | lmdb.PageNotFoundError):
        return StoreError(f"{doing}: {text}; the store is damaged, restore a backup")
    return StoreError(f"{doing}: {text}")


class LmdbSnapshot:
    """A consistent view of the store, see ``interface.Snapshot``."""

    __slots__ = ("broken", "txn")

    def __init__(self, txn: Any) -> None:
        self.txn = txn
        self.broken: StoreError | None = None

    def get(self, key: Key) -> bytes | None:
        """Return the value stored under *key*, or None."""
        try:
            value: bytes | None = self.txn.get(encode_key(key))
        except lmdb.Error as error:
            raise self._failed(error, "cannot read") from error
        return value

    def scan(
        self, start: Key, stop: Key | None = None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[Key, bytes]]:
        """Yield (key, value) for start <= key < stop in key order, at most *limit* of them.

        Without *stop*: every key that begins with the parts of *start*. To be consumed inside the function
        that was given this snapshot.
        """
        first = encode_key(start)
        end = prefix_end(first) if stop is None else encode_key(stop)
        left = -1 if limit is None else limit
        try:
            for key, value in self._downward(first, end) if reverse else self._upward(first, end):
                if not left:
                    return
                left -= 1
                yield decode_key(key), value
        except lmdb.Error as error:
            raise self._failed(error, "cannot scan") from error

    def _upward(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        cursor = self.txn.cursor()
        # LMDB has no empty key to look for: an empty start is the very first record.
        if not (cursor.set_range(first) if first else cursor.first()):
            return
        for key, value in cursor.iternext():
            if key >= end:
                return
            yield key, value

    def _downward(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        cursor = self.txn.cursor()
        if not (cursor.prev() if end and cursor.set_range(end) else cursor.last()) or not end:
            return
        for key, value in cursor.iterprev():
            if key < first:
                return
            yield key, value

    def _failed(self, error: lmdb.Error, doing: str) -> StoreError:
        # What comes after the first failure only says that there was one.
        if self.broken is None:
            self.broken = store_error(error, doing)
        return self.broken


class LmdbTransaction(LmdbSnapshot):
    """A snapshot that can be changed, see ``interface.Transaction``.

    *changes* counts the operations that changed something; *after* are the functions to run after the commit,
    and *announced* is what to tell then.
    """

    __slots__ = ("after", "announced", "changes")

    def __init__(self, txn: Any) -> None:
        super().__init__(txn)
        self.changes = 0
        self.after: list[Callable[[], None]] = []
        self.announced: list[Hashable] = []

    def put(self, key: Key, value: bytes) -> None:
        """Store *value* under *key*, replacing what was there."""
        data = encode_key(key)
        self.changes += 1
        try:
            self.txn.put(data, value)
        except lmdb.Error as error:
            raise self._failed(error, "cannot write") from error

    def delete(self, key: Key) -> bool:
        """Remove *key*; True when it was there."""
        try:
            there: bool = self.txn.delete(encode_key(key))
        except lmdb.Error as error:
            self.changes += 1
            raise self._failed(error, "cannot delete") from error
        self.changes += there
        return there

    def after_commit(self, function: Callable[[], None]) -> None:
        """Run *function* once in the writer's thread after the commit is durable; not at all if it fails."""
        self.after.append(function)

    def announce(self, subject: Hashable) -> None:
        """Have *subject* told once the commit is durable; not at all if it fails."""
        self.announced.append(subject)
