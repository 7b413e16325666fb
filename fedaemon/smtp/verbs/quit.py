"""QUIT: the end of the session.

Standards: RFC 5321 4.1.1.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.smtp.events import Quit
from fedaemon.smtp.verbs.verb import ALWAYS, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.session import Session


def quit_(session: Session, argument: bytes) -> None:
    """Say good-bye; what the client sent after QUIT is not read any more."""
    session.shut(b"221 2.0.0 Bye\r\n", Quit(), "QUIT before the content was complete")


VERB = Verb("QUIT", quit_, ALWAYS, argument=False)
