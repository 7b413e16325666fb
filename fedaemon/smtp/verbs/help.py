"""HELP: where help is.

Standards: RFC 5321 4.1.1.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.smtp.reply import Reply
from fedaemon.smtp.verbs.verb import ALWAYS, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.session import Session


def help_(session: Session, argument: bytes) -> None:
    """Point to the standard and to a person."""
    lines = (
        "This server speaks SMTP as RFC 5321 describes it; EHLO lists the extensions",
        f"A person who can help reads postmaster@{session.settings.hostname}",
    )
    session.say(Reply(214, "2.0.0", lines).to_bytes())


VERB = Verb("HELP", help_, ALWAYS)
