"""The texts that SEARCH BODY, TEXT and HEADER look into, kept beside a mailbox once they have been read.

To find a word in 20,000 messages of 3 KB by reading them takes 3 s: parts are found, decoded and folded. What
comes of it is kept in blocks of some hundred messages, deflated, so that a search inflates and scans it: 0.2 s.
That is an index without a query language: substrings are exact, and it is right because ``SearchText`` of a
message never changes. Words or trigrams would be smaller, but could only say which messages to read. A bitmap in
front of each block of which four octets follow each other in it would be a tenth more, and spare the search for a
rare word two blocks of three and that for others half of them or none, but makes indexing twice as dear.

A block is of UIDs, not of a chunk: sealing and merging move rows, and nothing has to be done here for that.
What is in no block is read from the message, so a block that is damaged, lost, or was never made, costs time only.

Theory of operation: ``MAIL_CHUNK`` has the blocks under the groups of ``TextKind`` and their first UID. A record
is one of ``columns`` with UID and DEFLATED, a number that is no group: whoever looks for a chunk's columns does
not take it for one. In it a message is one row, made by ``one_line``; LONG stands for a text that is not kept.
The upkeep makes the blocks of chunks, and ``Progress`` says how far it came; a search makes what it misses.

Invariants: derived data only; the UIDs of a block are never among those of another of its kind; no block names a
message whose content is purged, if ``forget`` is called when rows go for good.
Limits: LONG_OCTETS a text; a block ends behind BLOCK_OCTETS, so it has 320 KiB at most and is inflated in 1 ms.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.message.mime.part import Part
from fedaemon.message.mime.search_text import read_search_text
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content, Snapshot, Transaction
from fedaemon.store.spaces import MAIL, MAIL_CHUNK

DEFLATED: Final = 96
LONG_OCTETS: Final = 64 * 1024
"""Longer texts are attached logs; they are read from the message each time."""
BLOCK_OCTETS: Final = 256 * 1024
LEVEL: Final = 1
"""A third of the octets at 100 MB/s; level 6 saves a tenth more and takes three times as long."""
LONG: Final = b"\0"
"""The row of a text that is not kept: no text and nothing that is searched for has a NUL."""
BODY_BEGINS: Final = b"\xff"
"""Stands between the headers of parts and the texts in a row of BODIES; no UTF-8 has it."""
PROGRESS_GROUP: Final = 92
COVERED: Final = -1

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


class TextRows:
    """Texts of messages on their way into a block."""

    def __init__(self) -> None:
        self._uids: list[int] = []
        self._rows: list[bytes] = []
        self._octets = 0

    @property
    def full(self) -> bool:
        """Whether it is time to ``take`` them."""
        return self._octets > BLOCK_OCTETS

    def add(self, uid: int, text: bytes) -> None:
        """Add what ``read_texts`` returned of a message; UIDs come in ascending order."""
        self._uids.append(uid)
        self._rows.append(text if len(text) <= LONG_OCTETS else LONG)
        self._octets += len(self._rows[-1])

    def take(self) -> tuple[list[int], list[bytes]]:
        """Return the UIDs and rows for ``TextBlock.of``, and begin anew."""
        taken = self._uids, self._rows
        self._uids, self._rows, self._octets = [], [], 0
        return taken


class Progress(NamedTuple):
    """How far the upkeep came.

    :ivar uid: there is nothing to be done for messages of chunks up to this one.
    :ivar forgotten: how often blocks went without others in their place: who sees another number begins again.
    """

    uid: int = 0
    forgotten: int = 0


def read_texts(
    content: Content, parts: Sequence[Part], prefix_octets: int, kinds: Iterable[TextKind]
) -> dict[TextKind, bytes]:
    """Return what is searched of a message, as rows.

    :param content: with its prefix of *prefix_octets*.
    :param parts: of its shape.
    :param kinds: which texts; the header alone is cheap.
    :raises StoreError: it cannot be read.

    Spec: RFC 9051 6.4.4
    """
    wanted = tuple(kinds)
    # The whole message without its parts is its header.
    some = parts if TextKind.BODIES in wanted else parts[:1]
    found = read_search_text(partial(_octets, content), some, prefix_octets)
    texts = {}
    if TextKind.HEADERS in wanted:
        texts[TextKind.HEADERS] = one_line(found.header)
    if TextKind.BODIES in wanted:
        texts[TextKind.BODIES] = one_line(found.part_headers) + BODY_BEGINS + one_line(found.body)
    return texts


def _octets(content: Content, start: int, stop: int) -> bytes:
    return b"".join(content.chunks(start=start, stop=stop))


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


def put(transaction: Transaction, mailbox_id: str, kind: TextKind, block: TextBlock) -> bool:
    """Keep a block in place of those that it overlaps; False when a message of it was purged meanwhile."""
    if any(transaction.get((MAIL, mailbox_id, uid)) is None for uid in block.uids):
        return False
    lost = []
    for other in blocks(transaction, mailbox_id, kind, block.uids[0], block.uids[-1]):
        transaction.delete((MAIL_CHUNK, mailbox_id, int(kind), other.uids[0]))
        if not set(other.uids) <= set(block.uids):
            lost.append(other.uids[0])
    transaction.put((MAIL_CHUNK, mailbox_id, int(kind), block.uids[0]), block.to_record())
    _go_back(transaction, mailbox_id, lost)
    return True


def forget(transaction: Transaction, mailbox_id: str, uids: Sequence[int]) -> None:
    """Delete the blocks that have one of these messages, which are gone for good; *uids* are ascending."""
    gone = frozenset(uids)
    deleted = []
    for kind in TextKind if gone else ():
        for block in blocks(transaction, mailbox_id, kind, uids[0], uids[-1]):
            if not gone.isdisjoint(block.uids):
                transaction.delete((MAIL_CHUNK, mailbox_id, int(kind), block.uids[0]))
                deleted.append(block.uids[0])
    _go_back(transaction, mailbox_id, deleted)


def _go_back(transaction: Transaction, mailbox_id: str, deleted: Sequence[int]) -> None:
    """Have the upkeep begin again before the blocks that were deleted; given are their first UIDs."""
    if deleted:
        before = progress(transaction, mailbox_id)
        after = Progress(min(before.uid, min(deleted) - 1), before.forgotten + 1)
        note(transaction, mailbox_id, after)


def progress(snapshot: Snapshot, mailbox_id: str) -> Progress:
    """Return how far the upkeep came."""
    columns = reading.group(snapshot, mailbox_id, PROGRESS_GROUP, 0)
    return Progress(*c.unpack(c.UID, columns[c.UID])) if columns else Progress()


def note(transaction: Transaction, mailbox_id: str, after: Progress) -> None:
    """Write how far the upkeep came."""
    record = c.encode({c.UID: c.pack(c.UID, after)}, len(after))
    transaction.put((MAIL_CHUNK, mailbox_id, PROGRESS_GROUP, 0), record)


def outside(uids: Sequence[int], known: Sequence[TextBlock]) -> list[list[int]]:
    """Return those of *uids* that could be in new blocks, in a list for each place between two *known* ones."""
    groups = groupby(zip(places(uids, known), uids, strict=True), itemgetter(0))
    return [[uid for _, uid in group] for place, group in groups if place != COVERED]


def places(uids: Sequence[int], known: Sequence[TextBlock]) -> Iterator[int]:
    """Yield for each of *uids* before which of the *known* blocks it stands; COVERED inside one."""
    place = 0
    for uid in uids:
        while place < len(known) and known[place].uids[-1] < uid:
            place += 1
        yield place if place == len(known) or uid < known[place].uids[0] else COVERED
