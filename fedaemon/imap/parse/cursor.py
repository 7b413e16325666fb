"""The reader of one command's arguments, word by word.

Each method takes one thing of the grammar at the place where the cursor stands and moves behind it. Matching is
done by possessive patterns on the whole text, so nothing is copied but what is returned, and time is linear.

Standards: RFC 9051 9 (formal syntax), RFC 3501 9, RFC 6855 3 (UTF-8 in quoted strings), RFC 3516 4.4 (literal8).
Invariants: raises nothing but BadSyntax.
Limits: MAX_DEPTH, MAX_ITEMS; the length of a command is the command reader's matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

from fedaemon.errors import BadSyntax
from fedaemon.imap import grammar
from fedaemon.imap.events import Command, Literal
from fedaemon.imap.names import MailboxName, read_name

MAX_DEPTH: Final = 50
"""Parentheses, NOT and OR within each other; people nest three."""
MAX_ITEMS: Final = 5_000
"""Items of one list."""
UINT32: Final = 2**32 - 1
INT63: Final = 2**63 - 1

_T = TypeVar("_T")

_ATOM = re.compile(grammar.ATOM + rb"++").match
_ASTRING = re.compile(grammar.ASTRING + rb"++").match
_LIST_MAILBOX = re.compile(grammar.LIST_MAILBOX + rb"++").match
_WORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9.=-]*+").match
_NUMBER = re.compile(rb"[0-9]{1,19}+(?![0-9])").match
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\0]|\\["\\])*+)"').match
_UNESCAPE = re.compile(rb"\\(.)").sub
_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}+").match


class Cursor:
    """Stands in the arguments of a command.

    :param command: what the command reader gave.
    :param utf8: whether the session has enabled UTF8=ACCEPT or IMAP4rev2, so that quoted strings may hold UTF-8
        and mailbox names are UTF-8 instead of modified UTF-7.
    """

    __slots__ = ("_depth", "_literals", "_taken", "position", "text", "uid", "utf8")

    def __init__(self, command: Command, *, utf8: bool = False) -> None:
        self.text = command.text
        self.uid = command.uid
        self.utf8 = utf8
        self.position = 0
        self._literals = command.literals
        self._taken = 0
        self._depth = 0

    def fail(self, wanted: str) -> NoReturn:
        """Refuse the command: *wanted* should stand here.

        :raises BadSyntax: always.
        """
        raise BadSyntax(f"{wanted} expected at octet {self.position + 1} of the arguments")

    def at(self, octets: bytes) -> bool:
        """Tell whether *octets* stand here."""
        return self.text.startswith(octets, self.position)

    def at_end(self) -> bool:
        """Tell whether nothing is left."""
        return self.position == len(self.text)

    def skip(self, octets: bytes) -> bool:
        """Move behind *octets* if they stand here; return whether they did."""
        if not self.text.startswith(octets, self.position):
            return False
        self.position += len(octets)
        return True

    def expect(self, octets: bytes) -> None:
        """Move behind *octets*."""
        if not self.skip(octets):
            self.fail("a space" if octets == b" " else octets.decode("ascii"))

    def space(self) -> None:
        """Move behind one space."""
        self.expect(b" ")

    def end(self) -> None:
        """Refuse what is left."""
        if not self.at_end():
            self.fail("the end of the line")

    def take(self, pattern: Callable[[bytes, int], re.Match[bytes] | None], wanted: str) -> re.Match[bytes]:
        """Move behind what *pattern* (the ``match`` of a compiled one) matches."""
        match = pattern(self.text, self.position)
        if match is None:
            self.fail(wanted)
        self.position = match.end()
        return match

    def word(self, wanted: str = "a word") -> bytes:
        """Take a word of the protocol: letters, digits and ``.=-``; returned in upper case."""
        return self.take(_WORD, wanted)[0].upper()

    def skip_word(self, word: bytes) -> bool:
        """Move behind *word* (upper case) if it stands here and ends here."""
        match = _WORD(self.text, self.position)
        if match is None or match[0].upper() != word:
            return False
        self.position = match.end()
        return True

    def atom(self, wanted: str = "an atom") -> bytes:
        """Take an atom, as it is."""
        return self.take(_ATOM, wanted)[0]

    def number(self, low: int = 0, high: int = UINT32) -> int:
        """Take a number from *low* to *high*.

        Spec: RFC 9051 4.2
        """
        start = self.position
        number = int(self.take(_NUMBER, "a number")[0])
        if not low <= number <= high:
            self.position = start
            self.fail(f"a number from {low} to {high}")
        return number

    def number64(self, low: int = 0) -> int:
        """Take a number of 63 bits."""
        return self.number(low, INT63)

    def object_id(self) -> bytes:
        """Take an object id.

        Spec: RFC 8474 7
        """
        return self.take(_OBJECT_ID, "an object id")[0]

    def _literal(self, *, binary: bool) -> Literal:
        literal = self._literals[self._taken]
        if not binary and (literal.binary or b"\0" in literal.data):
            self.fail("a literal without NUL")
        self._taken += 1
        self.position += 1
        return literal

    def string(self, *, binary: bool = False) -> bytes:
        """Take a quoted string or a literal, and literal8 if *binary*.

        UTF-8 in quotes is understood from everybody: clients search with it that have not enabled it.

        Spec: RFC 9051 4.3, RFC 6855 3
        """
        if self.at(b"\0"):
            return self._literal(binary=binary).data
        start = self.position
        data = self.take(_QUOTED, "a string")[1]
        if not data.isascii() and not _is_utf8(data):
            self.position = start
            self.fail("a string in UTF-8 (a literal may have other octets)")
        return _UNESCAPE(rb"\1", data) if b"\\" in data else data

    def at_string(self) -> bool:
        """Tell whether a quoted string or a literal stands here."""
        return self.at(b'"') or self.at(b"\0")

    def astring(self) -> bytes:
        """Take an atom or a string."""
        return self.string() if self.at_string() else self.take(_ASTRING, "a string")[0]

    def nstring(self, *, binary: bool = False) -> bytes | None:
        """Take a string or NIL."""
        if self.at_string():
            return self.string(binary=binary)
        if self.atom("a string or NIL").upper() != b"NIL":
            self.fail("a string or NIL")
        return None

    def list_mailbox(self) -> bytes:
        """Take a name that may have ``*`` and ``%``."""
        return self.string() if self.at_string() else self.take(_LIST_MAILBOX, "a mailbox name")[0]

    def mailbox(self) -> MailboxName:
        """Take the name of a mailbox; only METADATA knows the empty one.

        Spec: RFC 9051 5.1
        """
        name = read_name(self.astring(), utf8=self.utf8)
        if not name:
            self.fail("the name of a mailbox")
        return name

    def enter(self) -> None:
        """Go one level deeper."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadSyntax(f"more than {MAX_DEPTH} levels within each other")

    def leave(self) -> None:
        """Come back from a level."""
        self._depth -= 1

    def items(self, item: Callable[[], _T], *, empty: bool = False) -> tuple[_T, ...]:
        """Take a list in parentheses, of at most MAX_ITEMS items.

        :param item: takes one item.
        :param empty: whether the list may be empty.
        """
        self.expect(b"(")
        if empty and self.skip(b")"):
            return ()
        self.enter()
        found = [item()]
        while not self.skip(b")"):
            self.space()
            found.append(item())
            if len(found) > MAX_ITEMS:
                raise BadSyntax(f"more than {MAX_ITEMS} items in a list")
        self.leave()
        return tuple(found)

    def choice(self, table: dict[bytes, _T], wanted: str) -> _T:
        """Take a word that is a key of *table* and return its value."""
        start = self.position
        word = self.word(wanted)
        if word not in table:
            self.position = start
            self.fail(wanted)
        return table[word]

    def options(self, table: dict[bytes, _T], wanted: str, *, empty: bool = False) -> frozenset[_T]:
        """Take a list of words, each a key of *table*, as the set of their values."""
        return frozenset(self.items(lambda: self.choice(table, wanted), empty=empty))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
