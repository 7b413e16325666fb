"""UNAUTHENTICATE: the connection stays, the client is nobody any more.

Standards: RFC 8437 3.
"""

from __future__ import annotations

from fedaemon.imap.events import Command
from fedaemon.imap.operations import Leave
from fedaemon.imap.parse.session import NoArguments
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: NoArguments, command: Command) -> Done:
    """Forget who the client was. TLS and compression stay. Spec: RFC 8437 3"""
    session.log_out()
    await Leave()
    return Done("Log in again")
