"""APPEND.

Standards: RFC 9051 6.3.12, RFC 3502 6.3.11 (MULTIAPPEND), RFC 4469 3 (CATENATE), RFC 4315 3 (APPENDUID).
Invariants: OK is said when the messages are durable; all of them are added, or none.
"""

from __future__ import annotations

from fedaemon.imap.appending.intake import Intake
from fedaemon.imap.appending.target import target_named
from fedaemon.imap.events import Command, MessageLiteral
from fedaemon.imap.operations import Write
from fedaemon.imap.sequence_set import Ranges
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import state as states
from fedaemon.store.interface import Transaction


async def run(session: Session, first: MessageLiteral | Command, command: Command) -> Done:
    """Add messages to a mailbox. Spec: RFC 9051 6.3.12, RFC 3502 6.3.11"""
    intake = Intake(session)

    def add(transaction: Transaction) -> tuple[int, int]:
        # By its name again: it may have been deleted while the contents came.
        mailbox = target_named(session, intake.target.name)(transaction)
        return states.need(transaction, mailbox.id).uidvalidity, intake.add(transaction, mailbox)

    try:
        await intake.read(first)
        added = await Write(add)
    except Exception:
        await intake.discard()
        raise
    return Done("Added", append_uid(*added, len(intake)))


def append_uid(uidvalidity: int, first: int, count: int) -> bytes:
    """Return the response code that tells the UIDs of what was added. Spec: RFC 9051 7.1 (APPENDUID)"""
    return b"APPENDUID %d %b" % (uidvalidity, Ranges([(first, first + count - 1)]).encode())
