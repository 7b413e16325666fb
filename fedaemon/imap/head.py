"""The lines of a command: whether they may be read, tag and name, and what the literals are.

Standards: RFC 9051 2.2.1, 6.3.12, 9 (tag); RFC 4469 3 (CATENATE); RFC 8508 3 (REPLACE).
Invariants: one look at each octet at most.
Limits: MAX_TAG_OCTETS.
"""

from __future__ import annotations

import re
from typing import Final

from fedaemon.imap.grammar import TAG

MAX_TAG_OCTETS: Final = 128
"""Each answer repeats the tag; those of clients have under 20."""

_TAGGED = re.compile(rb"(%b{1,%d}+)(?: |$)" % (TAG, MAX_TAG_OCTETS)).match
_NAME = re.compile(rb"(?:(UID) )?([A-Z][A-Z0-9.-]{0,31})(?= |$)", re.IGNORECASE).match
# Contents of messages are what follows in these commands, but for mailbox names and URLs.
_STREAMING: Final = frozenset((b"APPEND", b"REPLACE"))
_MAILBOX_NEXT = {b"APPEND": re.compile(rb" ").fullmatch, b"REPLACE": re.compile(rb" [0-9*]{1,10} ").fullmatch}
_MAILBOX_URL = {
    b"APPEND": re.compile(rb" URL ", re.IGNORECASE).fullmatch,
    b"REPLACE": re.compile(rb" [0-9*]{1,10} URL ", re.IGNORECASE).fullmatch,
}
_START_OCTETS: Final = 20
"""The longest text that one of these patterns may match."""


def read_tag(line: bytes) -> bytes | None:
    """Return the tag at the start of a line, None without one that is complete.

    Spec: RFC 9051 2.2.1
    """
    match = _TAGGED(line)
    return match[1] if match is not None else None


def read_name(line: bytes, position: int) -> re.Match[bytes] | None:
    """Return the name at *position* of a line: group 1 is UID if it has that prefix, group 2 the name.

    Spec: RFC 9051 2.2.1
    """
    return _NAME(line, position)


def is_message(name: bytes, text: bytearray, *, later: bool) -> bool:
    """Tell whether the literal that follows *text* is the content of a message, not a mailbox name or a URL.

    :param name: the command, upper case.
    :param text: what came after the name, or after the last content if there was one (*later*).

    Spec: RFC 9051 6.3.12, RFC 4469 3, RFC 8508 3
    """
    if name not in _STREAMING:
        return False
    is_url = bytes(text[-5:]).upper() in (b"(URL ", b" URL ")
    if later or len(text) > _START_OCTETS:
        return not is_url
    if _MAILBOX_NEXT[name](text):
        return False
    return not is_url or _MAILBOX_URL[name](text) is not None


def is_clean(line: bytes) -> bool:
    """Tell whether a line that ends with LF ends with CR LF and has no other CR, and no NUL.

    Spec: RFC 9051 2.2
    """
    return line.find(b"\r") == len(line) - 2 >= 0 and b"\0" not in line
