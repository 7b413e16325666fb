"""SETQUOTA: understood and refused, since limits are the administrator's (``fedaemonctl account quota``).

Standards: RFC 9208 4.1.3, RFC 5530 3 (NOPERM).
"""

from __future__ import annotations

from fedaemon.imap.commands.setmetadata import NotYours
from fedaemon.imap.events import Command
from fedaemon.imap.parse.metadata import SetQuota
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: SetQuota, command: Command) -> Done:
    """Refuse. Spec: RFC 9208 4.1.3"""
    raise NotYours("Limits are the administrator's")
