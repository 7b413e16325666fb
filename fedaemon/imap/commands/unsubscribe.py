"""UNSUBSCRIBE.

Standards: RFC 9051 6.3.8.
"""

from __future__ import annotations

from functools import partial

from fedaemon.imap.events import Command
from fedaemon.imap.operations import Write
from fedaemon.imap.parse.mailboxes import Mailbox
from fedaemon.imap.session import Done, Session
from fedaemon.mailbox import mailboxes


async def run(session: Session, arguments: Mailbox, command: Command) -> Done:
    """Take a name off the subscriptions; nothing happens when it is not there. Spec: RFC 9051 6.3.8"""
    await Write(partial(mailboxes.unsubscribe, account=session.account, name=arguments.name))
    return Done("Unsubscribed")
