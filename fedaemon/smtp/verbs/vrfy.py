"""VRFY: we do not tell who exists; that is told at RCPT.

Standards: RFC 5321 3.5.3 (252), 7.3 (why not).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.smtp.verbs.verb import ALWAYS, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.session import Session


def vrfy(session: Session, argument: bytes) -> None:
    """Answer 252 to whatever name."""
    session.say(b"252 2.0.0 Cannot verify; send the message and see what RCPT says\r\n")


VERB = Verb("VRFY", vrfy, ALWAYS, argument=True)
