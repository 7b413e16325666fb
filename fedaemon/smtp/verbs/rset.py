"""RSET: the open transaction is thrown away.

Standards: RFC 5321 4.1.1.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.smtp.verbs.verb import ALWAYS, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.session import Session


def rset(session: Session, argument: bytes) -> None:
    """Forget sender, recipients and chunks; greeting, TLS and log-in stay."""
    session.abandon("RSET")
    session.say(b"250 2.0.0 Ok\r\n")


VERB = Verb("RSET", rset, ALWAYS, argument=False)
