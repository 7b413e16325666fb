"""POP3 replies: their wire form, and the one place where errors become replies.

Texts come from many places, so this is where a line end or a control character in one of them is kept from
becoming a second reply.

Standards: RFC 1939 3, RFC 2449 4 (512 octets) and 8 (response codes), RFC 3206 (SYS/TEMP, SYS/PERM, AUTH),
RFC 6856 2.1 (UTF-8 only where the client asked for it).
Invariants: a reply is one printable line of at most 512 octets with its CR LF.
Limits: ``MAX_LINE``.
"""

from __future__ import annotations

from typing import Final

from fedaemon.errors import MailError

MAX_LINE: Final = 512
"""Octets of a reply's line with its CR LF (RFC 2449 4)."""

LOG_IN_REFUSED: Final = 535
"""The code of an error that is about the user's credentials."""


def refusal_of(error: BaseException, utf8: bool = False, logged_in: bool = False) -> bytes:
    """Return the -ERR that *error* means to a client; anything but a ``MailError`` is a fault of ours.

    [AUTH] says that the credentials are at fault, [SYS/TEMP] that the same will do later: a client then need
    not ask its user for the password again. [AUTH] is for commands that log in; where a password was removed
    after that, it is [SYS/PERM], because somebody has to do something.

    Spec: RFC 3206 4, 5
    """
    if not isinstance(error, MailError):
        return b"-ERR [SYS/TEMP] Internal error, nothing was changed; please try again later\r\n"
    code = ""
    if error.code == LOG_IN_REFUSED:
        code = "[SYS/PERM] " if logged_in else "[AUTH] "
    elif not error.permanent:
        code = "[SYS/TEMP] "
    return _line(f"-ERR {code}{error.text}", utf8)


def _line(text: str, utf8: bool) -> bytes:
    """Return *text* as one line, without anything that a terminal or a parser could take for more than text."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    octets = clean.encode("utf-8", "replace") if utf8 else clean.encode("ascii", "replace")
    cut = min(len(octets), MAX_LINE - 2)
    # Never within a character.
    while cut < len(octets) and octets[cut] & 0xC0 == 0x80:
        cut -= 1
    return octets[:cut] + b"\r\n"
