"""ETRN: not implemented; nobody's queue is started from outside.

Standards: RFC 1985, RFC 5321 4.2.4 (502).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.smtp.verbs.verb import ALWAYS, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.session import Session


def etrn(session: Session, argument: bytes) -> None:
    """Refuse."""
    session.fault(b"502 5.5.1 ETRN is not implemented\r\n")


VERB = Verb("ETRN", etrn, ALWAYS)
