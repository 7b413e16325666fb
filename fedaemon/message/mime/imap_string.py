"""Strings of IMAP answers: quoted where every client can read that, as literals otherwise.

Standards: RFC 9051 4.3 (string), 9 (quoted, nstring).
Invariants: what is written is understood by clients of IMAP4rev1 as well: no 8-bit octet stands in quotes, and
no literal8 is used. A literal never has a NUL, because ``read_fields`` leaves none.
"""

from __future__ import annotations

import re

_PLAIN = re.compile(rb'[^\x00-\x1f"\\\x7f-\xff]*+').fullmatch
_ESCAPABLE = re.compile(rb"[^\x00\r\n\x80-\xff]*+").fullmatch


def string(octets: bytes) -> bytes:
    """Return *octets* as a quoted string, or as a literal where they have CR, LF or 8-bit octets.

    Spec: RFC 9051 4.3
    """
    if _PLAIN(octets) is not None:
        return b'"%b"' % octets
    if _ESCAPABLE(octets) is not None:
        return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b"{%d}\r\n%b" % (len(octets), octets)


def nstring(octets: bytes | None) -> bytes:
    """Return *octets* as ``string`` does, or NIL for None.

    Spec: RFC 9051 9
    """
    return b"NIL" if octets is None else string(octets)
