"""The texts that SEARCH BODY, TEXT and HEADER look into, kept beside a mailbox once they have been read.

To find a word in 20,000 messages of 3 KB by reading them takes 3 s: parts are found, decoded and folded. What
comes of it is kept in blocks of some hundred messages, deflated, so that the next search inflates and scans it:
0.3 s. That is an index without a query language: substrings are exact, and it is right because ``SearchText`` of
a message never changes. Words or trigrams would be smaller, but could only say which messages to read.

A block is of UIDs, not of a chunk: sealing and compaction move rows, and nothing has to be done here for that.
What is in no block is read from the message, so a block that is damaged, lost, or was never made, costs time only.

Theory of operation: ``MAIL_CHUNK`` has the blocks under the groups of ``TextKind`` and their first UID. A record
is one of ``columns`` with UID and DEFLATED, a number that is no group: whoever looks for a chunk's columns does
not take it for one. In it a message is one row, made by ``one_line``; LONG stands for a text that is not kept.

Invariants: derived data only; no block names a message whose content is purged, if ``forget`` is called when rows
go for good.
Limits: LONG_OCTETS a text; a block ends behind BLOCK_OCTETS, so it has 320 KiB at most and is inflated in 1 ms.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from fedaemon.mailbox import columns as c
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import MAIL, MAIL_CHUNK

DEFLATED: Final = 96
LONG_OCTETS: Final = 64 * 1024
"""Longer texts are attached logs; they are read from the message each time."""
BLOCK_OCTETS: Final = 256 * 1024
LEVEL: Final = 1
"""A third of the octets at 100 MB/s; level 6 saves a tenth more and takes three times as long."""
LONG: Final = b"\0"
"""The row of a text that is not kept: no text and nothing that is searched for has a NUL."""

_ONE_LINE: Final = bytes.maketrans(b"\n\0", b"\v\v")


class TextKind(IntEnum):
    """Which of the two texts of ``SearchText``; the value is the group of its blocks."""

    HEADERS = 90
    BODIES = 91


@dataclass(frozen=True, slots=True, eq=False)
class TextBlock:
    """Texts of messages; *uids* are ascending."""

    uids: array[int]
    deflated: bytes

    @classmethod
    def of(cls, uids: Sequence[int], rows: Iterable[bytes]) -> TextBlock:
        """Return the block of *rows*, which ``one_line`` made, or LONG."""
        return cls(array("I", uids), zlib.compress(b"\n".join(rows), LEVEL))

    @classmethod
    def from_record(cls, value: bytes) -> TextBlock:
        """Return the block of a record; raises ``StoreError`` for a damaged one."""
        columns = c.decode(value)
        return cls(c.unpack(c.UID, columns[c.UID]), columns[DEFLATED])

    def to_record(self) -> bytes:
        """Return the block as octets."""
        return c.encode({c.UID: c.pack(c.UID, self.uids), DEFLATED: self.deflated}, len(self.uids))

    def text(self) -> bytes:
        """Return the rows, joined by LF.

        :raises StoreError: it is damaged.
        """
        try:
            return zlib.decompress(self.deflated)
        except zlib.error as error:
            raise StoreError("a damaged block of texts") from error


def one_line(text: bytes) -> bytes:
    """Return *text*, or what is searched for in it, as one row: line ends and NUL are VT."""
    return text.replace(b"\r\n", b"\n").translate(_ONE_LINE)


def blocks(
    snapshot: Snapshot, mailbox_id: str, kind: TextKind, first_uid: int, last_uid: int
) -> list[TextBlock]:
    """Return the blocks that have messages between two UIDs, both included."""
    space = (MAIL_CHUNK, mailbox_id, int(kind))
    before = snapshot.scan((*space, 0), (*space, first_uid + 1), reverse=True, limit=1)
    start = next((key[3] for key, _ in before), first_uid)
    found = [
        TextBlock.from_record(value) for _, value in snapshot.scan((*space, start), (*space, last_uid + 1))
    ]
    return found[1:] if found and found[0].uids[-1] < first_uid else found


def put(transaction: Transaction, mailbox_id: str, kind: TextKind, block: TextBlock) -> None:
    """Keep a block, unless a message of it has been purged since it was read."""
    if all(transaction.get((MAIL, mailbox_id, uid)) is not None for uid in block.uids):
        transaction.put((MAIL_CHUNK, mailbox_id, int(kind), block.uids[0]), block.to_record())


def forget(transaction: Transaction, mailbox_id: str, uids: Sequence[int]) -> None:
    """Delete the blocks that have one of these messages, which are gone for good; *uids* are ascending."""
    gone = frozenset(uids)
    for kind in TextKind if gone else ():
        for block in blocks(transaction, mailbox_id, kind, uids[0], uids[-1]):
            if not gone.isdisjoint(block.uids):
                transaction.delete((MAIL_CHUNK, mailbox_id, int(kind), block.uids[0]))
