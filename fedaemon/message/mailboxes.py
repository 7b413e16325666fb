"""The address lists of header fields: From, Sender, To and their like.

Who a message is from is decided here, so this reader takes the grammar of RFC 5322 and nothing beside it:
where lenient readers guess, two programs guess differently, and a forged sender passes between them. The
three forms nearly all mail has (``a@b``, ``Name <a@b>``, ``"Name" <a@b>``) are read by one regular
expression; it takes nothing that the full parser would read otherwise.

Standards: RFC 5322 3.4 (mailboxes, groups), 3.2 (comments, quoted strings), 4.4 (obsolete forms: source
routes, white space and comments inside addresses, dots in names, empty list elements), RFC 6532 3.2 (UTF-8),
RFC 6854 (groups in From and Sender), RFC 2047 5 (encoded words are only in names).
Invariants: only BadSyntax is raised; an address is one that ``parse_address`` accepts; an encoded word never
becomes part of an address; one pass over the value.
Limits: MAX_TOKENS, MAX_MAILBOXES, MAX_COMMENT_DEPTH.
Known gaps: a name given in a comment (``a@b (Name)``) is not taken as the display name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fedaemon.errors import BadSyntax
from fedaemon.message.address import Address, parse_address
from fedaemon.message.encoded_word import decode_text
from fedaemon.message.grammar import (
    ATEXT,
    DOMAIN,
    DOT_STRING,
    MAX_DOMAIN_OCTETS,
    MAX_LOCAL_OCTETS,
    UTF8_ATEXT,
)

MAX_MAILBOXES: Final = 2_000
"""Addresses in one field: some ten milliseconds of work, half of what a turn of the reactor may take."""
MAX_TOKENS: Final = 20_000
"""Words and signs in one field, for the same reason; ten for each address."""
MAX_COMMENT_DEPTH: Final = 32
"""Comments within comments: nobody nests more than two."""

_PHRASE = rf"[{ATEXT}][{ATEXT}.]*+(?: [{ATEXT}.]++)*+"
_BARE = re.compile(rf"({DOT_STRING})@({DOMAIN})").fullmatch
_NAMED = re.compile(rf'(?:(?:"([ !#-\[\]-~]*+)"|({_PHRASE})) ?)?<({DOT_STRING})@({DOMAIN})>').fullmatch

_TOKEN = re.compile(
    rf"(?P<space>[ \t]++)|(?P<atom>[{UTF8_ATEXT}]++)"
    r'|"(?P<quoted>(?:[^"\\]++|\\.)*+)"|(?P<literal>\[[^\[\]\\]*+\])|(?P<sign>[<>@,;:.])|(?P<comment>\()'
).match
_IN_COMMENT = re.compile(r"(?:[^()\\]++|\\.)*+([()])").match
_QUOTED_PAIR = re.compile(r"\\(.)").sub
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
_TO_QUOTE = re.compile(r'["\\]').sub
_BACKSLASHED: Final = r"\\\g<0>"

Token = tuple[str, str, bool]
"""Kind ("atom", "quoted", "literal", "end" or a sign itself), content, whether white space came before it."""
_END: Final[Token] = ("end", "", False)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address of a list. *display_name* is decoded, for showing only; "" when there is none."""

    display_name: str
    address: Address


def parse_mailboxes(value: bytes) -> list[Mailbox]:
    """Return the addresses of an address list, groups flattened.

    :param value: an unfolded field value, as ``Field.value`` gives it.
    :returns: at least one mailbox, unless the list has only empty groups.
    :raises BadSyntax: 554 5.6.0 for anything that is no address list, saying what is wrong with it.

    Spec: RFC 5322 3.4, 4.4
    """
    if value.isascii() and b"=?" not in value:
        mailbox = _parse_ordinary(value.decode("ascii"))
        if mailbox is not None:
            return [mailbox]
    return _parse_fully(value)


def _parse_ordinary(text: str) -> Mailbox | None:
    match = _NAMED(text) if text[-1:] == ">" else _BARE(text)
    if match is None:
        return None
    *names, local, domain = match.groups("")
    if len(local) > MAX_LOCAL_OCTETS or len(domain) > MAX_DOMAIN_OCTETS:
        return None
    return Mailbox("".join(names), Address(local, domain.lower()))


def _parse_fully(value: bytes) -> list[Mailbox]:
    text = value.decode("utf-8", "replace")
    control = _CONTROL(text)
    if control is not None:
        raise _fault(f"there is a control character (U+{ord(control[0]):04X}) in it")
    # In Shift-JIS and GBK a backslash can be the second octet of a letter: readers would disagree on what it
    # escapes.
    if "\ufffd\\" in text:
        raise _fault("octets that are not UTF-8 stand before a backslash in it")
    return _AddressList(_tokens(text)).parse()


def _fault(text: str) -> BadSyntax:
    return BadSyntax(f"not a list of addresses: {text}", code=554, status="5.6.0")


def _tokens(text: str) -> list[Token]:
    """Cut *text* into tokens; of comments and white space only a mark is kept, on the token after them."""
    tokens: list[Token] = []
    offset, spaced = 0, False
    while offset < len(text):
        match = _TOKEN(text, offset)
        if match is None:
            raise _fault(f"the {text[offset]} at character {offset + 1} cannot stand there or is not closed")
        offset = match.end()
        kind = match.lastgroup or ""
        if kind == "space":
            spaced = True
            continue
        if kind == "comment":
            offset = _after_comment(text, offset)
            spaced = True
            continue
        content = match[kind]
        tokens.append((content if kind == "sign" else kind, content, spaced))
        spaced = False
        if len(tokens) > MAX_TOKENS:
            raise _fault(f"it has more than {MAX_TOKENS} words and signs")
    return tokens


def _after_comment(text: str, offset: int) -> int:
    """Return the offset after the comment whose opening parenthesis stands before *offset*."""
    depth = 1
    while depth:
        match = _IN_COMMENT(text, offset)
        if match is None:
            raise _fault("a comment is not closed")
        depth += 1 if match[1] == "(" else -1
        if depth > MAX_COMMENT_DEPTH:
            raise _fault(f"comments are nested deeper than {MAX_COMMENT_DEPTH}")
        offset = match.end()
    return offset


class _AddressList:
    """A recursive-descent reader without recursion: groups do not nest."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = [*tokens, _END]
        self._at = 0
        self._mailboxes: list[Mailbox] = []

    def parse(self) -> list[Mailbox]:
        empty, in_group, separated = True, False, True
        while True:
            kind = self._tokens[self._at][0]
            if kind == ",":
                separated = True
            elif kind == ";" and in_group:
                in_group, separated = False, False
            elif kind == "end":
                break
            elif not separated:
                raise _fault(f"there is no comma before {self._here()}")
            else:
                empty, separated = False, False
                if self._parse_element(in_group):
                    in_group = separated = True
                continue
            self._at += 1
        if in_group:
            raise _fault("the group is not closed by a semicolon")
        if empty:
            raise _fault("there is no address in it")
        return self._mailboxes

    def _parse_element(self, in_group: bool) -> bool:
        """Read a mailbox, or the beginning of a group up to its colon; return whether it was a group."""
        words = self._words()
        kind = self._tokens[self._at][0]
        if kind == "@":
            self._add("", self._address(words))
        elif kind == "<":
            name = _name(words)
            self._at += 1
            self._skip_route()
            address = self._address(self._words())
            self._expect(">")
            self._add(name, address)
        elif kind == ":" and words and not in_group:
            _name(words)
            self._at += 1
            return True
        else:
            raise _fault(f"there is no complete address before {self._here()}")
        return False

    def _add(self, name: str, address: Address) -> None:
        if len(self._mailboxes) >= MAX_MAILBOXES:
            raise _fault(f"it has more than {MAX_MAILBOXES} addresses")
        self._mailboxes.append(Mailbox(name, address))

    def _words(self) -> list[Token]:
        """Take the words and dots that stand here."""
        start = self._at
        while self._tokens[self._at][0] in ("atom", "quoted", "."):
            self._at += 1
        return self._tokens[start : self._at]

    def _address(self, words: list[Token]) -> Address:
        """Make an address of *words*, which are its local part, and the "@" and domain that stand here."""
        self._expect("@")
        local = _joined(words, "the part before the @")
        # No reader should find one address in the encoded form and another in the decoded one.
        if 0 <= local.find("=?") < local.rfind("?=") - 1:
            raise _fault("an address has an encoded word in it")
        # Quoted, any content comes through: parse_address judges what a local part may hold, in one place.
        quoted = any(kind == "quoted" for kind, _, _ in words)
        written = f'"{_TO_QUOTE(_BACKSLASHED, local)}"' if quoted else local
        domain = self._domain()
        try:
            return parse_address(f"{written}@{domain}")
        except BadSyntax as error:
            raise _fault(error.text) from None

    def _domain(self) -> str:
        if self._tokens[self._at][0] == "literal":
            self._at += 1
            return self._tokens[self._at - 1][1]
        words = self._words()
        if any(kind == "quoted" for kind, _, _ in words):
            raise _fault("a domain cannot be quoted")
        return _joined(words, "the domain")

    def _skip_route(self) -> None:
        """Pass over an obsolete source route: "@a,@b:" (RFC 5322 4.4 obs-route)."""
        if self._tokens[self._at][0] != "@":
            return
        while self._tokens[self._at][0] in ("@", ","):
            if self._tokens[self._at][0] == "@":
                self._at += 1
                self._domain()
                if self._tokens[self._at][0] not in (",", ":"):
                    raise _fault("a source route is not closed by a colon")
            else:
                self._at += 1
        self._expect(":")

    def _expect(self, sign: str) -> None:
        if self._tokens[self._at][0] != sign:
            raise _fault(f"there is no {sign} before {self._here()}")
        self._at += 1

    def _here(self) -> str:
        kind, content, _ = self._tokens[self._at]
        return "its end" if kind == "end" else ascii(content[:40])


def _joined(words: list[Token], what: str) -> str:
    """Join words that dots must separate, such as a local part or a domain."""
    dots = [kind == "." for kind, _, _ in words]
    if len(dots) % 2 == 0 or any(dots[::2]) or not all(dots[1::2]):
        raise _fault(f"{what} is not one word, nor words with single dots between them")
    return "".join([_content(token) for token in words])


def _content(token: Token) -> str:
    kind, content, _ = token
    return _QUOTED_PAIR(r"\1", content) if kind == "quoted" else content


def _name(words: list[Token]) -> str:
    """Return the text of a phrase: encoded words decoded, white space between words as one space."""
    if words and words[0][0] == ".":
        raise _fault("a name begins with a dot")
    pieces: list[str] = []
    atoms = ""  # neighbouring atoms are decoded together, since encoded words swallow the space between them
    for token in words:
        gap = " " if token[2] and (pieces or atoms) else ""
        if token[0] == "quoted":
            pieces += [decode_text(atoms), gap, _content(token)]
            atoms = ""
        else:
            atoms += gap + token[1]
    return "".join([*pieces, decode_text(atoms)])
