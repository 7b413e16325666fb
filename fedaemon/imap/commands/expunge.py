"""EXPUNGE and UID EXPUNGE.

Standards: RFC 9051 6.4.3, 6.4.9, RFC 4315 2.1 (UID EXPUNGE), RFC 7162 3.2.7, 3.2.9 (HIGHESTMODSEQ), RFC 5530 3
(EXPUNGEISSUED).
Invariants: only messages that the session was told of go; the engine tells which, before the command's OK.
Limits: SLICE messages in one turn.
"""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

from fedaemon.errors import Refused
from fedaemon.imap.addressing import Addressed, addressed
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Turn, Write
from fedaemon.imap.parse.mailboxes import Expunge
from fedaemon.imap.session import Done, EngineSettings, Selected, Session
from fedaemon.mailbox import changing
from fedaemon.mailbox import state as states
from fedaemon.mailbox.columns import UidRanges
from fedaemon.store.interface import Transaction

SLICE: Final = 10_000
"""To expunge so many takes 7 ms (docs/mailbox-layout.md section 8)."""


class ReadOnly(Refused):
    """The mailbox was opened by EXAMINE."""

    imap_code = b"READ-ONLY"


class ExpungeIssued(Refused):
    """Another session has expunged what this one asks for."""

    imap_code = b"EXPUNGEISSUED"

    def __init__(self) -> None:
        super().__init__("Some of the messages are gone; NOOP tells which")


class _Slice(NamedTuple):
    """What came of a slice: the mod-sequence if any went, and whether messages with \\Deleted are left."""

    modseq: int | None
    more: bool


def need_writable(session: Session) -> Selected:
    """Return the selected mailbox; raises ReadOnly. Spec: RFC 9051 6.3.3"""
    selected = session.need_selected
    if selected.read_only:
        raise ReadOnly("The mailbox was opened for reading only")
    return selected


async def run(session: Session, arguments: Expunge, command: Command) -> Done:
    """Expunge the messages that have \\Deleted. Spec: RFC 9051 6.4.3, 6.4.9"""
    selected = need_writable(session)
    found = everything(selected) if arguments.uids is None else addressed(session, arguments.uids, uid=True)
    return Done("Expunged", highest_modseq(session, await expunge_deleted(session, selected.id, found)))


def everything(selected: Selected) -> Addressed:
    """Return all messages that the session was told of."""
    uids = selected.view.uids()
    return Addressed(uids, ((0, len(uids)),) if uids else ())


async def expunge_deleted(session: Session, mailbox_id: str, found: Addressed) -> int | None:
    """Expunge those of the messages that have \\Deleted; return the mod-sequence then, None when there were none.

    :raises MailboxGone: the mailbox was deleted.
    """
    modseq: int | None = None
    for count, part in enumerate(found.slices(SLICE)):
        if count:
            await Turn()
        gone = await Write(partial(_expunge, session.settings, mailbox_id, part.ranges()))
        modseq = gone.modseq or modseq
        if not gone.more:
            break
    return modseq


def highest_modseq(session: Session, modseq: int | None) -> bytes:
    """Return the response code behind messages that went; empty when none did, or it was not asked for.

    All changes up to *modseq* have been told when it is sent: telling comes before the tagged answer.

    Spec: RFC 7162 3.2.7
    """
    return b"HIGHESTMODSEQ %d" % modseq if modseq is not None and session.qresync else b""


def _expunge(
    settings: EngineSettings, mailbox_id: str, ranges: UidRanges, transaction: Transaction
) -> _Slice:
    if not states.need(transaction, mailbox_id).deleted:
        return _Slice(None, False)
    now_ms = int(settings.clock() * 1000)
    gone = changing.expunge(
        transaction, mailbox_id, ranges, now_ms, only_deleted=True, keep_s=settings.undelete_s
    )
    after = states.need(transaction, mailbox_id)
    return _Slice(after.modseq if gone is not None else None, after.deleted > 0)
