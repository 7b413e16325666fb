"""The records of single messages: the row of one that is in no chunk yet, and what is read one message at a time.

Invariants: the flags of a message are one number: its low octet has the system flags (``columns``), the bits from
8 on are the keywords of the mailbox, in the order of their names.
Limits: 128 keywords (``words``); a message of less than 4 GiB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from fedaemon.mailbox import columns as c
from fedaemon.store.errors import NewerFormat, StoreError

ROW_VERSION: Final = 1
MAIL_VERSION: Final = 2
"""1 was the first octet of the JSON record of store format 2."""
NO_DATE: Final = -(2**63)
"""The sent time of a message without a usable Date field: its internal date counts (RFC 5256 2.2)."""
NO_SHAPE: Final = bytes(32)
"""Eight lengths of 0: the shape was not made yet."""

_ROW = struct.Struct("<BIQBIqqqhQQB")
_PREFIX = struct.Struct("<I")


class Row(NamedTuple):
    """What is known of a message beside its content; *flags* as above, times in seconds since the epoch."""

    uid: int
    modseq: int
    flags: int
    size: int
    internal_s: int
    saved_s: int
    sent_s: int
    zone_min: int
    email: int
    thread: int

    def to_record(self) -> bytes:
        """Return the row as octets."""
        uid, modseq, flags, *facts = self
        planes = planes_of(flags)
        return _ROW.pack(ROW_VERSION, uid, modseq, flags & 255, *facts, len(planes)) + planes

    @classmethod
    def from_record(cls, value: bytes) -> Row:
        """Return the row of a record.

        :raises NewerFormat: for one of another version.
        :raises StoreError: for a damaged one.
        """
        if value[:1] != b"\x01":
            raise NewerFormat("a row of an unknown version; run the newer fedaemon that wrote it")
        try:
            _, uid, modseq, flags, *facts, planes = _ROW.unpack_from(value)
        except struct.error as error:
            raise StoreError("a damaged row of a mailbox; run fedaemonctl verify") from error
        if planes:
            flags |= int.from_bytes(value[_ROW.size : _ROW.size + planes], "little") << 8
        return cls(uid, modseq, flags, *facts)

    @property
    def live(self) -> bool:
        """Whether the message was not expunged."""
        return not self.flags & c.GONE


class Mail(NamedTuple):
    """A message's content: *prefix* and then the octets of *blob*; *shape* as ``Shape.to_record`` made it."""

    blob: str
    prefix: bytes
    shape: bytes

    def to_record(self) -> bytes:
        """Return the mail as octets."""
        name = self.blob.encode("ascii")
        head = bytes((MAIL_VERSION, len(name))) + name + _PREFIX.pack(len(self.prefix))
        return head + self.prefix + self.shape

    @classmethod
    def from_record(cls, value: bytes) -> Mail:
        """Return the mail of a record; errors are those of ``Row.from_record``."""
        if value[:1] != b"\x02":
            raise NewerFormat("a mail of an unknown version; run the newer fedaemon that wrote it")
        try:
            at = 2 + value[1]
            (length,) = _PREFIX.unpack_from(value, at)
            return cls(value[2:at].decode("ascii"), value[at + 4 : at + 4 + length], value[at + 4 + length :])
        except (IndexError, UnicodeDecodeError, struct.error) as error:
            raise StoreError("a damaged mail; run fedaemonctl verify") from error


def planes_of(flags: int) -> bytes:
    """Return the keywords of *flags*, eight to an octet, without zero octets at the end."""
    keywords = flags >> 8
    return keywords.to_bytes((keywords.bit_length() + 7) // 8, "little")


def state_columns(rows: Sequence[Row]) -> c.Columns:
    """Return the columns of the group that changes."""
    columns = {
        c.UID: c.pack(c.UID, [row.uid for row in rows]),
        c.MODSEQ: c.pack(c.MODSEQ, [row.modseq for row in rows]),
        c.FLAGS: bytes([row.flags & 255 for row in rows]),
    }
    for plane in range(c.PLANES):
        octets = bytes([row.flags >> 8 + 8 * plane & 255 for row in rows])
        if any(octets):
            columns[c.KEYWORDS + plane] = octets
    return columns


def fact_columns(rows: Sequence[Row]) -> c.Columns:
    """Return the columns of the group that does not change."""
    facts = zip(*[row[3:] for row in rows], strict=True)
    return {column: c.pack(column, values) for column, values in zip(c.FACTS, facts, strict=True)}


def rows_of(columns: c.Columns) -> Iterator[Row]:
    """Yield the rows of both groups of a chunk."""
    flags: Sequence[int] = columns[c.FLAGS]
    for plane in range(c.PLANES):
        octets = columns.get(c.KEYWORDS + plane)
        if octets is not None:
            shift = 8 + 8 * plane
            flags = [flag | octet << shift for flag, octet in zip(flags, octets, strict=True)]
    uids, modseqs = c.unpack(c.UID, columns[c.UID]), c.unpack(c.MODSEQ, columns[c.MODSEQ])
    facts = [c.unpack(column, columns[column]) for column in c.FACTS]
    return map(Row, uids, modseqs, flags, *facts)
