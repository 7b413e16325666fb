"""Address lists as ENVELOPE shows them: whatever can be made out of the field.

``message.mailboxes`` decides who a message is from and takes the grammar only. This reader is for showing,
sorting and searching stored mail: it takes everything, never converts or decodes, and marks what is missing in
the words that Dovecot's users know (MISSING_DOMAIN), since IMAP uses NIL there for groups.

Standards: RFC 5322 3.4, 4.4 (addresses, groups, routes, empty elements), RFC 9051 7.5.2 (address structure).
Invariants: nothing is raised; the cost is linear.
Limits: MAX_ADDRESSES.
Known gaps: what follows an address up to the next comma is passed over; a semicolon outside a group separates
as a comma does; in angle brackets, comments and blanks beside a dot are a SYNTAX_ERROR.
"""

from __future__ import annotations

import re
from typing import Final

from fedaemon.message.mime.parameters import after_comment, unescape

MAX_ADDRESSES: Final = 2_000
"""Addresses and group signs of one field; later ones are passed over."""
MISSING_MAILBOX: Final = b"MISSING_MAILBOX"
MISSING_DOMAIN: Final = b"MISSING_DOMAIN"
SYNTAX_ERROR: Final = b"SYNTAX_ERROR"
"""Stands for the domain where what is in angle brackets is no address."""

EnvelopeAddress = tuple[bytes | None, bytes | None, bytes | None, bytes | None]
"""Display name, source route, mailbox (or name of a group), domain; raw, quoting removed."""
GROUP_END: Final[EnvelopeAddress] = (None, None, None, None)

_SIMPLE = re.compile(
    rb'[ \t]*+(?:(?:"([^"\\]*+)"|([^][ \t"(),.:;<>@\\]++(?: [^][ \t"(),.:;<>@\\]++)*+)) ?)?'
    rb'(?:<([^][ \t"(),:;<>@\\]++)@([^][ \t"(),:;<>@\\]++)>|([^][ \t"(),:;<>@\\]++)@([^][ \t"(),:;<>@\\]++))'
    rb"[ \t]*+(,|$)"
).match
_TOKEN = re.compile(
    rb'[ \t]++|(?P<quoted>"(?:[^"\\]++|\\.)*+"?)|(?P<comment>\()|(?P<sign>[<@,;:])|(?P<word>[^ \t"(<@,;:]++)'
).match
_ANGLE = re.compile(
    rb"<[ \t]*+(?:(@[^(:<>]*+):[ \t]*+)?+"
    rb'(?:"((?:[^"\\]++|\\.)*+)"|([^ \t"(<>@,;:]*+))[ \t]*+'
    rb"(?:@[ \t]*+(\[[^]<>]*+\]|[^ \t(<>@,;:]*+))?+[ \t]*+>"
).match
_ANGLE_WORD = re.compile(rb"<[ \t]*+([^ \t\"(<>@,;:]*+)").match
_IN_ANGLE = re.compile(rb'(?:[^"(>]++|"(?:[^"\\]++|\\.)*+"?)*+').match
_DOMAIN = re.compile(rb"[ \t]*+(\[[^]]*+\]|[^ \t\"()<>@,;:]*+(?:[ \t]*+\.[ \t]*+[^ \t\"()<>@,;:]++)*+)").match


def read_addresses(value: bytes) -> list[EnvelopeAddress]:
    """Return the addresses of a field, groups as a sign before and one after their members.

    :param value: an unfolded field value.

    Spec: RFC 9051 7.5.2
    """
    found: list[EnvelopeAddress] = []
    at = 0
    while at < len(value):
        match = _SIMPLE(value, at)
        if match is None or (match[5] is not None and (match[1] is not None or match[2] is not None)):
            return _AddressReader(value, at, found).read()
        quoted, phrase, local, domain, bare, bare_domain, _ = match.groups()
        found.append((quoted or phrase, None, local or bare, domain or bare_domain))
        if len(found) >= MAX_ADDRESSES:
            break
        at = match.end()
    return found


class _AddressReader:
    """Reads what is not in the plain form, from *at* on."""

    def __init__(self, value: bytes, at: int, found: list[EnvelopeAddress]) -> None:
        self._value = value
        self._at = at
        self._found = found
        self._in_group = False
        self._clear()

    def _clear(self) -> None:
        self._words: list[bytes] = []
        self._comment: bytes | None = None
        self._address: tuple[bytes | None, bytes, bytes] | None = None
        self._angle = False

    def read(self) -> list[EnvelopeAddress]:
        """Return all addresses, those found before included."""
        value = self._value
        while self._at < len(value) and len(self._found) < MAX_ADDRESSES:
            match = _TOKEN(value, self._at)
            assert match is not None  # its alternatives take every octet
            start, self._at = self._at, match.end()
            kind = match.lastgroup
            if kind == "sign":
                self._take_sign(match[0], start)
            elif kind == "comment":
                self._take_comment()
            elif kind is not None:
                self._take_word(unescape(match[0][1:].removesuffix(b'"')) if kind == "quoted" else match[0])
        self._flush()
        if self._in_group:
            self._found.append(GROUP_END)
        return self._found

    def _take_word(self, word: bytes) -> None:
        if self._address is None:
            self._words.append(word)
        elif not self._address[2] and not self._angle:  # a comment stood after the @
            self._address = (None, self._address[1], word)

    def _take_sign(self, sign: bytes, start: int) -> None:
        if sign == b",":
            self._flush()
        elif sign == b";":
            self._flush()
            if self._in_group:
                self._found.append(GROUP_END)
            self._in_group = False
        elif self._address is not None:
            return
        elif sign == b":":
            self._begin_group()
        elif sign == b"<":
            self._take_angle(start)
        else:
            match = _DOMAIN(self._value, self._at)
            domain = match[1] if match is not None else b""
            self._at = match.end() if match is not None else self._at
            domain = domain if domain.startswith(b"[") else b"".join(domain.split())
            self._address = (None, b"".join(self._words), domain)

    def _begin_group(self) -> None:
        """Take the words so far as a group's name; groups do not nest, so in one they are passed over."""
        if self._words and not self._in_group:
            self._found.append((None, None, b" ".join(self._words), None))
            self._in_group = True
        self._clear()

    def _take_angle(self, start: int) -> None:
        self._angle = True
        value = self._value
        match = _ANGLE(value, start)
        if match is not None:
            self._at = match.end()
        else:
            self._at = value.find(b">", start) + 1 or len(value)
            text = value[start : self._at]
            if b"(" in text:
                text = self._angle_without_comments(start)
            match = _ANGLE(text)
        if match is not None:
            route, quoted, local, domain = match.groups()
            route = route and route.rstrip(b" \t")
            local = unescape(quoted) if quoted is not None else local
            self._address = (route, local, domain or b"")
        else:
            word = _ANGLE_WORD(text)
            self._address = (None, word[1] if word is not None else b"", SYNTAX_ERROR)

    def _angle_without_comments(self, start: int) -> bytes:
        """Return what stands from *start* to the closing bracket, a space for each comment, and go behind it."""
        kept: list[bytes] = []
        at = start
        while True:
            match = _IN_ANGLE(self._value, at)
            assert match is not None  # it may be empty
            kept.append(match[0])
            at = match.end()
            if not self._value.startswith(b"(", at):
                break
            at = after_comment(self._value, at + 1)
        self._at = min(at + 1, len(self._value))
        return b" ".join(kept) + self._value[at : self._at]

    def _take_comment(self) -> None:
        start = self._at
        self._at = after_comment(self._value, start)
        # A comment before an address is no name, nor one that does not end.
        if (self._words or self._address is not None) and self._value[self._at - 1 : self._at] == b")":
            self._comment = unescape(self._value[start : self._at - 1]).strip(b" \t")

    def _flush(self) -> None:
        """Add the address that ends here; an empty element of the list is none (RFC 5322 4.4)."""
        if self._address is not None:
            route, local, domain = self._address
            name = (b" ".join(self._words) if self._angle else self._comment) or None
            self._found.append((name, route, local or MISSING_MAILBOX, domain or MISSING_DOMAIN))
        elif len(self._words) == 1:
            self._found.append((self._comment or None, None, self._words[0], MISSING_DOMAIN))
        elif self._words:
            self._found.append((b" ".join(self._words), None, MISSING_MAILBOX, MISSING_DOMAIN))
        self._clear()
