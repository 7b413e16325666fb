"""FETCH: what of which messages.

Standards: RFC 9051 6.4.5, RFC 3501 6.4.5 (RFC822 items), RFC 3516 (BINARY), RFC 7162 3.1.4, 3.2.6,
RFC 8474 5.3, RFC 8514 4 (SAVEDATE), RFC 8970 3.1 (PREVIEW), RFC 9394 3.3 (PARTIAL).
Limits: MAX_FIELDS; those of the cursor.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from fedaemon.imap.parse import values
from fedaemon.imap.parse.cursor import INT63, Cursor
from fedaemon.imap.sequence_set import SequenceSet
from fedaemon.imap.writer import astring

MAX_FIELDS: Final = 200
"""Names in one HEADER.FIELDS."""

_ATTRIBUTE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9.]*+").match
_SECTION_TEXT = re.compile(rb"(?:HEADER(?:\.FIELDS(?:\.NOT)?+)?+|TEXT|MIME)(?=[\] ])", re.IGNORECASE).match


class Item(Enum):
    """An item without parameters; its value is its name in the answer."""

    BODY = b"BODY"
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    EMAILID = b"EMAILID"
    ENVELOPE = b"ENVELOPE"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    MODSEQ = b"MODSEQ"
    RFC822 = b"RFC822"
    RFC822_HEADER = b"RFC822.HEADER"
    RFC822_SIZE = b"RFC822.SIZE"
    RFC822_TEXT = b"RFC822.TEXT"
    SAVEDATE = b"SAVEDATE"
    THREADID = b"THREADID"
    UID = b"UID"


_ITEMS: Final = {item.value: item for item in Item}
_FAST: Final = (Item.FLAGS, Item.INTERNALDATE, Item.RFC822_SIZE)
_MACROS: Final[dict[bytes, tuple[Item, ...]]] = {
    b"ALL": (*_FAST, Item.ENVELOPE),
    b"FAST": _FAST,
    b"FULL": (*_FAST, Item.ENVELOPE, Item.BODY),
}


@dataclass(frozen=True, slots=True)
class Preview:
    """The first words of a message; *lazy* asks only for those that are at hand."""

    lazy: bool


@dataclass(frozen=True, slots=True)
class Section:
    """What of a message: a *part*, and *text*: "", HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or MIME."""

    part: tuple[int, ...] = ()
    text: bytes = b""
    fields: tuple[bytes, ...] = ()

    def label(self) -> bytes:
        """Return the section as an answer repeats it, without brackets."""
        words = b".".join([b"%d" % number for number in self.part] + ([self.text] if self.text else []))
        return words + b" (" + b" ".join(map(astring, self.fields)) + b")" if self.fields else words


@dataclass(frozen=True, slots=True)
class BodySection:
    """BODY[...]; *partial* is the first octet and the number of octets; *peek* leaves \\Seen alone."""

    section: Section
    partial: tuple[int, int] | None = None
    peek: bool = False

    def label(self) -> bytes:
        """Return the name of the item in the answer: the origin of a partial, without its length.

        Spec: RFC 9051 7.5.2
        """
        return b"BODY[" + self.section.label() + b"]" + _origin(self.partial)


@dataclass(frozen=True, slots=True)
class BinarySection:
    """BINARY[...]: a part without its transfer encoding."""

    part: tuple[int, ...]
    partial: tuple[int, int] | None = None
    peek: bool = False

    def label(self) -> bytes:
        """Return the name of the item in the answer."""
        return b"BINARY[" + Section(self.part).label() + b"]" + _origin(self.partial)


@dataclass(frozen=True, slots=True)
class BinarySize:
    """BINARY.SIZE[...]: how large BINARY[...] would be."""

    part: tuple[int, ...]

    def label(self) -> bytes:
        """Return the name of the item in the answer."""
        return b"BINARY.SIZE[" + Section(self.part).label() + b"]"


FetchItem = Item | Preview | BodySection | BinarySection | BinarySize


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH or UID FETCH. *partial* is the range of PARTIAL, *changed_since* None when not given."""

    messages: SequenceSet
    items: tuple[FetchItem, ...]
    changed_since: int | None = None
    vanished: bool = False
    partial: tuple[int, int] | None = None


def fetch(cursor: Cursor) -> Fetch:
    """Read the arguments of FETCH.

    Spec: RFC 9051 6.4.5, RFC 7162 3.1.4, 3.2.6, RFC 9394 3.3
    """
    cursor.space()
    messages = values.sequence_set(cursor)
    cursor.space()
    items = fetch_items(cursor)
    since: int | None = None
    vanished = False
    partial: tuple[int, int] | None = None
    if cursor.skip(b" "):
        found = cursor.items(lambda: _modifier(cursor))
        given = dict(found)
        since, vanished = given.get(b"CHANGEDSINCE", (None, 0))[0], b"VANISHED" in given
        if b"PARTIAL" in given:
            first, last = given[b"PARTIAL"]
            partial = (first or 0, last)
        if len(given) < len(found) or (vanished and since is None):
            cursor.fail("each modifier once, and CHANGEDSINCE with VANISHED")
    cursor.end()
    return Fetch(messages, items, since, vanished, partial)


def _modifier(cursor: Cursor) -> tuple[bytes, tuple[int | None, int]]:
    name = cursor.word("CHANGEDSINCE, VANISHED or PARTIAL")
    if name == b"CHANGEDSINCE":
        cursor.space()
        return name, (cursor.number64(), 0)
    if not cursor.uid or name not in (b"VANISHED", b"PARTIAL"):
        cursor.fail("CHANGEDSINCE, or of UID FETCH VANISHED or PARTIAL,")
    if name == b"VANISHED":
        return name, (None, 0)
    cursor.space()
    return name, values.partial_range(cursor)


def fetch_items(cursor: Cursor) -> tuple[FetchItem, ...]:
    """Take a macro, one item or a list of items; each item once.

    Spec: RFC 9051 9 (fetch-att)
    """
    if cursor.at(b"("):
        return tuple(dict.fromkeys(cursor.items(lambda: _item(cursor))))
    for name, macro in _MACROS.items():
        if cursor.skip_word(name):
            return macro
    return (_item(cursor),)


def _item(cursor: Cursor) -> FetchItem:
    start = cursor.position
    name = cursor.take(_ATTRIBUTE, "an item of FETCH")[0].upper()
    if cursor.at(b"["):
        read = _BRACKETED.get(name)
        if read is not None:
            return read(cursor)
    elif name == b"PREVIEW":
        lazy = cursor.skip(b" (")
        if lazy and not (cursor.skip_word(b"LAZY") and cursor.skip(b")")):
            cursor.fail("LAZY")
        return Preview(lazy)
    if cursor.at(b"[") or name not in _ITEMS:
        cursor.position = start
        cursor.fail("an item of FETCH")
    return _ITEMS[name]


def _section(cursor: Cursor) -> Section:
    """Take what stands in the brackets of BODY[...].

    Spec: RFC 9051 9 (section)
    """
    cursor.expect(b"[")
    if cursor.skip(b"]"):
        return Section()
    part: tuple[int, ...] = ()
    if cursor.text[cursor.position : cursor.position + 1].isdigit():
        part = values.part_number(cursor)
        if cursor.skip(b"]"):
            return Section(part)
        cursor.expect(b".")
    text = cursor.take(_SECTION_TEXT, "HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or MIME")[0].upper()
    fields: tuple[bytes, ...] = ()
    if text.startswith(b"HEADER.FIELDS"):
        cursor.space()
        fields = cursor.items(cursor.astring)
    if len(fields) > MAX_FIELDS or (text == b"MIME" and not part):
        cursor.fail("a section that exists")
    cursor.expect(b"]")
    return Section(part, text, fields)


def _binary_part(cursor: Cursor) -> tuple[int, ...]:
    cursor.expect(b"[")
    part = () if cursor.at(b"]") else values.part_number(cursor)
    cursor.expect(b"]")
    return part


def _partial(cursor: Cursor) -> tuple[int, int] | None:
    """Take the octets that are asked for.

    Spec: RFC 9051 9 (partial)
    """
    if not cursor.skip(b"<"):
        return None
    first = cursor.number(0, INT63)
    cursor.expect(b".")
    count = cursor.number(1, INT63)
    cursor.expect(b">")
    return first, count


_BRACKETED: Final[dict[bytes, Callable[[Cursor], FetchItem]]] = {
    b"BODY": lambda cursor: BodySection(_section(cursor), _partial(cursor)),
    b"BODY.PEEK": lambda cursor: BodySection(_section(cursor), _partial(cursor), peek=True),
    b"BINARY": lambda cursor: BinarySection(_binary_part(cursor), _partial(cursor)),
    b"BINARY.PEEK": lambda cursor: BinarySection(_binary_part(cursor), _partial(cursor), peek=True),
    b"BINARY.SIZE": lambda cursor: BinarySize(_binary_part(cursor)),
}


def _origin(partial: tuple[int, int] | None) -> bytes:
    return b"" if partial is None else b"<%d>" % partial[0]
