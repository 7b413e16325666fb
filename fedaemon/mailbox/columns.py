"""Columns of a chunk of messages as octets, and what can be asked of them without a loop over messages.

A chunk is some consecutive messages of a mailbox. A record holds one or more of its columns:

    octet     version, 1
    octet     number of columns
    2 octets  number of rows
    5 octets  for each column: its number (1 octet), its length (4 octets)
    ...       the columns, in that order

Integers are little-endian. A text column is its rows joined by LF, which no row contains, so that a search is
one substring scan, and the row of a hit is the number of LFs in front of it. A mask is an octet for each row: 1
for the rows that are meant, 0 for the others.

Invariants: all columns of a chunk have the same rows in the same order, those of expunged messages included.
Limits: 65,535 rows.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import Final

from fedaemon.message.mime.stored_shape import TEXT_COLUMNS
from fedaemon.store.errors import NewerFormat, StoreError

VERSION: Final = 1

UID: Final = 1
MODSEQ: Final = 2
FLAGS: Final = 3
SIZE: Final = 5
INTERNAL: Final = 6
SAVED: Final = 7
SENT: Final = 8
ZONE: Final = 9
EMAIL: Final = 10
THREAD: Final = 11
KEYWORDS: Final = 16
"""The first plane of keywords; there are PLANES of them, an octet for each row in each."""
PLANES: Final = 16
TEXTS: Final = 64
"""The first text column; they stand in the order in which ``StoredShape.texts`` gives them."""

SUBJECT, FROM, TO, CC, BCC, BASE_SUBJECT, SORT_FROM, SORT_TO, SORT_CC, DISPLAY_FROM, DISPLAY_TO, THREADING = (
    range(TEXTS, TEXTS + TEXT_COLUMNS)
)

STATE_GROUP: Final = 0
FACTS_GROUP: Final = 1
"""Groups are what one record holds: what changes (0), what does not (1), and each text column (its number)."""
FACTS: Final = (SIZE, INTERNAL, SAVED, SENT, ZONE, EMAIL, THREAD)

TYPECODES: Final = {
    UID: "I",
    MODSEQ: "Q",
    SIZE: "I",
    INTERNAL: "q",
    SAVED: "q",
    SENT: "q",
    ZONE: "h",
    EMAIL: "Q",
    THREAD: "Q",
}
"""Of columns of integers; FLAGS and planes of keywords are an octet for each row, and the rest are texts."""

SEEN: Final = 1
ANSWERED: Final = 2
FLAGGED: Final = 4
DELETED: Final = 8
DRAFT: Final = 16
GONE: Final = 128
"""The message was expunged; its other flags stay as they were, so that it can be restored with them."""

Columns = dict[int, bytes]
UidRanges = Sequence[tuple[int, int]]
"""First and last UID of each range, ascending, without overlap."""

_HEAD = struct.Struct("<BBH")
_ENTRY = struct.Struct("<BI")

LIVE: Final = bytes(not octet & GONE for octet in range(256))
"""The table that makes octets of flags the mask of the rows that are not gone."""
EXPUNGED: Final = bytes(bool(octet & GONE) for octet in range(256))
UNSEEN: Final = bytes(not octet & (GONE | SEEN) for octet in range(256))
TO_BE_EXPUNGED: Final = bytes(octet & (GONE | DELETED) == DELETED for octet in range(256))
_FULL: Final = bytes([0, 255]) + bytes(254)


def encode(columns: Mapping[int, bytes], rows: int) -> bytes:
    """Return the record of *columns*."""
    entries = b"".join([_ENTRY.pack(number, len(data)) for number, data in columns.items()])
    return _HEAD.pack(VERSION, len(columns), rows) + entries + b"".join(columns.values())


def decode(value: bytes) -> Columns:
    """Return the columns of a record.

    :raises NewerFormat: for one of another version.
    :raises StoreError: for a damaged one.
    """
    try:
        version, count, _ = _HEAD.unpack_from(value)
        if version != VERSION:
            raise NewerFormat(f"a chunk of version {version}; run the newer fedaemon that wrote it")
        columns: Columns = {}
        position = _HEAD.size + count * _ENTRY.size
        for number, length in _ENTRY.iter_unpack(value[_HEAD.size : position]):
            columns[number] = value[position : position + length]
            position += length
    except struct.error as error:
        raise StoreError("a damaged chunk of a mailbox; run fedaemonctl verify") from error
    if position != len(value):
        raise StoreError("a damaged chunk of a mailbox; run fedaemonctl verify")
    return columns


def pack(column: int, values: Sequence[int]) -> bytes:
    """Return a column of integers as octets."""
    packed = array(TYPECODES[column], values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack(column: int, data: bytes) -> array[int]:
    """Return a column of integers."""
    values = array(TYPECODES[column])
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def both(one: bytes, other: bytes) -> bytes:
    """Return the mask of rows that are in both masks."""
    return (int.from_bytes(one, "little") & int.from_bytes(other, "little")).to_bytes(len(one), "little")


def either(one: bytes, other: bytes) -> bytes:
    """Return the mask of rows that are in one of two masks."""
    return (int.from_bytes(one, "little") | int.from_bytes(other, "little")).to_bytes(len(one), "little")


def without(one: bytes, other: bytes) -> bytes:
    """Return the mask of rows that are in *one* and not in *other*."""
    return (int.from_bytes(one, "little") & ~int.from_bytes(other, "little")).to_bytes(len(one), "little")


def blend(old: bytes, new: bytes, mask: bytes) -> bytes:
    """Return the octets of *new* where *mask* has a row, else those of *old*."""
    chosen = int.from_bytes(mask.translate(_FULL), "little")
    kept = int.from_bytes(old, "little")
    return (kept ^ ((kept ^ int.from_bytes(new, "little")) & chosen)).to_bytes(len(old), "little")


def within(uids: Sequence[int], ranges: UidRanges) -> bytes:
    """Return the mask of those *uids* (ascending) that are in *ranges*."""
    mask = bytearray(len(uids))
    for place in range(bisect_left(ranges, (uids[0], 0)) - 1, len(ranges)) if uids else ():
        if place < 0:
            continue
        first, last = ranges[place]
        if first > uids[-1]:
            break
        start, stop = bisect_left(uids, first), bisect_right(uids, last)
        mask[start:stop] = b"\x01" * (stop - start)
    return bytes(mask)


def containing(text: bytes, needle: bytes) -> Iterator[int]:
    """Yield the rows of a text column in which *needle*, which is not empty and has no LF, occurs."""
    row = seen = 0
    position = text.find(needle)
    while position >= 0:
        row += text.count(b"\n", seen, position)
        yield row
        seen = text.find(b"\n", position)
        if seen < 0:
            return
        position = text.find(needle, seen)


def keep(columns: Mapping[int, bytes], mask: bytes) -> Columns:
    """Return *columns* with only the rows of *mask*."""
    kept: Columns = {}
    for number, data in columns.items():
        if number in TYPECODES:
            kept[number] = pack(number, list(compress(unpack(number, data), mask)))
        elif number < TEXTS:
            kept[number] = bytes(compress(data, mask))
        else:
            kept[number] = b"\n".join(compress(data.split(b"\n"), mask))
    return kept
