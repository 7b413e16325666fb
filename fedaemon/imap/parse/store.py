"""STORE: which flags of which messages are changed, and how.

Standards: RFC 9051 6.4.6, RFC 7162 3.1.3 (UNCHANGEDSINCE).
Limits: ``values.MAX_FLAGS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fedaemon.imap.parse import values
from fedaemon.imap.parse.cursor import Cursor
from fedaemon.imap.sequence_set import SequenceSet


class StoreMode(Enum):
    """What STORE does with the flags."""

    REPLACE = b""
    ADD = b"+"
    REMOVE = b"-"


@dataclass(frozen=True, slots=True)
class Store:
    """STORE or UID STORE. *silent* asks for no FETCH answers."""

    messages: SequenceSet
    mode: StoreMode
    silent: bool
    flags: tuple[bytes, ...]
    unchanged_since: int | None = None


def store(cursor: Cursor) -> Store:
    """Read the arguments of STORE.

    Spec: RFC 9051 6.4.6, RFC 7162 3.1.3
    """
    cursor.space()
    messages = values.sequence_set(cursor)
    cursor.space()
    unchanged: int | None = None
    if cursor.skip(b"("):
        if not cursor.skip_word(b"UNCHANGEDSINCE"):
            cursor.fail("UNCHANGEDSINCE")
        cursor.space()
        unchanged = cursor.number64()
        cursor.expect(b")")
        cursor.space()
    mode = (
        StoreMode.ADD if cursor.skip(b"+") else StoreMode.REMOVE if cursor.skip(b"-") else StoreMode.REPLACE
    )
    silent = cursor.choice({b"FLAGS": False, b"FLAGS.SILENT": True}, "FLAGS or FLAGS.SILENT")
    cursor.space()
    flags = _flags(cursor)
    cursor.end()
    return Store(messages, mode, silent, flags, unchanged)


def _flags(cursor: Cursor) -> tuple[bytes, ...]:
    if cursor.at(b"("):
        return values.flag_list(cursor)
    flags = [values.flag(cursor)]
    while cursor.skip(b" "):
        flags.append(values.flag(cursor))
        if len(flags) > values.MAX_FLAGS:
            cursor.fail(f"at most {values.MAX_FLAGS} flags")
    return tuple(dict.fromkeys(flags))
