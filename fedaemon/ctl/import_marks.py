"""What an import has added so far, so that one that was interrupted can be run again and adds nothing twice.

A mark stands for one message of one source. It is written in the transaction that adds the message, and goes
when the whole source is in.

Invariants: a message has its mark exactly when it was added; from the end of an import until the last mark is
removed an entry says that it ended, so that no crash lets another run begin from the start.
Limits: SLICE marks are removed in a transaction.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final

from fedaemon.ctl.maildir import Found
from fedaemon.store.interface import Key, Snapshot, Transaction
from fedaemon.store.spaces import IMPORTED

SLICE: Final = 2000


class Marks:
    """The marks of an import.

    :param source: where the mail comes from.
    :param into: the folder that it goes into, "" when it keeps the ones that it has: elsewhere it is added again.
    """

    def __init__(self, account: str, source: Path, into: str) -> None:
        self._key: Key = (IMPORTED, account, _digest(str(source.resolve()), into))

    def has(self, snapshot: Snapshot, found: Found) -> bool:
        """Tell whether the message was added."""
        return snapshot.get(self._of(found)) is not None

    def put(self, transaction: Transaction, found: Found) -> None:
        """The message is added in this transaction."""
        transaction.put(self._of(found), b"")

    def ended(self, snapshot: Snapshot) -> bool:
        """Tell whether the whole source was added, by a run that had no time to remove its marks."""
        return snapshot.get(self._key) is not None

    def end(self, transaction: Transaction) -> None:
        """The whole source is in."""
        transaction.put(self._key, b"")

    def forget(self, transaction: Transaction) -> bool:
        """Remove some marks, and with the last of them what says that the import ended; True when more is left."""
        keys = [key for key, _ in transaction.scan(self._key, limit=SLICE + 1) if len(key) > len(self._key)]
        for key in keys[:SLICE]:
            transaction.delete(key)
        if len(keys) >= SLICE:
            return True
        transaction.delete(self._key)
        return False

    def _of(self, found: Found) -> Key:
        # Its size too: another file, or mbox, may have taken the place of the one that was there.
        return (*self._key, _digest(found.folder, found.name, str(found.size)))


def _digest(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).digest()
