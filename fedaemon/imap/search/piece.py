"""The messages of a view, cut into pieces that a search looks at one after the other.

A piece is a sealed chunk, or so many rows of the tail, which may be the whole mailbox after an upgrade. Masks are
octets, 1 for the rows that are meant (``mailbox.columns``).

Standards: RFC 9051 2.3.1.2 (sequence numbers).
Limits: PIECE_ROWS.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress, count
from typing import Final

from fedaemon.mailbox.keeping import CHUNK_ROWS
from fedaemon.mailbox.view import View

PIECE_ROWS: Final = CHUNK_ROWS


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some consecutive rows; *shown* has those that the session counts.

    :ivar first_uid: the name of their chunk, 0 for rows in no chunk.
    :ivar planes: of keywords, by their column numbers.
    :ivar before: how many messages the session counts in front of it.
    """

    first_uid: int
    uids: array[int]
    modseqs: array[int]
    flags: bytes
    planes: dict[int, bytes]
    shown: bytes
    before: int


def pieces(view: View) -> Iterator[Piece]:
    """Yield the messages of *view* in order, at most PIECE_ROWS rows at a time."""
    before = 0
    for chunk, mask in zip(view.chunks, view.shown, strict=True):
        for start in range(0, len(chunk.uids), PIECE_ROWS):
            part = slice(start, start + PIECE_ROWS)
            uids = chunk.uids[part]
            shown = b"\x01" * len(uids) if mask is None else mask[part]
            planes = {number: data[part] for number, data in chunk.planes}
            yield Piece(chunk.first_uid, uids, chunk.modseqs[part], chunk.flags[part], planes, shown, before)
            before += shown.count(1)


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The rows of a piece that were found, one at least."""

    piece: Piece
    mask: bytes

    def __len__(self) -> int:
        return self.mask.count(1)

    def numbers(self, *, uid: bool) -> array[int]:
        """Return their UIDs, or else their sequence numbers."""
        if uid:
            return array("I", compress(self.piece.uids, self.mask))
        ordered = compress(self.mask, self.piece.shown)
        return array("I", compress(count(self.piece.before + 1), ordered))

    def modseqs(self) -> array[int]:
        """Return their mod-sequences."""
        return array("Q", compress(self.piece.modseqs, self.mask))
