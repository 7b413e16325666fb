"""Answers of an IMAP server, token by token.

Why: libraries forgive servers, and some do not know literals inside lists. Here any octet that the grammar has no
place for is an error, and a string is never taken for an atom, nor a number for a string.
Standards: RFC 9051 4 (data formats), 7 (responses), 9 (grammar), RFC 3501 (servers of IMAP4rev1), RFC 5256 4
(THREAD).
Known gaps: a literal in a response code, and text in UTF-8 in quotes (RFC 6855), are errors.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import BinaryIO, Final

CONDITIONS: Final = ("OK", "NO", "BAD", "BYE", "PREAUTH")

Token = str | int | bytes | None | list["Token"]
"""An atom, a number, the octets of a string, NIL, or a list of tokens."""

_ATOM = re.compile(
    rb'(?:[^\x00-\x20\x7f-\xff(){"\[\]]|\[(?:[^\x00-\x1f\x7f-\xff"\]]|"(?:[^"\\]|\\["\\])*+")*+\])++'
)
_QUOTED = re.compile(rb'"((?:[^\x00\r\n"\\\x80-\xff]|\\["\\])*+)"')
_LITERAL = re.compile(rb"(~?)\{(\d+)\}\r\n")
_CODE = re.compile(rb"\[((?:[^\]\"]|\"(?:[^\"\\]|\\.)*+\")++)\] ?")


class ImapError(Exception):
    """The server broke the grammar, closed the connection, or refused what was expected to work."""


@dataclass(frozen=True, slots=True)
class Response:
    """One line of an answer, with its literals.

    :ivar tag: that of the command, "*", or "+".
    :ivar name: upper case: OK, FETCH, EXISTS, ...; "" after "+".
    :ivar number: what stands before the name, as in ``* 5 EXISTS``.
    :ivar tokens: what follows the name; of OK, NO, BAD, BYE, and PREAUTH what stands in the brackets.
    :ivar text: what OK, NO, BAD, BYE, PREAUTH and "+" say to people.
    """

    tag: str
    name: str
    number: int | None
    tokens: list[Token]
    text: bytes = b""


class _Reader:
    """Reads tokens of one response from a stream, which stands at the beginning of a line."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._line = b""
        self._at = 0
        self._next_line()

    def _next_line(self) -> None:
        self._line, self._at = self._stream.readline(), 0
        if not self._line.endswith(b"\r\n"):
            raise ImapError(f"the connection ended, or a line without CRLF: {self._line[-200:]!r}")

    def _error(self, what: str) -> ImapError:
        return ImapError(f"{what} at octet {self._at} of {self._line[:2000]!r}")

    @property
    def at_end(self) -> bool:
        """Whether nothing is left of the response."""
        return self._line[self._at :] == b"\r\n"

    def rest(self) -> bytes:
        """Return the text up to the end of the line."""
        text, self._at = self._line[self._at : -2], len(self._line) - 2
        if b"\r" in text or b"\n" in text or b"\0" in text:
            raise self._error("CR, LF or NUL in text")
        return text

    def space(self) -> None:
        """Pass over exactly one space."""
        if self._line[self._at : self._at + 1] != b" ":
            raise self._error("no space")
        self._at += 1

    def code(self) -> bytes | None:
        """Return what stands in the brackets of a response code, if there is one."""
        match = _CODE.match(self._line, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[1]

    def token(self) -> Token:
        """Read one token."""
        octet = self._line[self._at : self._at + 1]
        if octet == b"(":
            return self._list()
        if octet == b'"':
            return self._quoted()
        if octet in (b"{", b"~"):
            return self._literal()
        match = _ATOM.match(self._line, self._at)
        if match is None:
            raise self._error("not a token")
        self._at = match.end()
        atom = match[0].decode("ascii")
        if atom.upper() == "NIL":
            return None
        return int(atom) if atom.isdigit() else atom

    def tokens(self, *, threads: bool = False) -> list[Token]:
        """Read tokens, a space before each (*threads* need none), to the end of the response."""
        found: list[Token] = []
        while not self.at_end:
            if not (threads and found and self._lists_meet(found[-1])):
                self.space()
            found.append(self.token())
        return found

    def _list(self) -> list[Token]:
        self._at += 1
        found: list[Token] = []
        while self._line[self._at : self._at + 1] != b")":
            # Lists of addresses and of body parts follow each other without a space.
            if found and not self._lists_meet(found[-1]):
                self.space()
            found.append(self.token())
        self._at += 1
        return found

    def _lists_meet(self, last: Token) -> bool:
        return isinstance(last, list) and self._line[self._at : self._at + 1] == b"("

    def _quoted(self) -> bytes:
        match = _QUOTED.match(self._line, self._at)
        if match is None:
            raise self._error("not a quoted string")
        self._at = match.end()
        return re.sub(rb"\\(.)", rb"\1", match[1])

    def _literal(self) -> bytes:
        match = _LITERAL.match(self._line, self._at)
        if match is None:
            raise self._error("not a literal")
        octets = self._stream.read(int(match[2]))
        if len(octets) != int(match[2]):
            raise self._error("the connection ended within a literal")
        if b"\0" in octets and not match[1]:
            raise self._error("NUL in a literal that is not a literal8")
        self._next_line()
        return octets


def parse(octets: bytes) -> list[Token]:
    """Return the tokens of a piece of a response, such as an ENVELOPE, with single spaces between them.

    :raises ImapError: when it is not one.

    Spec: RFC 9051 9
    """
    reader = _Reader(io.BytesIO(b" " + octets + b"\r\n"))
    return reader.tokens()


def pairs(token: Token) -> dict[str, Token]:
    """Return a list of names and values, such as the items of a FETCH response, as a dictionary."""
    if not isinstance(token, list) or len(token) % 2:
        raise ImapError(f"not a list of pairs: {token!r}")
    names = [name.upper() if isinstance(name, str) else None for name in token[::2]]
    if None in names or len(set(names)) != len(names):
        raise ImapError(f"names that are no atoms, or come twice: {names}")
    return {name: value for name, value in zip(names, token[1::2], strict=True) if name is not None}


def read_response(stream: BinaryIO) -> Response:
    """Read one response with its literals.

    :raises ImapError: when the stream ends, or has something else.

    Spec: RFC 9051 7
    """
    reader = _Reader(stream)
    tag = reader.token()
    if tag == "+":
        if not reader.at_end:
            reader.space()
        return Response("+", "", None, [], reader.rest())
    tag = str(tag) if isinstance(tag, int) else tag
    reader.space()
    name, number = reader.token(), None
    if isinstance(name, int):
        number = name
        reader.space()
        name = reader.token()
    if not isinstance(name, str) or not isinstance(tag, str):
        raise ImapError(f"neither data nor a condition: {tag!r} {name!r}")
    if name.upper() not in CONDITIONS:
        return Response(tag, name.upper(), number, reader.tokens(threads=name.upper() == "THREAD"))
    reader.space()
    code = reader.code()
    return Response(tag, name.upper(), number, [] if code is None else parse(code), reader.rest())
