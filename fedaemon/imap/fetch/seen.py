"""Setting \\Seen on the messages whose contents are about to be sent.

It is done before they are sent, many messages in one commit, so that an answer can tell the flags that are kept.

Standards: RFC 9051 6.4.5 (BODY[...] sets \\Seen), 7.5.2, RFC 7162 3.1.4.
Invariants: mail can be read also when the store cannot be written: \\Seen is not set then.
"""

from __future__ import annotations

from functools import partial

from fedaemon.imap import updates
from fedaemon.imap.addressing import Addressed
from fedaemon.imap.fetch.heads import flags_of
from fedaemon.imap.fetch.spans import spans
from fedaemon.imap.operations import Write
from fedaemon.imap.session import Session
from fedaemon.mailbox import columns as c
from fedaemon.mailbox.changing import Mode, change_flags, runs
from fedaemon.mailbox.view import Difference
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Transaction


async def set_seen(session: Session, messages: Addressed) -> frozenset[int]:
    """Set \\Seen; return the UIDs of *messages* whose flags their answers have to tell.

    What has changed of other messages meanwhile is told at once.

    :param messages: as many as one transaction takes.
    :raises MailboxGone: it was deleted.
    """
    selected = session.need_selected
    unseen: list[int] = []
    for span in spans(selected.view, messages.parts):
        flags = flags_of(span.chunk, span.rows)
        unseen += (uid for uid, each in zip(span.uids(), flags, strict=True) if not each & c.SEEN)
    if not unseen:
        return frozenset()
    try:
        await Write(partial(_add_seen, selected.id, runs(unseen)))
    except StoreError:
        return frozenset()
    difference = await updates.sync(session, may_expunge=False)
    ours = {messages.uids[place] for place in messages.places()}
    others = [change for change in difference.changed if change[1] not in ours]
    await updates.say_difference(session, Difference(changed=others, added=difference.added))
    return frozenset(change[1] for change in difference.changed if change[1] in ours)


def _add_seen(mailbox_id: str, ranges: c.UidRanges, transaction: Transaction) -> None:
    change_flags(transaction, mailbox_id, ranges, Mode.ADD, c.SEEN)
