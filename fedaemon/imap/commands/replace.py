"""REPLACE and UID REPLACE: a new message in the place of an old one.

Standards: RFC 8508 3, RFC 5530 3 (EXPUNGEISSUED, NONEXISTENT).
Invariants: the new message is added and the old one expunged in one transaction; when the old one is gone already,
nothing is added.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from fedaemon.errors import Refused
from fedaemon.imap import writer
from fedaemon.imap.addressing import addressed
from fedaemon.imap.appending.intake import Intake
from fedaemon.imap.appending.target import target_named
from fedaemon.imap.commands.append import append_uid
from fedaemon.imap.commands.expunge import ExpungeIssued, highest_modseq, need_writable
from fedaemon.imap.events import Command, MessageLiteral
from fedaemon.imap.operations import Read, Write
from fedaemon.imap.parse.append import Target
from fedaemon.imap.sequence_set import SequenceSet
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.changing import expunge
from fedaemon.store.interface import Snapshot, Transaction


class NoSuchMessage(Refused):
    """There is no message of that UID."""

    imap_code = b"NONEXISTENT"


class _Replaced(NamedTuple):
    """The new message in its mailbox, and the mod-sequence of the old one's expunge."""

    uidvalidity: int
    uid: int
    modseq: int


async def run(session: Session, first: MessageLiteral | Command, command: Command) -> Done:
    """Replace a message. Spec: RFC 8508 3"""
    selected = need_writable(session)
    replaced: list[int] = []

    async def find(target: Target) -> int:
        replaced.append(_uid(session, target, uid=command.uid))
        octets: int = await Read(partial(_size, selected.id, replaced[0]))
        return octets

    intake = Intake(session, find)

    def put_in_place(transaction: Transaction) -> _Replaced:
        now_ms, ranges = int(session.settings.clock() * 1000), ((replaced[0], replaced[0]),)
        keep_s = session.settings.undelete_s
        if expunge(transaction, selected.id, ranges, now_ms, only_deleted=False, keep_s=keep_s) is None:
            raise ExpungeIssued
        modseq = states.need(transaction, selected.id).modseq
        mailbox = target_named(session, intake.target.name)(transaction)
        uidvalidity = states.need(transaction, mailbox.id).uidvalidity
        return _Replaced(uidvalidity, intake.add(transaction, mailbox), modseq)

    try:
        await intake.read(first)
        done = await Write(put_in_place)
    except Exception:
        await intake.discard()
        raise
    session.say(
        writer.status(None, b"OK", "The new message is added", append_uid(done.uidvalidity, done.uid, 1))
    )
    return Done("Replaced", highest_modseq(session, done.modseq))


def _uid(session: Session, target: Target, *, uid: bool) -> int:
    """Return the UID of the message that is to be replaced. Spec: RFC 8508 3.3"""
    assert target.replaced is not None
    messages = SequenceSet(((target.replaced, target.replaced),))
    found = addressed(session, messages, uid=uid)
    if not found:
        raise NoSuchMessage("There is no message of that UID")
    return found.uids[found.parts[0][0]]


def _size(mailbox_id: str, uid: int, snapshot: Snapshot) -> int:
    row = next(reading.rows(snapshot, mailbox_id, ((uid, uid),)), None)
    if row is None:
        raise ExpungeIssued
    return row.size
