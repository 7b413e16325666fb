"""What the server says, octet for octet.

Standards: RFC 9051 2.2.2, 4.3, 7, 9, RFC 4466 2.6.2 (ESEARCH), RFC 4731 3, RFC 7162 3.1.10, RFC 9394 3.1,
RFC 3516 4.4.
Invariants: outside literals no bare CR, no bare LF and no NUL is written; each value reads back as what it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from fedaemon.imap import grammar
from fedaemon.imap.names import write_name
from fedaemon.imap.sequence_set import Ranges

MAX_QUOTED_OCTETS: Final = 1000
"""Longer strings go as literals: clients with line buffers can take those."""

_ASTRING = re.compile(grammar.ASTRING + rb"{1,1000}+").fullmatch
_FLAG = re.compile(rb"\\?" + grammar.ATOM + rb"++|\\\*").fullmatch
_TAG = re.compile(grammar.TAG + rb"++").fullmatch
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*+").fullmatch
_UTF8_QUOTABLE = re.compile(rb"[^\0\r\n]*+").fullmatch
_CODE = re.compile(rb"[^\0\r\n\]]++").fullmatch
_ESCAPE = re.compile(rb'(["\\])').sub
_UNPRINTABLE = re.compile(rb"[^ -~]+").sub

CONTINUE: Final = b"+ OK\r\n"
"""Asks for a literal."""


def literal_header(size: int, *, binary: bool = False) -> bytes:
    """Return what announces a literal of *size* octets, which the caller sends after it.

    Spec: RFC 9051 4.3, RFC 3516 4.4
    """
    return b"%s{%d}\r\n" % (b"~" if binary else b"", size)


def string(data: bytes, *, utf8: bool = False) -> bytes:
    """Return *data* quoted if it can be, else as a literal.

    :param utf8: whether the session may get UTF-8 in quoted strings.
    :raises ValueError: for NUL, which only literal8 can carry; that is a bug of the caller.

    Spec: RFC 9051 4.3, RFC 6855 3
    """
    if len(data) <= MAX_QUOTED_OCTETS and (
        _QUOTABLE(data) is not None or (utf8 and _UTF8_QUOTABLE(data) is not None and _is_utf8(data))
    ):
        return b'"' + _ESCAPE(rb"\\\1", data) + b'"'
    if b"\0" in data:
        raise ValueError("a string with NUL")
    return literal_header(len(data)) + data


def literal8(data: bytes) -> bytes:
    """Return *data*, which may have any octets, as literal8.

    Spec: RFC 3516 4.4
    """
    return literal_header(len(data), binary=True) + data


def nstring(data: bytes | None, *, utf8: bool = False) -> bytes:
    """Return *data* as a string, NIL for None.

    Spec: RFC 9051 4.5
    """
    return b"NIL" if data is None else string(data, utf8=utf8)


def astring(data: bytes, *, utf8: bool = False) -> bytes:
    """Return *data* as an atom if it can be one, else as a string.

    NIL is quoted: some clients read the atom as nothing.

    Spec: RFC 9051 4.1, 9 (astring)
    """
    if _ASTRING(data) is not None and data.upper() != b"NIL":
        return data
    return string(data, utf8=utf8)


def mailbox(name: str, *, utf8: bool) -> bytes:
    """Return the name of a mailbox as the session reads it.

    Spec: RFC 9051 5.1
    """
    return astring(write_name(name, utf8=utf8), utf8=utf8)


def flag_list(flags: Iterable[bytes]) -> bytes:
    """Return flags in parentheses.

    :raises ValueError: for what is no flag; that is a bug of the caller.

    Spec: RFC 9051 9 (flag-list, flag-perm)
    """
    written = list(flags)
    for flag in written:
        if _FLAG(flag) is None:
            raise ValueError(f"not a flag: {flag!r}")
    return b"(" + b" ".join(written) + b")"


def text(words: str) -> bytes:
    """Return human-readable text on one line, never empty, without a ``[`` that would look like a code.

    In ASCII: other characters may only be sent to sessions that have enabled IMAP4rev2.

    Spec: RFC 9051 9 (resp-text)
    """
    line = _UNPRINTABLE(b" ", words.encode("ascii", "replace")).strip()
    if line.startswith(b"["):
        line = b"." + line
    return line or b"."


def status(tag: bytes | None, condition: bytes, words: str, code: bytes = b"") -> bytes:
    """Return a status response.

    :param tag: of the command, None for an untagged one.
    :param condition: OK, NO, BAD, BYE or PREAUTH.
    :param words: for people.
    :param code: the response code without its brackets, already written.
    :raises ValueError: for a tag or a code that would break the line; that is a bug of the caller.

    Spec: RFC 9051 7.1
    """
    if (tag is not None and _TAG(tag) is None) or (code and _CODE(code) is None):
        raise ValueError(f"not a tag or a response code: {tag!r} {code!r}")
    bracketed = b"[" + code + b"] " if code else b""
    return (tag or b"*") + b" " + condition + b" " + bracketed + text(words) + b"\r\n"


def permanent_flags(flags: Iterable[bytes]) -> bytes:
    """Return the response code PERMANENTFLAGS.

    Spec: RFC 9051 7.1
    """
    return b"PERMANENTFLAGS " + flag_list(flags)


def continuation(words: str = "OK") -> bytes:
    """Return a continuation request with text for people.

    Spec: RFC 9051 7.6
    """
    return b"+ " + text(words) + b"\r\n"


def challenge(encoded: bytes) -> bytes:
    """Return a continuation request with a challenge in base64, which may be empty.

    Spec: RFC 9051 6.2.2
    """
    return b"+ " + encoded + b"\r\n"


def untagged(*words: bytes) -> bytes:
    """Return a line of data from words that are already written.

    Spec: RFC 9051 2.2.2
    """
    return b"* " + b" ".join(words) + b"\r\n"


def esearch(
    tag: bytes,
    *,
    uid: bool,
    lowest: int | None = None,
    highest: int | None = None,
    everything: Ranges | None = None,
    count: int | None = None,
    partial: tuple[tuple[int, int], Ranges] | None = None,
    modseq: int | None = None,
) -> bytes:
    """Return an ESEARCH response; what is None is not said, and neither are empty results of MIN, MAX and ALL.

    :param everything: the numbers for ALL.
    :param partial: the range that was asked for and the numbers in it, NIL when empty.

    Spec: RFC 9051 7.3.4, RFC 4466 2.6.2, RFC 9394 3.1, RFC 7162 3.1.10
    """
    words = [b"ESEARCH (TAG " + string(tag) + b")"]
    if uid:
        words.append(b"UID")
    for name, value in ((b"MIN", lowest), (b"MAX", highest), (b"COUNT", count), (b"MODSEQ", modseq)):
        if value is not None:
            words.append(b"%s %d" % (name, value))
    if everything:
        words.append(b"ALL " + everything.encode())
    if partial is not None:
        (first, last), numbers = partial
        words.append(b"PARTIAL (%d:%d %s)" % (first, last, numbers.encode() or b"NIL"))
    return untagged(*words)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
