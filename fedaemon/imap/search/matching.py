"""Which rows of a piece a node of the plan means.

Standards: RFC 9051 6.4.4, RFC 5256 2.1.
Invariants: what is returned is among the rows that were in question; where none is, nothing is read.
Limits: those of ``columns`` and ``contents``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from fedaemon.imap.search import contents
from fedaemon.imap.search.columns import facts, texts
from fedaemon.imap.search.pace import Pace
from fedaemon.imap.search.piece import Piece
from fedaemon.imap.search.plan import (
    AllOf,
    ChangedSince,
    Every,
    Except,
    Fact,
    Inside,
    Node,
    OneOf,
    Text,
    WithFlag,
    WithUid,
)
from fedaemon.imap.session import Session
from fedaemon.mailbox import columns as c

_HAVING: Final = {1 << bit: bytes(octet >> bit & 1 for octet in range(256)) for bit in range(8)}
_MINUTE_S: Final = 60


async def matching(session: Session, node: Node, piece: Piece, wanted: bytes, pace: Pace) -> bytes:
    """Return the mask of those rows in the mask *wanted* that *node* means.

    Spec: RFC 9051 6.4.4
    """
    if 1 not in wanted:
        return wanted
    await pace.step()
    match node:
        case AllOf():
            for each in node.nodes:
                wanted = await matching(session, each, piece, wanted, pace)
            return wanted
        case OneOf():
            first = await matching(session, node.first, piece, wanted, pace)
            rest = c.without(wanted, first)
            return c.either(first, await matching(session, node.second, piece, rest, pace))
        case Except():
            return c.without(wanted, await matching(session, node.node, piece, wanted, pace))
        case Fact():
            return c.both(wanted, _in_range(node, *await facts(session, piece, node.columns)))
        case Text():
            (column,) = await texts(session, piece, wanted, (node.column,), pace)
            return c.both(wanted, mask_of(len(wanted), c.containing(column, node.needle)))
        case Inside():
            return await contents.matching(session, node, piece, wanted, pace)
    return c.both(wanted, in_memory(node, piece))


def in_memory(node: Every | WithFlag | WithUid | ChangedSince, piece: Piece) -> bytes:
    """Return the mask of the rows that *node* means, gone ones among them."""
    match node:
        case Every():
            return b"\x01" * len(piece.uids)
        case WithFlag(column=c.FLAGS):
            return piece.flags.translate(_HAVING[node.bit])
        case WithFlag():
            plane = piece.planes.get(node.column)
            return bytes(len(piece.uids)) if plane is None else plane.translate(_HAVING[node.bit])
        case WithUid():
            mask = bytearray(len(piece.uids))
            for start, stop in node.ranges.slices(piece.uids):
                mask[start:stop] = b"\x01" * (stop - start)
            return bytes(mask)
        case ChangedSince():
            return bytes(map(node.modseq.__le__, piece.modseqs))


def mask_of(rows: int, places: Iterable[int]) -> bytes:
    """Return the mask of so many *rows* that has those of *places*."""
    mask = bytearray(rows)
    for place in places:
        mask[place] = 1
    return bytes(mask)


def _in_range(node: Fact, values: Sequence[int], zones: Sequence[int] = ()) -> bytes:
    if zones:
        values = [value + _MINUTE_S * zone for value, zone in zip(values, zones, strict=True)]
    least, below = node.least, node.below
    return bytes([least <= value < below for value in values])
