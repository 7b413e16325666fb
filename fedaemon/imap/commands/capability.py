"""CAPABILITY.

Standards: RFC 9051 6.1.1.
"""

from __future__ import annotations

from fedaemon.imap import writer
from fedaemon.imap.capabilities import capabilities
from fedaemon.imap.events import Command
from fedaemon.imap.parse.session import NoArguments
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: NoArguments, command: Command) -> Done:
    """Say what the server can do. Spec: RFC 9051 6.1.1"""
    session.say(writer.untagged(capabilities(session)))
    return Done("That is all")
