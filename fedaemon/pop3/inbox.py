"""What POP3 reads and changes in an INBOX, as much at a time as a turn of the reactor allows.

Invariants: however chunks are sealed and compacted between two turns, each message is listed once.
Limits: CHUNKS chunks of a mailbox, or TAIL_ROWS messages that are in no chunk, a turn.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import compress, islice
from typing import Final, NamedTuple

from fedaemon.mailbox import changing, reading
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import state as states
from fedaemon.mailbox.mailboxes import INBOX, find
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import MAIL_CHUNK, MAIL_ROW

CHUNKS: Final = 40
"""20,000 rows: 1.5 ms for listing them, 5 for removing all."""
TAIL_ROWS: Final = 1000
"""3 ms for listing, 5 for removing all."""


class Inbox(NamedTuple):
    """The INBOX of an account."""

    mailbox_id: str
    uidvalidity: int


class Listed(NamedTuple):
    """A part of the list: UIDs and sizes of messages, and behind which UID to go on; None at the end."""

    uids: array[int]
    sizes: array[int]
    after_uid: int | None


def inbox_of(snapshot: Snapshot, account: str) -> Inbox | None:
    """Return the INBOX of *account*; None when it has none yet."""
    found = find(snapshot, account, INBOX)
    return None if found is None else Inbox(found.id, states.load(snapshot, found.id).uidvalidity)


def list_mails(snapshot: Snapshot, mailbox_id: str, after_uid: int) -> Listed:
    """Return what is in the mailbox behind *after_uid*, as far as a turn allows.

    Spec: RFC 1939 5 (LIST)
    """
    ranges = ((after_uid + 1, reading.UID_END - 1),)
    found = Listed(array("I"), array("I"), None)
    chunks = 0
    for first_uid, columns in reading.chunks(snapshot, mailbox_id, ranges):
        uids = c.unpack(c.UID, columns[c.UID])
        if uids[-1] <= after_uid:
            continue
        mask = c.both(columns[c.FLAGS].translate(c.LIVE), c.within(uids, ranges))
        if any(mask):
            facts = reading.group(snapshot, mailbox_id, c.FACTS_GROUP, first_uid)
            found.uids.extend(compress(uids, mask))
            found.sizes.extend(compress(c.unpack(c.SIZE, facts[c.SIZE]), mask))
        chunks += 1
        after_uid = uids[-1]
        if chunks == CHUNKS:
            break
    if chunks:
        return found._replace(after_uid=after_uid)
    rows = list(islice(reading.tail(snapshot, mailbox_id, ranges), TAIL_ROWS))
    found.uids.extend([row.uid for row in rows if row.live])
    found.sizes.extend([row.size for row in rows if row.live])
    return found._replace(after_uid=rows[-1].uid if len(rows) == TAIL_ROWS else None)


def remove(
    transaction: Transaction, mailbox_id: str, uids: Sequence[int], now_ms: int, keep_s: int
) -> tuple[int, int]:
    """Expunge the first of *uids* (ascending), as many as a turn allows; messages that are gone are passed over.

    :param keep_s: for how long they can be restored.
    :return: how many UIDs were seen to, and how many messages that removed.
    :raises MailboxGone: the mailbox was deleted.

    Spec: RFC 1939 6
    """
    part = uids[: _reach(transaction, mailbox_id, uids)]
    ranges = changing.runs(part)
    gone = changing.expunge(transaction, mailbox_id, ranges, now_ms, only_deleted=False, keep_s=keep_s)
    removed = sum(last - first + 1 for first, last in gone.ranges) if gone is not None else 0
    return len(part), removed


def _reach(snapshot: Snapshot, mailbox_id: str, uids: Sequence[int]) -> int:
    """Return how many of *uids* are in CHUNKS chunks, or when the first is in none, in TAIL_ROWS rows."""
    tail = snapshot.scan((MAIL_ROW, mailbox_id), limit=1)
    tail_uid = next((int(key[2]) for key, _ in tail), reading.UID_END)
    if uids[0] >= tail_uid:
        return TAIL_ROWS
    space = (MAIL_CHUNK, mailbox_id, c.STATE_GROUP)
    behind = snapshot.scan((*space, uids[0] + 1), (*space, reading.UID_END), limit=CHUNKS)
    ends = [int(key[3]) for key, _ in behind]
    return bisect_left(uids, ends[-1] if len(ends) == CHUNKS else tail_uid)
