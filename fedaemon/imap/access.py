"""Which mailboxes a session may use, and under which names: the one place where that is decided.

An account has its own mailboxes. Where it can have a share in those of others, they get their names, and the
rights to them, here.

Standards: RFC 9051 5.1 (names).
Limits: PAGE names are read in a turn.
Known gaps: an account with more than PAGE mailboxes is read in several turns: what is renamed meanwhile may be
told under both names, or under neither.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from fedaemon.imap.listing import Listed, Names
from fedaemon.imap.operations import Read, Turn
from fedaemon.imap.session import Session
from fedaemon.mailbox import mailboxes
from fedaemon.mailbox.mailboxes import Mailbox
from fedaemon.store.interface import Snapshot

PAGE: Final = 500
"""Reading so many records takes some 3 ms."""


class Place(NamedTuple):
    """Where a name leads: the mailbox *name* of *account*, which need not exist."""

    account: str
    name: str


def place_of(session: Session, name: str) -> Place:
    """Return where the session finds, or makes, the mailbox that it calls *name*."""
    return Place(session.account, name)


def mailbox_named(session: Session, name: str) -> Callable[[Snapshot], Mailbox]:
    """Return a function for ``Read`` or ``Write`` that finds a mailbox; it raises NoSuchMailbox."""
    account, own_name = place_of(session, name)
    return partial(mailboxes.need, account=account, name=own_name)


async def names_of(session: Session) -> Names:
    """Return the names of all mailboxes, and all that are subscribed to, as the session knows them."""
    names = Names()
    start, account = "", session.account
    while page := await Read(partial(mailboxes.some, account=account, start=start, limit=PAGE)):
        names.add(Listed(each.name, each.special_use) for each in page)
        start = page[-1].name + "\0"
        if len(page) < PAGE:
            break
        await Turn()
    after = ""
    while some := await Read(partial(mailboxes.subscriptions, account=account, after=after, limit=PAGE)):
        names.subscribed |= some
        after = max(some)
        if len(some) < PAGE:
            break
        await Turn()
    return names
