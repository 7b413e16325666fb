"""NOOP: nothing; an argument is allowed and means nothing.

Standards: RFC 5321 4.1.1.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.smtp.verbs.verb import ALWAYS, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.session import Session


def noop(session: Session, argument: bytes) -> None:
    """Answer that we are here."""
    session.say(b"250 2.0.0 Ok\r\n")


VERB = Verb("NOOP", noop, ALWAYS)
