"""What errors mean to an IMAP client: the one place where they become answers.

Standards: RFC 9051 7.1, RFC 5530 3 (response codes).
Invariants: nothing of a bug is told to the client.
"""

from __future__ import annotations

from typing import Final

from fedaemon.errors import BadSyntax, MailError
from fedaemon.imap import writer
from fedaemon.imap.parse.errors import Unsupported

BUG: Final = "Internal error, nothing was changed; please try again later"
_CODES: Final = {421: b"LIMIT", 535: b"AUTHENTICATIONFAILED", 552: b"OVERQUOTA"}


def refusal_of(tag: bytes | None, error: BaseException) -> bytes:
    """Return the answer to the command *tag* that *error* means.

    An error's own code (``imap_code``) goes before what its family has.

    Spec: RFC 9051 7.1, RFC 5530 3
    """
    if isinstance(error, Unsupported):
        return writer.status(tag, b"NO", error.text, error.response_code)
    if isinstance(error, BadSyntax):
        return writer.status(tag, b"BAD", error.text, getattr(error, "imap_code", b""))
    if not isinstance(error, MailError):
        return writer.status(tag, b"NO", BUG, b"SERVERBUG")
    default = _CODES.get(error.code, b"" if error.permanent else b"UNAVAILABLE")
    code: bytes = getattr(error, "imap_code", default)
    return writer.status(tag, b"NO", error.text, code)
