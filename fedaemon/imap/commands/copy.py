"""COPY and UID COPY.

Standards: RFC 9051 6.4.7, RFC 4315 3 (COPYUID), RFC 2180 4.4.1 (messages that are gone), RFC 5530 3
(EXPUNGEISSUED).
Invariants: when it fails, the target is as it was: what was copied is expunged again.
Limits: SLICE messages in one turn.
Known gaps: a crash, or a client that leaves, between two slices leaves a part behind; nobody was told OK then.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from fedaemon.imap.addressing import addressed
from fedaemon.imap.appending.target import check_room, target_named
from fedaemon.imap.commands.expunge import ExpungeIssued
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Read, Turn, Write
from fedaemon.imap.parse.mailboxes import Copy
from fedaemon.imap.sequence_set import Ranges
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import adding, changing, reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.changing import GoneKind
from fedaemon.mailbox.columns import UidRanges
from fedaemon.mailbox.mailboxes import Mailbox
from fedaemon.store.interface import Snapshot, Transaction

SLICE: Final = 500
"""docs/mailbox-layout.md section 6."""

UidPairs = list[tuple[int, int]]
"""The old UID and the new one of each message, ascending."""


async def run(session: Session, arguments: Copy, command: Command) -> Done:
    """Copy messages to another mailbox, or the same. Spec: RFC 9051 6.4.7"""
    source_id = session.need_selected.id
    found = addressed(session, arguments.messages, uid=command.uid)
    target = await Read(target_named(session, arguments.target))
    uidvalidity = await Read(partial(uidvalidity_of, target))
    copied: UidPairs = []
    try:
        for count, part in enumerate(found.slices(SLICE)):
            if count:
                await Turn()
            # Numbers stand for messages that the client has seen, UIDs for those that are there.
            needed = 0 if command.uid else len(part)
            copied += await Write(partial(_copy, session, source_id, target, part.ranges(), needed))
    except Exception:
        for start in range(0, len(copied), SLICE):
            await Write(partial(_undo, session, target, copied[start : start + SLICE]))
        raise
    if not copied:
        return Done("There is nothing to copy")
    return Done("Copied", copy_uid(uidvalidity, copied))


def uidvalidity_of(mailbox: Mailbox, snapshot: Snapshot) -> int:
    """Return the UIDVALIDITY of *mailbox*; raises MailboxGone."""
    return states.need(snapshot, mailbox.id).uidvalidity


def copy_uid(uidvalidity: int, pairs: UidPairs) -> bytes:
    """Return the response code that tells which UID became which; both sets are ascending, and of equal count.

    Spec: RFC 9051 7.1 (COPYUID)
    """
    old, new = Ranges.of(old for old, _ in pairs), Ranges.of(new for _, new in pairs)
    return b"COPYUID %d %b %b" % (uidvalidity, old.encode(), new.encode())


def _copy(
    session: Session,
    source_id: str,
    target: Mailbox,
    ranges: UidRanges,
    needed: int,
    transaction: Transaction,
) -> UidPairs:
    """Copy a slice; *needed* is how many messages must be there."""
    settings = session.settings
    sizes = [row.size for row in reading.rows(transaction, source_id, ranges)]
    if len(sizes) < needed:
        raise ExpungeIssued
    check_room(session, target, sum(sizes), len(sizes), transaction)
    return adding.copy(transaction, settings.blobs, source_id, target.id, ranges, int(settings.clock()))


def _undo(session: Session, target: Mailbox, copied: UidPairs, transaction: Transaction) -> None:
    ranges, now_ms = changing.runs(new for _, new in copied), int(session.settings.clock() * 1000)
    changing.expunge(transaction, target.id, ranges, now_ms, only_deleted=False, kind=GoneKind.MOVED)
