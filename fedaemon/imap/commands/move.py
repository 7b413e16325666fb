"""MOVE and UID MOVE.

Standards: RFC 9051 6.4.8, RFC 6851 3.3, 4.3 (COPYUID before EXPUNGE), 4.4 (QRESYNC).
Invariants: each message is in one of the two mailboxes at any time, never in both and never in none.
Limits: SLICE messages in one turn.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from fedaemon.imap import writer
from fedaemon.imap.addressing import addressed
from fedaemon.imap.appending.target import target_named
from fedaemon.imap.commands.copy import SLICE, UidPairs, copy_uid, uidvalidity_of
from fedaemon.imap.commands.expunge import highest_modseq, need_writable
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Read, Turn, Write
from fedaemon.imap.parse.mailboxes import Copy
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import adding, changing
from fedaemon.mailbox import state as states
from fedaemon.mailbox.changing import GoneKind
from fedaemon.mailbox.columns import UidRanges
from fedaemon.mailbox.mailboxes import Mailbox
from fedaemon.store.interface import Transaction


class _Moved(NamedTuple):
    """What became what, and the mod-sequence of the mailbox then."""

    pairs: UidPairs
    modseq: int


async def run(session: Session, arguments: Copy, command: Command) -> Done:
    """Move messages to another mailbox, or behind the others of the same. Spec: RFC 9051 6.4.8, RFC 6851 3.3"""
    source_id = need_writable(session).id
    found = addressed(session, arguments.messages, uid=command.uid)
    target = await Read(target_named(session, arguments.target))
    uidvalidity = await Read(partial(uidvalidity_of, target))
    moved: UidPairs = []
    modseq: int | None = None
    try:
        for count, part in enumerate(found.slices(SLICE)):
            if count:
                await Turn()
            some = await Write(partial(_move, session, source_id, target, part.ranges()))
            if some.pairs:
                moved += some.pairs
                modseq = some.modseq
    finally:
        # Also when it ends half way: what was moved by then is moved.
        if moved:
            session.say(writer.status(None, b"OK", "Moved", copy_uid(uidvalidity, moved)))
    return Done("Moved" if moved else "There is nothing to move", highest_modseq(session, modseq))


def _move(
    session: Session, source_id: str, target: Mailbox, ranges: UidRanges, transaction: Transaction
) -> _Moved:
    settings = session.settings
    now_ms = int(settings.clock() * 1000)
    pairs = adding.copy(transaction, settings.blobs, source_id, target.id, ranges, now_ms // 1000)
    gone = changing.runs(old for old, _ in pairs)
    changing.expunge(transaction, source_id, gone, now_ms, only_deleted=False, kind=GoneKind.MOVED)
    return _Moved(pairs, states.need(transaction, source_id).modseq)
