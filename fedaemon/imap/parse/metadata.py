"""METADATA and QUOTA.

Standards: RFC 5464 4, 5 (METADATA), RFC 9208 4 (QUOTA).
Limits: MAX_ENTRY_OCTETS; those of the cursor. The size of values is the caller's matter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fedaemon.imap.names import MailboxName, read_name
from fedaemon.imap.parse.cursor import UINT32, Cursor

MAX_ENTRY_OCTETS: Final = 250
"""The name of an entry."""
WHOLE_TREE: Final = -1
"""DEPTH infinity."""

_ROOT = re.compile(rb"/(?:private|shared)").fullmatch
_ENTRY = re.compile(rb"/(?:private|shared)(?:/[^/*%\x00-\x1f\x7f-\xff]++)++").fullmatch


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """GETMETADATA; the mailbox "" is the server. *entries* in lower case; *depth* 0, 1 or WHOLE_TREE."""

    mailbox: MailboxName
    entries: tuple[bytes, ...]
    max_size: int | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """SETMETADATA; None removes an entry."""

    mailbox: MailboxName
    entries: tuple[tuple[bytes, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class GetQuota:
    """GETQUOTA."""

    root: bytes


@dataclass(frozen=True, slots=True)
class SetQuota:
    """SETQUOTA; each resource (upper case) with its limit."""

    root: bytes
    limits: tuple[tuple[bytes, int], ...]


def get_metadata(cursor: Cursor) -> GetMetadata:
    """Read the arguments of GETMETADATA.

    The options are taken where RFC 5464 writes them, before the name, and after it, where its examples and some
    clients have them.

    Spec: RFC 5464 4.2, 5
    """
    cursor.space()
    options: tuple[tuple[bytes, int], ...] = ()
    if cursor.at(b"("):
        options = cursor.items(lambda: _option(cursor))
        cursor.space()
    mailbox = read_name(cursor.astring(), utf8=cursor.utf8)
    cursor.space()
    if not options and _options_follow(cursor):
        options = cursor.items(lambda: _option(cursor))
        cursor.space()
    entries = cursor.items(lambda: _asked(cursor)) if cursor.at(b"(") else (_asked(cursor),)
    cursor.end()
    given = dict(options)
    if len(given) < len(options):
        cursor.fail("each option once")
    return GetMetadata(mailbox, entries, given.get(b"MAXSIZE"), given.get(b"DEPTH", 0))


def _options_follow(cursor: Cursor) -> bool:
    start = cursor.position
    found = cursor.skip(b"(") and (cursor.skip_word(b"MAXSIZE") or cursor.skip_word(b"DEPTH"))
    cursor.position = start
    return found


def _option(cursor: Cursor) -> tuple[bytes, int]:
    if cursor.skip_word(b"MAXSIZE"):
        cursor.space()
        return b"MAXSIZE", cursor.number(0, UINT32)
    if not cursor.skip_word(b"DEPTH"):
        cursor.fail("MAXSIZE or DEPTH")
    cursor.space()
    return b"DEPTH", cursor.choice({b"0": 0, b"1": 1, b"INFINITY": WHOLE_TREE}, "0, 1 or infinity")


def _asked(cursor: Cursor) -> bytes:
    """Take the name of an entry that is asked for: with DEPTH that may be all below /private or /shared.

    Spec: RFC 5464 4.2.2
    """
    return _entry(cursor, root=True)


def _entry(cursor: Cursor, *, root: bool = False) -> bytes:
    """Take the name of an entry; case does not count.

    Spec: RFC 5464 3.2
    """
    start = cursor.position
    name = cursor.astring().lower()
    if len(name) > MAX_ENTRY_OCTETS or not (_ENTRY(name) or (root and _ROOT(name))):
        cursor.position = start
        cursor.fail("an entry below /private or /shared")
    return name


def set_metadata(cursor: Cursor) -> SetMetadata:
    """Read the arguments of SETMETADATA.

    Spec: RFC 5464 4.3, 5
    """
    cursor.space()
    mailbox = read_name(cursor.astring(), utf8=cursor.utf8)
    cursor.space()
    entries = cursor.items(lambda: _assignment(cursor))
    cursor.end()
    return SetMetadata(mailbox, entries)


def _assignment(cursor: Cursor) -> tuple[bytes, bytes | None]:
    name = _entry(cursor)
    cursor.space()
    return name, cursor.nstring(binary=True)


def get_quota(cursor: Cursor) -> GetQuota:
    """Read the arguments of GETQUOTA.

    Spec: RFC 9208 4.1.1
    """
    cursor.space()
    root = cursor.astring()
    cursor.end()
    return GetQuota(root)


def set_quota(cursor: Cursor) -> SetQuota:
    """Read the arguments of SETQUOTA.

    Spec: RFC 9208 4.1.3
    """
    cursor.space()
    root = cursor.astring()
    cursor.space()
    limits = cursor.items(lambda: _resource(cursor), empty=True)
    cursor.end()
    return SetQuota(root, limits)


def _resource(cursor: Cursor) -> tuple[bytes, int]:
    name = cursor.atom("a resource").upper()
    cursor.space()
    return name, cursor.number64()
