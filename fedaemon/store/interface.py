"""The store's interface: consistent reads, atomic durable writes, and message contents.

It exists so that everything above is written against these few verbs: LMDB is the embedded engine, and a database
shared by several machines can stand behind the same verbs later. What the records of each part look like is that
part's business; which key spaces exist is listed in ``spaces.py``.

Invariants: a function given to ``write`` may run more than once and does nothing but read and write through its
argument; the Deferred of ``write`` fires only when the transaction is on stable storage.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Set
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")

Key = tuple[str | int | bytes, ...]
"""Parts of a key. Integers are 0..2**64-1. Keys sort by their parts, see ``keys.py``."""


class Snapshot(Protocol):
    """A consistent view of the store."""

    def get(self, key: Key) -> bytes | None:
        """Return the value stored under *key*, or None."""

    def scan(
        self, start: Key, stop: Key | None = None, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[Key, bytes]]:
        """Yield (key, value) for start <= key < stop in key order, at most *limit* of them.

        Without *stop*: every key that begins with the parts of *start*. The store must not be written through
        the same transaction while a scan is being consumed: take a list first.
        """


class Transaction(Snapshot, Protocol):
    """A snapshot that can be changed; all of it becomes durable, or none."""

    def put(self, key: Key, value: bytes) -> None:
        """Store *value* under *key*, replacing what was there."""

    def delete(self, key: Key) -> bool:
        """Remove *key*; True when it was there."""

    def announce(self, subject: Hashable) -> None:
        """Have *subject* told to those who asked for it (``Store.on_commit``), unless the commit fails."""

    def after_commit(self, function: Callable[[], None]) -> None:
        """Run *function* once in the writer's thread after the commit is durable; not at all if it fails."""


class Content(Protocol):
    """A message's bytes: in memory when small, in a file when not."""

    @property
    def size(self) -> int:
        """Length in octets."""

    def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes in order in pieces of at most *size* octets, none of them empty.

        :param start: the first octet wanted, counted from 0; from beyond the end nothing is yielded.
        :param stop: the first octet not wanted; None, or beyond the end: up to the end.
        """


class StagedContent(Protocol):
    """Content that has reached stable storage, or will with the transaction that names it (``Blobs.add``)."""

    @property
    def size(self) -> int:
        """Length in octets."""


class Store(Protocol):
    """Where everything is kept."""

    def read(self, function: Callable[[Snapshot], T]) -> Deferred[T]:
        """Run *function* on a consistent view and fire with what it returned."""

    def write(self, function: Callable[[Transaction], T]) -> Deferred[T]:
        """Run *function* atomically; fire with what it returned once durable.

        Fails with what *function* raised, or with ``Unavailable`` when the store cannot write (disk full, error).
        """

    def stage(self, content: Content) -> Deferred[StagedContent]:
        """Bring *content* to where a transaction can name it with ``blobs.add``; fails with ``Unavailable``."""

    def discard(self, staged: StagedContent) -> Deferred[None]:
        """Remove what ``stage`` made when no transaction has named it; never fails."""

    def on_commit(self, callback: Callable[[Set[Hashable]], None]) -> None:
        """Call *callback* with what a commit announced, each subject once.

        In the reactor's thread, when it is durable, before the Deferreds of its writes fire.
        """
