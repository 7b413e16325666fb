"""NOOP.

Standards: RFC 9051 6.1.2.
Known gaps: it tells of no changes.
"""

from __future__ import annotations

from fedaemon.imap.events import Command
from fedaemon.imap.parse.session import NoArguments
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: NoArguments, command: Command) -> Done:
    """Do nothing. Spec: RFC 9051 6.1.2"""
    return Done("Nothing done")
