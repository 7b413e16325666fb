"""UNSELECT: leave the mailbox as it is.

Standards: RFC 9051 6.4.2.
"""

from __future__ import annotations

from fedaemon.imap.events import Command
from fedaemon.imap.parse.session import NoArguments
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: NoArguments, command: Command) -> Done:
    """Leave the mailbox. Spec: RFC 9051 6.4.2"""
    session.deselect()
    return Done("Left")
