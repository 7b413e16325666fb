"""Addresses: the mailboxes of SMTP commands, and the paths of MAIL and RCPT.

An ``Address`` is made only by the parsers here, so whoever holds one knows that it is well formed and in one
spelling. Most addresses are plain ASCII and are read by one regular expression; whatever that does not take
goes to the careful parser, which also says what is wrong.

Standards: RFC 5321 4.1.2 (Path, Mailbox), 4.1.3 (address literals), 4.5.3.1 (lengths), 4.5.1 (Postmaster),
RFC 6531 3.3 (UTF-8 addresses), RFC 5233 (+detail).
Invariants: ``parse_address(str(a)) == a``; ``parse_address(a.key).key == a.key``; only BadSyntax is raised.
Limits: MAX_LOCAL_OCTETS, MAX_DOMAIN_OCTETS, MAX_PATH_OCTETS (grammar.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from unicodedata import normalize

from fedaemon.errors import BadSyntax
from fedaemon.message.domain import RECIPIENT_STATUS, bad_address, parse_address_literal, parse_domain
from fedaemon.message.grammar import (
    DOMAIN,
    DOT_STRING,
    MAX_DOMAIN_OCTETS,
    MAX_LOCAL_OCTETS,
    MAX_PATH_OCTETS,
    UNFIT,
    UTF8_DOT_STRING,
)

__all__ = ["Address", "parse_address", "parse_domain", "parse_forward_path", "parse_reverse_path"]

SENDER_STATUS = "5.1.7"
UTF8_STATUS = "5.6.7"

_PLAIN = re.compile(rf"({DOT_STRING})@({DOMAIN})").fullmatch
_PLAIN_PATH = re.compile(rf"<({DOT_STRING})@({DOMAIN})>(?: (.*+))?".encode(), re.DOTALL).fullmatch
# Where a path ends: at the first ">" outside quotes.
_PATH = re.compile(rb'<((?:[^"<>\\]++|"(?:[^"\\]++|\\.)*+")*+)>(?: (.*+))?', re.DOTALL).fullmatch
_ATOMS = re.compile(UTF8_DOT_STRING).fullmatch
# RFC 5321 4.1.2 QcontentSMTP, with the characters RFC 6531 3.3 adds.
_QUOTED_LOCAL = re.compile('"((?:[ !#-\\[\\]-~\x80-\U0010ffff]++|\\\\[ -~])*+)"').match
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL).sub
_TO_QUOTE = re.compile(r'(["\\])').sub


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: content of the local part (unquoted, unescaped), and domain.

    *domain* is lower-case A-labels or a normalised address literal.
    """

    local: str
    domain: str

    @property
    def key(self) -> str:
        """The canonical form for look-ups: the same for all spellings of one mailbox."""
        return f"{_written(_fold_case(self.local))}@{self.domain}"

    @property
    def base(self) -> Address:
        """The address without its +tag; "+tag" alone, with nothing before it, is no tag."""
        base, plus, _ = self.local.partition("+")
        return Address(base, self.domain) if plus and base else self

    @property
    def needs_utf8(self) -> bool:
        """True when only a host with SMTPUTF8 can take it: a local part has no ASCII form."""
        return not self.local.isascii()

    def __str__(self) -> str:
        """The mailbox as it is written on the wire."""
        return f"{_written(self.local)}@{self.domain}"


def _fold_case(local: str) -> str:
    if local.isascii():
        return local.lower()
    # Unicode 3.13 D145 (canonical caseless matching), composed at the end as everybody writes it.
    return normalize("NFC", normalize("NFD", local).casefold())


def _written(local: str) -> str:
    if _ATOMS(local) is not None:
        return local
    return '"' + _TO_QUOTE(r"\\\1", local) + '"'


def parse_address(text: str) -> Address:
    """Return the address that *text* is.

    :param text: exactly a Mailbox, without angle brackets; a domain in U-labels is converted.
    :raises BadSyntax: 553 5.1.3, saying what is wrong with it.

    Spec: RFC 5321 4.1.2, RFC 6531 3.3
    """
    match = _PLAIN(text)
    if match is not None:
        local, domain = match.groups()
        if len(local) <= MAX_LOCAL_OCTETS and len(domain) <= MAX_DOMAIN_OCTETS:
            return Address(local, domain.lower())
    if len(text) > MAX_LOCAL_OCTETS + 1 + MAX_DOMAIN_OCTETS:
        raise bad_address(f"the address is longer than {MAX_LOCAL_OCTETS}@{MAX_DOMAIN_OCTETS} octets")
    unfit = UNFIT.search(text)
    if unfit is not None:
        raise bad_address(f"the address has a character that no address may have (U+{ord(unfit[0]):04X})")
    local, domain = _parse_quoted(text) if text.startswith('"') else _parse_unquoted(text)
    return Address(local, parse_address_literal(domain) if domain.startswith("[") else parse_domain(domain))


def _parse_unquoted(text: str) -> tuple[str, str]:
    local, at, domain = text.partition("@")
    if not at:
        raise bad_address("the address has no @; it must be complete, like user@example.org")
    if not local:
        raise bad_address("there is nothing before the @")
    if _ATOMS(local) is None:
        if local[0] == "." or local[-1] == "." or ".." in local:
            raise bad_address("the part before the @ begins or ends with a dot, or has two in a row")
        raise bad_address("the part before the @ has characters that need quotes")
    _check_length(local, local)
    return local, domain


def _parse_quoted(text: str) -> tuple[str, str]:
    match = _QUOTED_LOCAL(text)
    if match is None:
        raise bad_address("the quoted part before the @ is not closed or has a character it cannot have")
    if text[match.end() : match.end() + 1] != "@":
        raise bad_address("after the closing quote there must be an @")
    local = _QUOTED_PAIR(r"\1", match[1])
    _check_length(match[0], local)
    return local, text[match.end() + 1 :]


def _check_length(written: str, local: str) -> None:
    """Refuse a local part that is too long as written or, as some letters make it, in its canonical form."""
    key = local if local.isascii() else _written(_fold_case(local))
    if len(written.encode()) > MAX_LOCAL_OCTETS or len(key.encode()) > MAX_LOCAL_OCTETS:
        raise bad_address(f"the part before the @ is longer than {MAX_LOCAL_OCTETS} octets")


def parse_reverse_path(data: bytes, *, utf8: bool) -> tuple[Address | None, bytes]:
    """Take the reverse-path from the argument of MAIL FROM:.

    :param data: what follows the colon (and its optional space), such as ``b"<a@b> SIZE=3"``.
    :param utf8: whether the transaction may use non-ASCII addresses.
    :returns: the address (None for ``<>``) and the parameters, without spaces around them.
    :raises BadSyntax: 501 or 553 5.1.7; 553 5.6.7 for a non-ASCII path where *utf8* is false.

    Spec: RFC 5321 4.1.2, 4.5.5
    """
    match = _PLAIN_PATH(data)
    if match is not None:
        address = _plain(match)
        if address is not None:
            return address, (match[3] or b"").strip(b" ")
    text, rest = _split_path(data, utf8, SENDER_STATUS)
    return (_parse_in_path(text, SENDER_STATUS) if text else None), rest


def parse_forward_path(data: bytes, *, utf8: bool, local_domain: str) -> tuple[Address, bytes]:
    """Take the forward-path from the argument of RCPT TO:.

    :param data: what follows the colon (and its optional space), such as ``b"<a@b> NOTIFY=NEVER"``.
    :param utf8: whether the transaction may use non-ASCII addresses.
    :param local_domain: the canonical domain that ``<Postmaster>`` belongs to.
    :returns: the address and the parameters, without spaces around them.
    :raises BadSyntax: 501 or 553 5.1.3; 553 5.6.7 for a non-ASCII path where *utf8* is false.

    Spec: RFC 5321 4.1.1.3, 4.1.2, 4.5.1
    """
    match = _PLAIN_PATH(data)
    if match is not None:
        address = _plain(match)
        if address is not None:
            return address, (match[3] or b"").strip(b" ")
    text, rest = _split_path(data, utf8, RECIPIENT_STATUS)
    if text.isascii() and text.lower() == "postmaster":
        return Address("postmaster", local_domain), rest
    if not text:
        raise bad_address("a recipient cannot be empty", code=501)
    return _parse_in_path(text, RECIPIENT_STATUS), rest


def _plain(match: re.Match[bytes]) -> Address | None:
    local, domain = match[1], match[2]
    if len(local) > MAX_LOCAL_OCTETS or len(local) + len(domain) + 3 > MAX_PATH_OCTETS:
        return None
    return Address(local.decode("ascii"), domain.decode("ascii").lower())


def _split_path(data: bytes, utf8: bool, status: str) -> tuple[str, bytes]:
    """Return the mailbox inside the brackets, without its source route, and the parameters."""
    match = _PATH(data)
    if match is None:
        if not data.startswith(b"<"):
            raise bad_address(
                "the address must stand in angle brackets: <a@example.org>", code=501, status=status
            )
        raise bad_address(
            "the path is not <a@example.org> followed by a space or nothing", code=501, status=status
        )
    path: bytes = match[1]
    rest: bytes = match[2] or b""
    if len(path) + 2 > MAX_PATH_OCTETS:
        raise bad_address(f"the path is longer than {MAX_PATH_OCTETS} octets", status=status)
    if not utf8 and not path.isascii():
        raise bad_address("the address is not ASCII; that needs SMTPUTF8 in MAIL", status=UTF8_STATUS)
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        raise bad_address("the address is not valid UTF-8", code=501, status=status) from None
    return _without_route(text, status), rest.strip(b" ")


def _without_route(text: str, status: str) -> str:
    """Check and drop a source route: "@a,@b:user@c" is "user@c" (RFC 5321 4.1.1.3, appendix C)."""
    if not text.startswith("@"):
        return text
    route, colon, mailbox = text.partition(":")
    if not colon or not mailbox:
        raise bad_address("the source route is not followed by : and an address", code=501, status=status)
    for hop in route.split(","):
        if not hop.startswith("@"):
            raise bad_address("each domain of the source route needs an @ before it", code=501, status=status)
        try:
            parse_domain(hop[1:])
        except BadSyntax as error:
            raise BadSyntax(f"source route: {error.text}", code=501, status=status) from None
    return mailbox


def _parse_in_path(text: str, status: str) -> Address:
    try:
        return parse_address(text)
    except BadSyntax as error:
        raise BadSyntax(error.text, code=error.code, status=status) from None
