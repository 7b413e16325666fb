"""ID.

Standards: RFC 2971 3.
"""

from __future__ import annotations

from fedaemon.imap import writer
from fedaemon.imap.events import Command
from fedaemon.imap.parse.session import Id
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: Id, command: Command) -> Done:
    """Say who we are, without a version. Spec: RFC 2971 3.1"""
    session.say(writer.untagged(b'ID ("name" "fedaemon")'))
    return Done("Pleased to meet you")
