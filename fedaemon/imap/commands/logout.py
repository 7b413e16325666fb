"""LOGOUT.

Standards: RFC 9051 6.1.3.
"""

from __future__ import annotations

from fedaemon.imap import writer
from fedaemon.imap.events import Command
from fedaemon.imap.parse.session import NoArguments
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: NoArguments, command: Command) -> Done:
    """Take leave. Spec: RFC 9051 6.1.3"""
    session.say(writer.status(None, b"BYE", "Until next time"))
    session.leaving = True
    return Done("Logged out")
