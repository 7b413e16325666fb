"""The error families: each error knows what it means to a peer.

Every protocol maps them to its own replies in one place (``smtp/reply.py`` for SMTP). Any exception outside
these families is a bug of ours: it is logged with its traceback and answered as a temporary failure.

Standards: RFC 5321 4.2 (reply codes), RFC 3463 (enhanced status codes).
Invariants: nothing that is our own fault is ever a permanent refusal (``Unavailable`` has only 4yz codes).
"""

from __future__ import annotations


class MailError(Exception):
    """An answer to a peer that is not "done".

    :param text: one line of printable text that says what was wrong and what to do next.
    :param code: SMTP reply code, 400..599; by default the family's.
    :param status: RFC 3463 enhanced status code; by default the family's.
    """

    code = 451
    status = "4.3.0"

    def __init__(self, text: str, *, code: int | None = None, status: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status

    @property
    def permanent(self) -> bool:
        """True when trying the same again cannot succeed (5yz)."""
        return self.code >= 500


class BadSyntax(MailError):
    """The peer broke the protocol or a format: SMTP 5yz, IMAP BAD, POP3 -ERR."""

    code = 501
    status = "5.5.2"


class Refused(MailError):
    """Policy says no: SMTP 5yz (or 4yz for a limit that passes), IMAP NO, POP3 -ERR."""

    code = 550
    status = "5.7.1"


class LoginRefused(Refused):
    """Nobody is let in: the credentials do not fit, or there were too many that did not.

    *login*: the user name that was given, for the log; "" when it is no address.
    """

    code = 535
    status = "5.7.8"
    login = ""


class Unavailable(MailError):
    """Our own fault, or something we depend on: SMTP 4yz, IMAP NO [UNAVAILABLE], POP3 -ERR [SYS/TEMP]."""

    code = 451
    status = "4.3.0"
