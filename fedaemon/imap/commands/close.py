"""CLOSE: leave the mailbox, without the messages marked \\Deleted.

Standards: RFC 9051 6.4.1, RFC 7162 3.2.8 (no HIGHESTMODSEQ here).
Invariants: nobody is told of the expunges in this session.
"""

from __future__ import annotations

from fedaemon.imap.commands.expunge import everything, expunge_deleted
from fedaemon.imap.events import Command
from fedaemon.imap.parse.session import NoArguments
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: NoArguments, command: Command) -> Done:
    """Expunge, unless the mailbox is open for reading only, and leave. Spec: RFC 9051 6.4.1"""
    selected = session.need_selected
    if not selected.read_only:
        await expunge_deleted(session, selected.id, everything(selected))
    session.deselect()
    return Done("Closed")
