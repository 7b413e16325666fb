"""What the server says by itself, in IDLE and to clients that said NOTIFY.

Standards: RFC 9051 6.3.13, RFC 5465 5.2, 6.1.
"""

from __future__ import annotations

from fedaemon.imap.commands import fetch
from fedaemon.imap.events import Command
from fedaemon.imap.parse.fetch import Fetch, FetchItem
from fedaemon.imap.sequence_set import SequenceSet
from fedaemon.imap.session import Done, Session
from fedaemon.imap.updates import say_difference, sync, tell, tell_others


async def tell_by_itself(session: Session) -> Done:
    """Tell what the client may, or has asked to, hear of at any time; the rest is told behind its next command.

    :raises MailboxGone: the selected mailbox was deleted.

    Spec: RFC 5465 6.1
    """
    asked = session.notifications
    if asked is None:
        await tell(session, may_expunge=True)
        return _DONE
    session.noticed = False
    selected = session.selected
    if selected is not None and asked.of_selected is None:
        selected.behind = True
    elif selected is not None:
        difference = await sync(session, may_expunge=asked.expunges_at_once)
        if not asked.flags_at_once:
            difference.changed.clear()
        await say_difference(session, difference)
        if asked.items_of_new and difference.added:
            await _fetch_new(session, asked.items_of_new, difference.added)
    await tell_others(session)
    return _DONE


async def _fetch_new(session: Session, items: tuple[FetchItem, ...], added: int) -> None:
    """Tell what was asked of the newest messages. Spec: RFC 5465 5.2"""
    exists = session.need_selected.view.exists
    uids = session.need_selected.view.uids()
    newest = SequenceSet(((uids[exists - added], uids[-1]),))
    # By UID, which is always allowed; the answers are those of FETCH.
    await fetch.run(session, Fetch(newest, items), Command(b"", b"FETCH", True, b"", ()))


_DONE = Done("")
