"""SUBSCRIBE.

Standards: RFC 9051 6.3.7, RFC 5530 3 (NONEXISTENT).
Invariants: only mailboxes that exist are subscribed to; the subscription stays when the mailbox goes.
"""

from __future__ import annotations

from functools import partial

from fedaemon.imap.access import mailbox_named
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Write
from fedaemon.imap.parse.mailboxes import Mailbox
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import mailboxes
from fedaemon.store.interface import Transaction


async def run(session: Session, arguments: Mailbox, command: Command) -> Done:
    """Subscribe to a mailbox. Spec: RFC 9051 6.3.7"""
    await Write(partial(_subscribe, session, arguments.name))
    return Done("Subscribed")


def _subscribe(session: Session, name: str, transaction: Transaction) -> None:
    mailbox_named(session, name)(transaction)
    mailboxes.subscribe(transaction, session.account, name)
