"""The keys of SEARCH, as a tree.

Standards: RFC 9051 6.4.4, RFC 3501 6.4.4 (NEW, OLD, RECENT), RFC 5032 3 (OLDER, YOUNGER), RFC 7162 3.1.5 (MODSEQ),
RFC 8474 6 (EMAILID, THREADID), RFC 8514 4 (SAVEDATE); RFC 6203 (FUZZY) is refused.
Invariants: raises nothing but BadSyntax.
Limits: MAX_KEYS; the depth of the cursor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final, TypeAlias

from fedaemon.errors import BadSyntax
from fedaemon.imap.parse import values
from fedaemon.imap.parse.cursor import MAX_ITEMS, UINT32, Cursor
from fedaemon.imap.sequence_set import SEQUENCE_SET, SequenceSet, read_sequence_set


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    """All of the keys."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of two keys."""

    first: Key
    second: Key


@dataclass(frozen=True, slots=True)
class Not:
    """All messages but those of the key."""

    key: Key


@dataclass(frozen=True, slots=True)
class HasFlag:
    """The flag is set; \\Recent is possible."""

    flag: bytes


@dataclass(frozen=True, slots=True)
class Messages:
    """Numbers, or UIDs if *uid*."""

    messages: SequenceSet
    uid: bool


@dataclass(frozen=True, slots=True)
class HasText:
    """A substring of a *field*: BCC, CC, FROM, SUBJECT, TO, BODY or TEXT."""

    field: bytes
    text: str


@dataclass(frozen=True, slots=True)
class HasHeader:
    """A substring of any header field of that *name* (upper case); "" asks whether there is one."""

    name: bytes
    text: str


@dataclass(frozen=True, slots=True)
class OnDay:
    """*relation* is BEFORE, ON or SINCE; *kind* is INTERNAL, SENT or SAVED."""

    kind: bytes
    relation: bytes
    day: date


@dataclass(frozen=True, slots=True)
class Size:
    """Larger, or smaller, than so many octets."""

    larger: bool
    octets: int


@dataclass(frozen=True, slots=True)
class Within:
    """Internal date at most (*younger*) or at least so many seconds ago."""

    younger: bool
    seconds: int


@dataclass(frozen=True, slots=True)
class ModSeq:
    """Changed at *modseq* or later; the entry that a client may name is checked and makes no difference.

    Spec: RFC 7162 3.1.5
    """

    modseq: int


@dataclass(frozen=True, slots=True)
class ObjectId:
    """EMAILID, or THREADID if *thread*."""

    thread: bool
    object_id: bytes


@dataclass(frozen=True, slots=True)
class SaveDateSupported:
    """True where mailboxes keep the date of saving."""


Key: TypeAlias = (
    All
    | And
    | Or
    | Not
    | HasFlag
    | Messages
    | HasText
    | HasHeader
    | OnDay
    | Size
    | Within
    | ModSeq
    | ObjectId
    | SaveDateSupported
)


def read_keys(cursor: Cursor) -> Key:
    """Take keys up to the end of the arguments or of a parenthesis; several are joined by And.

    Spec: RFC 9051 6.4.4
    """
    keys = [_key(cursor)]
    while cursor.skip(b" "):
        keys.append(_key(cursor))
        if len(keys) > MAX_ITEMS:
            raise BadSyntax(f"more than {MAX_ITEMS} search keys")
    return keys[0] if len(keys) == 1 else And(tuple(keys))


def _key(cursor: Cursor) -> Key:
    cursor.enter()
    key = _nested(cursor)
    cursor.leave()
    return key


def _nested(cursor: Cursor) -> Key:
    if cursor.skip(b"("):
        key = read_keys(cursor)
        cursor.expect(b")")
        return key
    match = SEQUENCE_SET(cursor.text, cursor.position)
    if match is not None:
        cursor.position = match.end()
        return Messages(read_sequence_set(match[0]), uid=False)
    return cursor.choice(_KEYS, "a search key")(cursor)


def _not(cursor: Cursor) -> Key:
    cursor.space()
    return Not(_key(cursor))


def _or(cursor: Cursor) -> Key:
    cursor.space()
    first = _key(cursor)
    cursor.space()
    return Or(first, _key(cursor))


def _fixed(key: Key, _cursor: Cursor) -> Key:
    return key


def _string(cursor: Cursor) -> str:
    """Take what is searched for; it is UTF-8 whichever of the two charsets was named."""
    cursor.space()
    try:
        return cursor.astring().decode("utf-8")
    except UnicodeDecodeError:
        raise BadSyntax("what is searched for is not UTF-8") from None


def _text(field: bytes, cursor: Cursor) -> Key:
    return HasText(field, _string(cursor))


def _header(cursor: Cursor) -> Key:
    cursor.space()
    name = cursor.astring().upper()
    return HasHeader(name, _string(cursor))


def _day(kind: bytes, relation: bytes, cursor: Cursor) -> Key:
    cursor.space()
    return OnDay(kind, relation, values.day(cursor))


def _size(larger: bool, cursor: Cursor) -> Key:
    cursor.space()
    return Size(larger, cursor.number64())


def _within(younger: bool, cursor: Cursor) -> Key:
    cursor.space()
    return Within(younger, cursor.number(1, UINT32))


def _keyword(wanted: bool, cursor: Cursor) -> Key:
    cursor.space()
    key = HasFlag(values.keyword(cursor))
    return key if wanted else Not(key)


def _uid(cursor: Cursor) -> Key:
    cursor.space()
    return Messages(values.sequence_set(cursor), uid=True)


def _modseq(cursor: Cursor) -> Key:
    """Take [entry-name entry-type] mod-sequence.

    Spec: RFC 7162 3.1.5, 7 (search-modsequence)
    """
    cursor.space()
    if cursor.at(b'"'):
        if not cursor.string().lower().startswith(b"/flags/"):
            cursor.fail("an entry name such as /flags/\\seen")
        cursor.space()
        cursor.choice({b"ALL": 0, b"PRIV": 1, b"SHARED": 2}, "ALL, PRIV or SHARED")
        cursor.space()
    return ModSeq(cursor.number64())


def _object_id(thread: bool, cursor: Cursor) -> Key:
    cursor.space()
    return ObjectId(thread, cursor.object_id())


def _flag_keys() -> dict[bytes, Callable[[Cursor], Key]]:
    """Return ANSWERED and UNANSWERED and so on, and those that know \\Recent."""
    keys: dict[bytes, Callable[[Cursor], Key]] = {}
    for flag in values.SYSTEM_FLAGS.values():
        name = flag[1:].upper()
        keys[name] = partial(_fixed, HasFlag(flag))
        keys[b"UN" + name] = partial(_fixed, Not(HasFlag(flag)))
    recent = HasFlag(b"\\Recent")
    keys[b"RECENT"] = partial(_fixed, recent)
    keys[b"OLD"] = partial(_fixed, Not(recent))
    keys[b"NEW"] = partial(_fixed, And((recent, Not(HasFlag(b"\\Seen")))))
    return keys


_KEYS: Final[dict[bytes, Callable[[Cursor], Key]]] = {
    **_flag_keys(),
    **{name: partial(_text, name) for name in (b"BCC", b"BODY", b"CC", b"FROM", b"SUBJECT", b"TEXT", b"TO")},
    **{
        prefix + relation: partial(_day, kind, relation)
        for prefix, kind in ((b"", b"INTERNAL"), (b"SENT", b"SENT"), (b"SAVED", b"SAVED"))
        for relation in (b"BEFORE", b"ON", b"SINCE")
    },
    b"ALL": partial(_fixed, All()),
    b"EMAILID": partial(_object_id, False),
    b"HEADER": _header,
    b"KEYWORD": partial(_keyword, True),
    b"LARGER": partial(_size, True),
    b"MODSEQ": _modseq,
    b"NOT": _not,
    b"OLDER": partial(_within, False),
    b"OR": _or,
    b"SAVEDATESUPPORTED": partial(_fixed, SaveDateSupported()),
    b"SMALLER": partial(_size, False),
    b"THREADID": partial(_object_id, True),
    b"UID": _uid,
    b"UNKEYWORD": partial(_keyword, False),
    b"YOUNGER": partial(_within, True),
}
