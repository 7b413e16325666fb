"""Modified UTF-7, in which IMAP4rev1 writes mailbox names.

Standards: RFC 3501 5.1.3, RFC 9051 A.1, RFC 2152.
Invariants: ``decode(encode(name)) == name`` for text without surrogates; only the form that ``encode`` writes
is read, so that no name has two spellings.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64

from fedaemon.errors import BadSyntax

_TO_ENCODE = re.compile("[^ -%'-~]+|&").sub
_SHIFTED = re.compile(rb"&([^-]*+)-").sub


def encode(name: str) -> bytes:
    """Return a name in modified UTF-7.

    :raises ValueError: for surrogates; that is a bug of the caller.

    Spec: RFC 3501 5.1.3
    """
    return _TO_ENCODE(_shift, name).encode("ascii")


def decode(data: bytes) -> str:
    """Return the name that modified UTF-7 stands for.

    :raises BadSyntax: for any other form than the one that ``encode`` writes.

    Spec: RFC 3501 5.1.3
    """
    if b"&" not in data:
        name = data.decode("latin-1")
    else:
        try:
            name = _SHIFTED(_unshift, data).decode("utf-8")
        except (Error, UnicodeError):
            raise BadSyntax("a mailbox name that is not modified UTF-7") from None
    if encode(name) != data:
        raise BadSyntax("a mailbox name that is not modified UTF-7 in its canonical form")
    return name


def _shift(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    encoded = b2a_base64(match[0].encode("utf-16-be"), newline=False).decode("ascii")
    return "&" + encoded.rstrip("=").replace("/", ",") + "-"


def _unshift(match: re.Match[bytes]) -> bytes:
    if not match[1]:
        return b"&"
    encoded = match[1].replace(b",", b"/")
    return a2b_base64(encoded + b"=" * (-len(encoded) % 4)).decode("utf-16-be").encode("utf-8")
