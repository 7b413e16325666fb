"""LSUB.

Standards: RFC 3501 6.3.9.
"""

from __future__ import annotations

from fedaemon.imap import listing
from fedaemon.imap.access import names_of
from fedaemon.imap.commands.list_ import say
from fedaemon.imap.events import Command
from fedaemon.imap.parse.listing import List
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: List, command: Command) -> Done:
    """Tell which names are subscribed to. Spec: RFC 3501 6.3.9"""
    await say(session, await listing.lsub_answer(await names_of(session), arguments), b"LSUB")
    return Done("That is all")
