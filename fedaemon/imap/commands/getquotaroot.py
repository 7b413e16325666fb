"""GETQUOTAROOT.

Standards: RFC 9208 4.1.2, 4.2.2.
"""

from __future__ import annotations

from functools import partial

from fedaemon.imap import writer
from fedaemon.imap.access import place_of
from fedaemon.imap.commands.getquota import quota_line, roots_of
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Read
from fedaemon.imap.parse.mailboxes import Mailbox
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: Mailbox, command: Command) -> Done:
    """Tell which limits hold for a mailbox, which need not exist yet. Spec: RFC 9208 4.1.2"""
    account = place_of(session, arguments.name).account
    roots = await Read(partial(roots_of, account=account, default=session.settings.quota_octets))
    names = [writer.astring(root.name.encode(), utf8=session.utf8) for root in roots]
    session.say(writer.untagged(b"QUOTAROOT", writer.mailbox(arguments.name, utf8=session.utf8), *names))
    for root in roots:
        session.say(quota_line(session, root))
    return Done("That is all")
