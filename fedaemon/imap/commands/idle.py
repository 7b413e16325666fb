"""IDLE: the client waits for news.

Standards: RFC 9051 6.3.13.
Limits: the service's idle time-out: clients begin anew every 29 minutes.
"""

from __future__ import annotations

from fedaemon.errors import BadSyntax
from fedaemon.imap import writer
from fedaemon.imap.events import Command
from fedaemon.imap.operations import LineOrNotice
from fedaemon.imap.parse.session import NoArguments
from fedaemon.imap.session import Done, Session
from fedaemon.imap.spontaneous import tell_by_itself


async def run(session: Session, arguments: NoArguments, command: Command) -> Done:
    """Tell of changes as they come, until the client says DONE. Spec: RFC 9051 6.3.13"""
    session.say(writer.continuation("idling"))
    while True:
        await tell_by_itself(session)
        line = await LineOrNotice()
        if line is None:
            continue
        if line.upper() != b"DONE":
            raise BadSyntax("IDLE is ended by DONE")
        return Done("Idle no more")
