"""EXPN: not implemented, as lists are nobody's business.

Standards: RFC 5321 3.5.2, 7.3, 4.2.4 (502).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.smtp.verbs.verb import ALWAYS, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.session import Session


def expn(session: Session, argument: bytes) -> None:
    """Refuse."""
    session.fault(b"502 5.5.1 EXPN is not implemented\r\n")


VERB = Verb("EXPN", expn, ALWAYS)
