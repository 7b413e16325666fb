"""CREATE.

Standards: RFC 9051 6.3.4, RFC 6154 3 (USE, USEATTR), RFC 8474 4.2 (MAILBOXID), RFC 5530 3 (ALREADYEXISTS).
Known gaps: the name is not told again where it was not in normal form (OLDNAME of RFC 9051 6.3.9.7).
"""

from __future__ import annotations

from functools import partial

from fedaemon.imap.access import place_of
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Write
from fedaemon.imap.parse.mailboxes import Create
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import mailboxes
from fedaemon.mailbox.mailboxes import Mailbox, UnfitUse
from fedaemon.store.interface import Transaction


async def run(session: Session, arguments: Create, command: Command) -> Done:
    """Make a mailbox, and those above it. Spec: RFC 9051 6.3.4, RFC 6154 3"""
    if len(arguments.uses) > 1:
        raise UnfitUse("A mailbox has one special use at most")
    use = arguments.uses[0].decode("ascii") if arguments.uses else None
    made = await Write(partial(_create, session, arguments.name, use))
    return Done("Created", b"MAILBOXID (%s)" % made.id.encode("ascii"))


def _create(session: Session, name: str, use: str | None, transaction: Transaction) -> Mailbox:
    place = place_of(session, name)
    now_ms = int(session.settings.clock() * 1000)
    return mailboxes.create(transaction, place.account, place.name, now_ms, use)
