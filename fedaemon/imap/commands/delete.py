"""DELETE.

Standards: RFC 9051 6.3.5, 7.1 (CLOSED), RFC 5530 3 (NONEXISTENT, CANNOT).
Invariants: the mailboxes below stay; a subscription stays; what was in it can be restored for some days.
"""

from __future__ import annotations

from functools import partial

from fedaemon.imap import writer
from fedaemon.imap.access import place_of
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Write
from fedaemon.imap.parse.mailboxes import Mailbox
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import mailboxes
from fedaemon.store.interface import Transaction


async def run(session: Session, arguments: Mailbox, command: Command) -> Done:
    """Delete a mailbox; who has it selected has none selected then. Spec: RFC 9051 6.3.5"""
    deleted_id = await Write(partial(_delete, session, arguments.name))
    if session.selected is not None and session.selected.id == deleted_id:
        session.deselect()
        session.say(writer.status(None, b"OK", "The mailbox was deleted", b"CLOSED"))
    return Done("Deleted")


def _delete(session: Session, name: str, transaction: Transaction) -> str:
    place = place_of(session, name)
    now_ms = int(session.settings.clock() * 1000)
    return mailboxes.delete(transaction, place.account, place.name, now_ms).id
