"""NOOP and CHECK.

Standards: RFC 9051 6.1.2, RFC 3501 6.4.1 (CHECK).
"""

from __future__ import annotations

from fedaemon.imap.events import Command
from fedaemon.imap.parse.session import NoArguments
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: NoArguments, command: Command) -> Done:
    """Do nothing: what has changed is told behind every command, and all is durable. Spec: RFC 9051 6.1.2"""
    return Done("Nothing done")
