"""HELO: the greeting of clients without extensions.

Standards: RFC 5321 4.1.1.1, 4.1.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.smtp.verbs.ehlo import greeted
from fedaemon.smtp.verbs.verb import ALWAYS, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.session import Session


def helo(session: Session, argument: bytes) -> None:
    """Answer with our name; parameters of MAIL and RCPT are not understood after it."""
    greeted(session, argument, extended=False)


VERB = Verb("HELO", helo, ALWAYS, argument=True)
