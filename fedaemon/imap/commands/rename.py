"""RENAME.

Standards: RFC 9051 6.3.6, RFC 5530 3 (ALREADYEXISTS, NONEXISTENT, CANNOT).
Invariants: INBOX stays, and so do the mailboxes below it: its messages move to a new mailbox; those that come in
meanwhile do not. Subscriptions stay with the names.
Limits: MOVE_SLICE messages in one turn.
Known gaps: when moving INBOX's messages fails half way, the rest stays in INBOX, and the new mailbox is there.
"""

from __future__ import annotations

from functools import partial

from fedaemon.imap.access import Place, place_of
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Turn, Write
from fedaemon.imap.parse.mailboxes import Rename
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import mailboxes, renaming
from fedaemon.mailbox import state as states
from fedaemon.mailbox.mailboxes import INBOX, CannotChange
from fedaemon.store.interface import Transaction


async def run(session: Session, arguments: Rename, command: Command) -> Done:
    """Give a mailbox, and those below it, another name. Spec: RFC 9051 6.3.6"""
    old, new = place_of(session, arguments.old), place_of(session, arguments.new)
    if old.account != new.account:
        raise CannotChange("A mailbox stays in its account")
    if old.name == INBOX:
        await _move_inbox(session, old, new)
    else:
        await Write(partial(_rename, session, old, new))
    return Done("Renamed")


def _rename(session: Session, old: Place, new: Place, transaction: Transaction) -> None:
    renaming.rename(transaction, old.account, old.name, new.name, _now_ms(session))


async def _move_inbox(session: Session, inbox: Place, new: Place) -> None:
    """Make a mailbox, and move all messages that are in INBOX now there. Spec: RFC 9051 6.3.6"""
    made: tuple[str, str, int] = await Write(partial(_make, session, inbox, new))
    source_id, target_id, last = made
    move = partial(
        renaming.move_slice,
        blobs=session.settings.blobs,
        source_id=source_id,
        target_id=target_id,
        last=last,
        now_ms=_now_ms(session),
    )
    while await Write(move):
        await Turn()


def _make(session: Session, inbox: Place, new: Place, transaction: Transaction) -> tuple[str, str, int]:
    """Make the new mailbox; return INBOX's id, its own, and the last UID that is to be moved."""
    source = mailboxes.need(transaction, *inbox)
    # CREATE takes a separator at the end, RENAME has no use for one.
    mailboxes.check_name(new.name)
    target = mailboxes.create(transaction, new.account, new.name, _now_ms(session))
    return source.id, target.id, states.need(transaction, source.id).uidnext - 1


def _now_ms(session: Session) -> int:
    return int(session.settings.clock() * 1000)
