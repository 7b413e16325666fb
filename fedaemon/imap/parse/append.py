"""APPEND and REPLACE: what stands between the contents of messages.

The contents are streamed, so the arguments come in pieces: one before each content, one at the end. The reader of
arguments keeps where it is in the grammar and returns of each piece the parts in their order.

Standards: RFC 9051 6.3.12, RFC 3502 6.3.11 (MULTIAPPEND), RFC 4469 3 (CATENATE), RFC 6855 4 (UTF8), RFC 8508 3
(REPLACE), RFC 3516 4.4 (literal8).
Invariants: raises nothing but BadSyntax; a ``MessageStart`` comes before each content that is not within CATENATE.
Limits: those of the cursor, for each piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from fedaemon.imap.names import MailboxName
from fedaemon.imap.parse import values
from fedaemon.imap.parse.cursor import Cursor


@dataclass(frozen=True, slots=True)
class Target:
    """Where the messages go; *replaced* is the message of REPLACE, a number or a UID, STAR for ``*``."""

    name: MailboxName
    replaced: int | None = None


@dataclass(frozen=True, slots=True)
class MessageStart:
    """A message begins: its flags, and its internal date in seconds since the epoch if it was given."""

    flags: tuple[bytes, ...]
    date_s: int | None
    utf8: bool
    catenate: bool


@dataclass(frozen=True, slots=True)
class UrlPart:
    """A part of CATENATE that is found at a URL."""

    url: bytes


@dataclass(frozen=True, slots=True)
class TextPart:
    """A part of CATENATE: the content that comes."""

    utf8: bool


Part = Target | MessageStart | UrlPart | TextPart


class _Place(Enum):
    TARGET = auto()
    MESSAGE = auto()
    AFTER_UTF8 = auto()
    AFTER_MESSAGE = auto()
    AFTER_PART = auto()
    AFTER_UTF8_PART = auto()


class AppendArguments:
    """Reads the pieces of one APPEND or REPLACE.

    :param replace: whether it is REPLACE, which takes one message.
    """

    __slots__ = ("_parts", "_place", "_replace")

    def __init__(self, *, replace: bool) -> None:
        self._replace = replace
        self._place = _Place.TARGET
        self._parts: list[Part] = []

    def before_content(self, cursor: Cursor, *, binary: bool) -> tuple[Part, ...]:
        """Read the piece before a content.

        :param binary: whether the content is sent as literal8, as UTF8 asks.
        :raises BadSyntax: for what is not in the grammar.

        Spec: RFC 9051 9 (append-message), RFC 4469 5 (cat-part)
        """
        self._read(cursor, more=True)
        last = self._parts[-1]
        if isinstance(last, MessageStart | TextPart) and last.utf8 and not binary:
            cursor.fail("literal8 within UTF8")
        return self._taken()

    def end(self, cursor: Cursor) -> tuple[Part, ...]:
        """Read the piece after the last content; all of them if there was none, but URLs.

        :raises BadSyntax: for what is not in the grammar.

        Spec: RFC 9051 9 (append)
        """
        self._read(cursor, more=False)
        cursor.end()
        return self._taken()

    def _taken(self) -> tuple[Part, ...]:
        parts = tuple(self._parts)
        self._parts.clear()
        return parts

    def _read(self, cursor: Cursor, *, more: bool) -> None:
        """Go through the grammar to the end of the piece; *more* says that a content stands there."""
        while True:
            place = self._place
            if place is _Place.TARGET:
                self._target(cursor)
            elif place is _Place.MESSAGE:
                if self._message(cursor, more=more):
                    return
            elif place in (_Place.AFTER_UTF8, _Place.AFTER_UTF8_PART):
                cursor.expect(b")")
                self._place = _Place.AFTER_MESSAGE if place is _Place.AFTER_UTF8 else _Place.AFTER_PART
            elif place is _Place.AFTER_PART:
                if self._after_part(cursor, more=more):
                    return
            elif cursor.at_end() and not more:
                return
            elif self._replace:
                cursor.fail("the end of the line")
            else:
                if cursor.at(b"  "):  # multiappend() of IMAPClient sends so, and Dovecot takes it.
                    cursor.space()
                self._place = _Place.MESSAGE

    def _target(self, cursor: Cursor) -> None:
        cursor.space()
        replaced: int | None = None
        if self._replace:
            messages = values.sequence_set(cursor)
            if len(messages.pairs) != 1 or messages.pairs[0][0] != messages.pairs[0][1]:
                cursor.fail("the number of one message")
            replaced = messages.pairs[0][0]
            cursor.space()
        self._parts.append(Target(cursor.mailbox(), replaced))
        self._place = _Place.MESSAGE

    def _message(self, cursor: Cursor, *, more: bool) -> bool:
        """Take what stands before a message; return whether its content comes now."""
        cursor.space()
        flags: tuple[bytes, ...] = ()
        date_s: int | None = None
        if cursor.at(b"("):
            flags = values.flag_list(cursor)
            cursor.space()
        if cursor.at(b'"'):
            date_s = values.date_time(cursor)
            cursor.space()
        if cursor.skip_word(b"CATENATE"):
            cursor.expect(b" (")
            self._parts.append(MessageStart(flags, date_s, utf8=False, catenate=True))
            return self._part(cursor, more=more)
        utf8 = cursor.skip_word(b"UTF8")
        if utf8:
            cursor.expect(b" (")
        self._parts.append(MessageStart(flags, date_s, utf8=utf8, catenate=False))
        self._content(cursor, more=more)
        self._place = _Place.AFTER_UTF8 if utf8 else _Place.AFTER_MESSAGE
        return True

    def _after_part(self, cursor: Cursor, *, more: bool) -> bool:
        """Take the next part of CATENATE, or its end; return whether a content comes now."""
        if cursor.skip(b")"):
            self._place = _Place.AFTER_MESSAGE
            return False
        cursor.space()
        return self._part(cursor, more=more)

    def _part(self, cursor: Cursor, *, more: bool) -> bool:
        """Take one part of CATENATE; return whether its content comes now.

        Spec: RFC 4469 5 (cat-part), RFC 6855 4
        """
        self._place = _Place.AFTER_PART
        if cursor.skip_word(b"URL"):
            cursor.space()
            self._parts.append(UrlPart(cursor.astring()))
            return False
        utf8 = cursor.choice({b"TEXT": False, b"UTF8": True}, "URL, TEXT or UTF8")
        cursor.expect(b" (" if utf8 else b" ")
        self._parts.append(TextPart(utf8))
        self._content(cursor, more=more)
        if utf8:
            self._place = _Place.AFTER_UTF8_PART
        return True

    def _content(self, cursor: Cursor, *, more: bool) -> None:
        """Check that the content is what comes next."""
        if not (more and cursor.at_end()):
            cursor.fail("a literal with the message")
