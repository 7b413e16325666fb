"""The messages of a view, cut into pieces that a search looks at one after the other.

A piece is a sealed chunk, or so many rows of the tail, which may be the whole mailbox after an upgrade. Masks are
octets, 1 for the rows that are meant (``mailbox.columns``).

Standards: RFC 9051 2.3.1.2 (sequence numbers).
Limits: PIECE_ROWS, SPARSE.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final

from fedaemon.mailbox.keeping import CHUNK_ROWS
from fedaemon.mailbox.view import View

PIECE_ROWS: Final = CHUNK_ROWS
SPARSE: Final = 8
"""Where at most one row of so many is meant, looking for each is twice as fast as going through all."""

_EACH: Final = re.compile(rb"\x01").finditer


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
        piece, mask = self.piece, self.mask
        rows: Sequence[int] = piece.uids
        if not uid:
            if 0 in piece.shown:
                mask = bytes(compress(mask, piece.shown))
            rows = range(piece.before + 1, piece.before + 1 + len(mask))
        if mask.count(1) * SPARSE <= len(mask):
            return array("I", [rows[found.start()] for found in _EACH(mask)])
        return array("I", compress(rows, mask))

    def modseqs(self) -> array[int]:
        """Return their mod-sequences."""
        return array("Q", compress(self.piece.modseqs, self.mask))
