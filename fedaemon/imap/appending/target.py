"""Where messages are to go.

Standards: RFC 9051 6.3.12, 6.4.7 (TRYCREATE), RFC 9208 4.3.1 (OVERQUOTA).
"""

from __future__ import annotations

from collections.abc import Callable

from fedaemon.delivery import quota
from fedaemon.errors import Refused
from fedaemon.imap.access import mailbox_named
from fedaemon.imap.names import MailboxName
from fedaemon.imap.session import Session
from fedaemon.mailbox.mailboxes import Mailbox, NoSuchMailbox
from fedaemon.store.interface import Snapshot


class TryCreate(Refused):
    """There is no such mailbox, but there could be."""

    imap_code = b"TRYCREATE"


def target_named(session: Session, name: MailboxName) -> Callable[[Snapshot], Mailbox]:
    """Return the function that finds the mailbox messages are to go to; it raises TryCreate without one.

    Spec: RFC 9051 6.3.12
    """
    find = mailbox_named(session, name)

    def need(snapshot: Snapshot) -> Mailbox:
        try:
            return find(snapshot)
        except NoSuchMailbox as error:
            raise TryCreate(error.text) from None

    return need


def check_room(session: Session, mailbox: Mailbox, octets: int, messages: int, snapshot: Snapshot) -> None:
    """Raise OverQuota unless so much more can be kept by the owner of *mailbox*. Spec: RFC 9208 4.3.1"""
    quota.check(snapshot, mailbox.account, octets, messages, quota_octets=session.settings.quota_octets)
