"""LIST, LSUB and STATUS.

Standards: RFC 9051 6.3.9, 6.3.11, RFC 3501 6.3.9 (LSUB), RFC 5258 3 (LIST-EXTENDED), RFC 5819 2 (LIST-STATUS),
RFC 6154 2 (SPECIAL-USE), RFC 7162 3.1.7 (HIGHESTMODSEQ), RFC 7889 4 (APPENDLIMIT), RFC 8438 3 (SIZE), RFC 8474 4.3
(MAILBOXID), RFC 9208 4.1.4 (DELETED-STORAGE).
Limits: MAX_PATTERNS; those of the cursor.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from fedaemon.imap.names import MailboxName, read_text
from fedaemon.imap.parse.cursor import Cursor

MAX_PATTERNS: Final = 100
"""Patterns of one LIST: each is tried on each mailbox."""


class StatusItem(Enum):
    """What STATUS tells."""

    APPENDLIMIT = b"APPENDLIMIT"
    DELETED = b"DELETED"
    DELETED_STORAGE = b"DELETED-STORAGE"
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"
    MAILBOXID = b"MAILBOXID"
    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"
    SIZE = b"SIZE"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"


class Selection(Enum):
    """Which mailboxes LIST is about."""

    RECURSIVEMATCH = b"RECURSIVEMATCH"
    REMOTE = b"REMOTE"
    SPECIAL_USE = b"SPECIAL-USE"
    SUBSCRIBED = b"SUBSCRIBED"


class Told(Enum):
    """What LIST tells of each."""

    CHILDREN = b"CHILDREN"
    SPECIAL_USE = b"SPECIAL-USE"
    SUBSCRIBED = b"SUBSCRIBED"


_STATUS_ITEMS: Final = {item.value: item for item in StatusItem}
_SELECTIONS: Final = {selection.value: selection for selection in Selection}
_TOLD: Final = {told.value: told for told in Told}


@dataclass(frozen=True, slots=True)
class List:
    """LIST or LSUB. *extended* says that the client used the extended form; *status* are items of STATUS."""

    reference: str
    patterns: tuple[str, ...]
    extended: bool = False
    selection: frozenset[Selection] = frozenset()
    told: frozenset[Told] = frozenset()
    status: tuple[StatusItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS."""

    name: MailboxName
    items: tuple[StatusItem, ...]


def list_(cursor: Cursor) -> List:
    """Read the arguments of LIST.

    Spec: RFC 9051 6.3.9, RFC 5258 3, RFC 5819 2
    """
    cursor.space()
    selection: frozenset[Selection] = frozenset()
    extended = cursor.at(b"(")
    if extended:
        selection = cursor.options(_SELECTIONS, "an option of LIST", empty=True)
        if Selection.RECURSIVEMATCH in selection and not selection - {
            Selection.RECURSIVEMATCH,
            Selection.REMOTE,
        }:
            cursor.fail("SUBSCRIBED or SPECIAL-USE beside RECURSIVEMATCH")
        cursor.space()
    reference = read_text(cursor.astring(), utf8=cursor.utf8)
    cursor.space()
    extended = extended or cursor.at(b"(")
    patterns = cursor.items(lambda: _pattern(cursor)) if cursor.at(b"(") else (_pattern(cursor),)
    if len(patterns) > MAX_PATTERNS:
        cursor.fail(f"at most {MAX_PATTERNS} patterns")
    told: list[Told | tuple[StatusItem, ...]] = []
    if cursor.skip(b" "):
        extended = True
        if not cursor.skip_word(b"RETURN"):
            cursor.fail("RETURN")
        cursor.space()
        told.extend(cursor.items(lambda: _told(cursor), empty=True))
    cursor.end()
    status = [option for option in told if isinstance(option, tuple)]
    plain = frozenset([option for option in told if isinstance(option, Told)])
    return List(reference, patterns, extended, selection, plain, status[0] if status else ())


def _pattern(cursor: Cursor) -> str:
    return read_text(cursor.list_mailbox(), utf8=cursor.utf8)


def _told(cursor: Cursor) -> Told | tuple[StatusItem, ...]:
    if cursor.skip_word(b"STATUS"):
        cursor.space()
        return status_items(cursor)
    return cursor.choice(_TOLD, "CHILDREN, SPECIAL-USE, STATUS or SUBSCRIBED")


def lsub(cursor: Cursor) -> List:
    """Read the arguments of LSUB.

    Spec: RFC 3501 6.3.9
    """
    cursor.space()
    reference = read_text(cursor.astring(), utf8=cursor.utf8)
    cursor.space()
    pattern = _pattern(cursor)
    cursor.end()
    return List(reference, (pattern,))


def status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    """Take items of STATUS in parentheses, each once.

    Spec: RFC 9051 9 (status-att)
    """
    return tuple(dict.fromkeys(cursor.items(lambda: cursor.choice(_STATUS_ITEMS, "an item of STATUS"))))


def status(cursor: Cursor) -> Status:
    """Read the arguments of STATUS.

    Spec: RFC 9051 6.3.11
    """
    cursor.space()
    name = cursor.mailbox()
    cursor.space()
    items = status_items(cursor)
    cursor.end()
    return Status(name, items)
