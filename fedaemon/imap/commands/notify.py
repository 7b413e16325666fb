"""NOTIFY.

Standards: RFC 5465 3.1, 3.2.
"""

from __future__ import annotations

from functools import partial

from fedaemon.errors import Refused
from fedaemon.imap.events import Command
from fedaemon.imap.notification import MAX_KNOWN, Notifications, look
from fedaemon.imap.operations import Read
from fedaemon.imap.parse.notify import Notify
from fedaemon.imap.session import Done, Session


class TooMuch(Refused):
    """The account has too many mailboxes to watch them all."""

    imap_code = b"NOTIFICATIONOVERFLOW"


async def run(session: Session, arguments: Notify, command: Command) -> Done:
    """Tell of what is asked from here on; it replaces what was asked before. Spec: RFC 5465 3.1"""
    if not arguments.groups:
        session.notify(None)
        return Done("Nothing is told by itself")
    known = await Read(partial(look, account=session.account))
    if len(known) > MAX_KNOWN:
        raise TooMuch(f"at most {MAX_KNOWN} mailboxes can be watched")
    notifications = Notifications(arguments, known)
    session.notify(notifications)
    if arguments.status:
        notifications.tell_all(session)
    return Done("Told from here on")
