"""The layouts that are compared, their keys, and their small records.

("mailstate", mailbox)                     counters, rewritten by every change
("mailchunk", mailbox, group, first UID)   one group of the columns of a chunk
("mailrow", mailbox, UID)                  a message that is in no chunk yet
("mailshape", mailbox, UID)                what is read for single messages only: texts, ENVELOPE, BODYSTRUCTURE
("mailgone", mailbox, mod-sequence)        which UIDs one transaction expunged
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from bench.layout.columns import Column
from bench.layout.messages import Message

MAILBOX: Final = "0123456789abcdef"
STATE: Final = "mailstate"
CHUNK: Final = "mailchunk"
ROW: Final = "mailrow"
SHAPE: Final = "mailshape"
GONE_UIDS: Final = "mailgone"

_ROW = struct.Struct("<BIQBBIqqqhQQ")
_STATE = struct.Struct("<BIQIIQ")
_RANGE = struct.Struct("<II")
_TEXT_LENGTHS = struct.Struct("<5H")

ROW_COLUMNS: Final = (
    Column.UID,
    Column.MODSEQ,
    Column.FLAGS,
    Column.KEYWORDS,
    Column.SIZE,
    Column.INTERNAL,
    Column.SAVED,
    Column.SENT,
    Column.ZONE,
    Column.EMAIL,
    Column.THREAD,
)
TEXTS: Final = tuple((Column(number),) for number in range(Column.SUBJECT, Column.BCC + 1))

ONE_RECORD: Final[tuple[tuple[Column, ...], ...]] = (tuple(Column),)
GROUPED: Final[tuple[tuple[Column, ...], ...]] = (ROW_COLUMNS[:4], ROW_COLUMNS[4:], *TEXTS)
EACH: Final[tuple[tuple[Column, ...], ...]] = tuple((column,) for column in Column)


@dataclass(frozen=True, slots=True)
class Design:
    """A layout: how many rows a chunk has, which columns share a record, and how a message is appended.

    :param log: a new message is a row of its own until there are enough for a chunk; else the last chunk is
        written anew with each transaction.
    """

    name: str
    rows: int
    groups: tuple[tuple[Column, ...], ...]
    log: bool = True


DESIGNS: Final = (
    Design("1000 rows, grouped, log", 1000, GROUPED),
    Design("500 rows, grouped, log", 500, GROUPED),
    Design("256 rows, grouped, log", 256, GROUPED),
    Design("4000 rows, grouped, log", 4000, GROUPED),
    Design("1000 rows, one record, log", 1000, ONE_RECORD),
    Design("1000 rows, record a column, log", 1000, EACH),
    Design("1000 rows, grouped, rewritten", 1000, GROUPED, log=False),
    Design("256 rows, grouped, rewritten", 256, GROUPED, log=False),
    Design("1000 rows, one record, rewritten", 1000, ONE_RECORD, log=False),
)


class State(NamedTuple):
    """The counters of a mailbox; *octets* are those of its live messages."""

    version: int = 1
    uidnext: int = 1
    modseq: int = 0
    exists: int = 0
    unseen: int = 0
    octets: int = 0

    def to_record(self) -> bytes:
        """Return the state as octets."""
        return _STATE.pack(*self)

    @classmethod
    def from_record(cls, value: bytes) -> State:
        """Return the state of a record."""
        return cls(*_STATE.unpack(value))


class Row(NamedTuple):
    """The row of a message, in the order of ROW_COLUMNS."""

    uid: int
    modseq: int
    flags: int
    keywords: int
    size: int
    internal_s: int
    saved_s: int
    sent_s: int
    zone_min: int
    email: int
    thread: int

    def to_record(self) -> bytes:
        """Return the row as octets."""
        return _ROW.pack(1, *self)

    @classmethod
    def from_record(cls, value: bytes) -> Row:
        """Return the row of a record."""
        return cls(*_ROW.unpack(value)[1:])

    @classmethod
    def of(cls, message: Message, uid: int, modseq: int) -> Row:
        """Return the row of a new message."""
        return cls(
            uid,
            modseq,
            message.flags,
            message.keywords,
            message.size,
            message.internal_s,
            message.saved_s,
            message.sent_s,
            message.zone_min,
            message.email,
            message.thread,
        )


def shape_record(message: Message) -> bytes:
    """Return the record of what is read for single messages only, the texts in front."""
    return (
        b"\x01"
        + _TEXT_LENGTHS.pack(*(len(text) for text in message.texts))
        + b"".join(message.texts)
        + message.shape
    )


def texts_of(record: bytes) -> list[bytes]:
    """Return the texts of such a record."""
    position = 1 + _TEXT_LENGTHS.size
    texts = []
    for length in _TEXT_LENGTHS.unpack_from(record, 1):
        texts.append(record[position : position + length])
        position += length
    return texts


def shape_of(record: bytes) -> bytes:
    """Return what is behind the texts."""
    return record[1 + _TEXT_LENGTHS.size + sum(_TEXT_LENGTHS.unpack_from(record, 1)) :]


def ranges(uids: Iterable[int]) -> bytes:
    """Return ascending UIDs as octets: the first and last of each run."""
    found: list[list[int]] = []
    for uid in uids:
        if found and found[-1][1] == uid - 1:
            found[-1][1] = uid
        else:
            found.append([uid, uid])
    return b"\x01" + b"".join(_RANGE.pack(*each) for each in found)
