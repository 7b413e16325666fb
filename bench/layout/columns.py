"""Columns of a chunk of messages as octets, and what can be asked of them without a loop over messages.

A chunk is some consecutive messages of a mailbox. A record holds one or more of its columns:

    octet     version, 1
    octet     number of columns
    2 octets  number of rows
    5 octets  for each column: its number (1 octet), its length (4 octets)
    ...       the columns, in that order

Integers are little-endian. A text column is its rows joined by LF, which no row contains, so that a search is
one substring scan, and the row of a hit is the number of LFs in front of it.

Invariants: all columns of a chunk have the same rows in the same order, those of expunged messages included.
Limits: 65,535 rows.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Mapping
from enum import IntEnum
from itertools import compress
from typing import Final

from bench.layout.messages import GONE

VERSION: Final = 1
_HEAD = struct.Struct("<BBH")
_ENTRY = struct.Struct("<BI")


class Column(IntEnum):
    """The numbers of columns in records."""

    UID = 1
    MODSEQ = 2
    FLAGS = 3
    KEYWORDS = 4
    SIZE = 5
    INTERNAL = 6
    SAVED = 7
    SENT = 8
    ZONE = 9
    EMAIL = 10
    THREAD = 11
    SUBJECT = 64
    FROM = 65
    TO = 66
    CC = 67
    BCC = 68


TYPECODES: Final = {
    Column.UID: "I",
    Column.MODSEQ: "Q",
    Column.SIZE: "I",
    Column.INTERNAL: "q",
    Column.SAVED: "q",
    Column.SENT: "q",
    Column.ZONE: "h",
    Column.EMAIL: "Q",
    Column.THREAD: "Q",
}
"""Of columns of integers; FLAGS and KEYWORDS are bytes, an octet for each row, and the rest are texts."""
OCTETS: Final = (Column.FLAGS, Column.KEYWORDS)
TEXT_COLUMNS: Final = (Column.SUBJECT, Column.FROM, Column.TO, Column.CC, Column.BCC)

Columns = dict[Column, bytes]

LIVE: Final = bytes(not octet & GONE for octet in range(256))


def encode(rows: int, columns: Mapping[Column, bytes]) -> bytes:
    """Return the record of *columns*."""
    entries = b"".join(_ENTRY.pack(column, len(data)) for column, data in columns.items())
    return _HEAD.pack(VERSION, len(columns), rows) + entries + b"".join(columns.values())


def decode(value: bytes) -> Columns:
    """Return the columns of a record; raises ValueError for one of another version."""
    version, count, _ = _HEAD.unpack_from(value)
    if version != VERSION:
        raise ValueError(f"a chunk of version {version}")
    columns: Columns = {}
    position = _HEAD.size + count * _ENTRY.size
    for number, length in _ENTRY.iter_unpack(value[_HEAD.size : position]):
        columns[Column(number)] = value[position : position + length]
        position += length
    return columns


def pack(values: array[int]) -> bytes:
    """Return a column of integers as octets."""
    if sys.byteorder == "big":
        values = array(values.typecode, values)
        values.byteswap()
    return values.tobytes()


def unpack(column: Column, data: bytes) -> array[int]:
    """Return a column of integers."""
    values = array(TYPECODES[column])
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def having(bits: int, *, absent: bool = False) -> bytes:
    """Return the table that makes octets of flags a mask: 1 where a live row has all *bits* (or lacks them)."""
    return bytes(
        not octet & GONE and (octet & bits == 0 if absent else octet & bits == bits) for octet in range(256)
    )


def adding(bits: int) -> bytes:
    """Return the table that adds *bits* to octets of flags, expunged rows left alone."""
    return bytes(octet if octet & GONE else octet | bits for octet in range(256))


def keep(columns: Columns, mask: bytes) -> Columns:
    """Return *columns* with only the rows of *mask*."""
    kept: Columns = {}
    for column, data in columns.items():
        if column in TYPECODES:
            kept[column] = pack(array(TYPECODES[column], list(compress(unpack(column, data), mask))))
        elif column in OCTETS:
            kept[column] = bytes(compress(data, mask))
        else:
            kept[column] = b"\n".join(compress(data.split(b"\n"), mask))
    return kept
