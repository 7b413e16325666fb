"""The URLs of CATENATE: which octets of which message.

A URL names a message of the client's own account: with a path from the root (``/INBOX;UIDVALIDITY=1/;UID=2``),
with the whole address of this server, or without a mailbox, which is then the one that is selected.

Standards: RFC 4469 3, 4.1 (BADURL), RFC 5092 6, 7, 11.
Invariants: raises nothing but BadUrl.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from fedaemon.errors import BadSyntax, Refused
from fedaemon.imap.events import Command
from fedaemon.imap.names import MailboxName, read_name
from fedaemon.imap.parse.cursor import Cursor
from fedaemon.imap.parse.fetch import BodySection, Section, fetch_items

_UNFIT: Final = re.compile(rb"[^!-~]").search
_ADDRESS: Final = re.compile(
    rb"imap://(?:([^/@;]*+)(?:;AUTH=[^/@]*+)?@)?([^/@:]++)(?::[0-9]{1,5}+)?", re.IGNORECASE
).match
_PATH: Final = re.compile(rb"/([^;?#]++)(?:;UIDVALIDITY=([0-9]{1,10}+))?", re.IGNORECASE).fullmatch
_NUMBER: Final = re.compile(rb"[1-9][0-9]{0,9}").fullmatch
_PARTIAL: Final = re.compile(rb"([0-9]{1,18}+)(?:\.([1-9][0-9]{0,17}+))?").fullmatch
_ORDER: Final = (b"UID", b"SECTION", b"PARTIAL")


class BadUrl(Refused):
    """The URL is not one, or what it names is not there.

    Spec: RFC 4469 4.1
    """

    def __init__(self, url: bytes, text: str) -> None:
        super().__init__(text)
        # What a response code cannot hold is written as URLs write it.
        self.imap_code = b"BADURL " + quote_from_bytes(url, safe="!\"#$%&'()*+,-./:;<=>?@[\\^_`{|}~").encode()


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """What a URL names; *mailbox* is None for the one that is selected, *uidvalidity* None for any.

    :ivar partial: the first octet, and how many, None for all that are left.
    """

    mailbox: MailboxName | None
    uidvalidity: int | None
    uid: int
    section: Section
    partial: tuple[int, int | None]


def read_url(url: bytes, account: str, hostname: str) -> MessageUrl:
    """Return what *url* names.

    :param account: the client's; whole URLs name it, and *hostname*.
    :raises BadUrl: for what is no URL of a message of the client's own.

    Spec: RFC 5092 11
    """
    if _UNFIT(url) is not None:
        raise BadUrl(url, "A URL has no spaces, controls and 8-bit octets")
    path = url
    address = _ADDRESS(url)
    if address is not None:
        path = url[address.end() :]
        if unquote_to_bytes(address[1] or b"") != account.encode() or (
            address[2].lower() != hostname.lower().encode()
        ):
            raise BadUrl(url, "A URL of another account")
    head, *rest = (path if path.startswith(b"/") else b"/" + path).split(b"/;")
    fields = _fields(url, rest)
    mailbox, uidvalidity = (None, None) if not head else _mailbox(url, head)
    if address is not None and mailbox is None:
        raise BadUrl(url, "A URL without a mailbox")
    section = _section(url, fields[b"SECTION"]) if b"SECTION" in fields else Section()
    partial = _partial(url, fields[b"PARTIAL"]) if b"PARTIAL" in fields else (0, None)
    return MessageUrl(mailbox, uidvalidity, int(fields[b"UID"]), section, partial)


def _fields(url: bytes, items: list[bytes]) -> dict[bytes, bytes]:
    """Return what stands behind the mailbox: UID, and perhaps SECTION and PARTIAL, in that order."""
    fields: dict[bytes, bytes] = {}
    for item in items:
        name, _, value = item.partition(b"=")
        fields[name.upper()] = value
    if list(fields) != [name for name in _ORDER if name in fields] or len(fields) < len(items):
        raise BadUrl(url, "UID, SECTION and PARTIAL, each once and in that order, are understood")
    if _NUMBER(fields.get(b"UID", b"")) is None:
        raise BadUrl(url, "A URL of a message has its UID")
    return fields


def _mailbox(url: bytes, path: bytes) -> tuple[MailboxName, int | None]:
    match = _PATH(path)
    if match is None:
        raise BadUrl(url, "A path begins with a slash and the name of a mailbox")
    try:
        name = read_name(unquote_to_bytes(match[1]), utf8=True)
    except BadSyntax as error:
        raise BadUrl(url, error.text) from None
    return name, int(match[2]) if match[2] is not None else None


def _section(url: bytes, value: bytes) -> Section:
    """Return the section, which is written as FETCH has it."""
    text = unquote_to_bytes(value)
    cursor = Cursor(Command(b"", b"", False, b"BODY[" + text + b"]", ()))
    try:
        if b"\0" in text:
            cursor.fail("a section")
        (item,) = fetch_items(cursor)
        cursor.end()
    except BadSyntax:
        raise BadUrl(url, "There is no such section") from None
    assert isinstance(item, BodySection)
    return item.section


def _partial(url: bytes, value: bytes) -> tuple[int, int | None]:
    match = _PARTIAL(value)
    if match is None:
        raise BadUrl(url, "PARTIAL is the first octet, and perhaps a dot and how many")
    return int(match[1]), int(match[2]) if match[2] is not None else None
