"""Emptying Trash and Junk: what has been in them for long is expunged.

It is expunged as a session would do it, so sessions are told, usage goes down, and it can be undeleted for a time.

Standards: RFC 6154 2 (\\Trash, \\Junk), RFC 8514 2 (save date: when a message came into this mailbox).
Invariants: what counts is when a message was put there, not how old it is.
Limits: once an hour; NAMES mailboxes, CHUNKS chunks or ROWS rows of a tail in a slice.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import compress, islice
from typing import Any, Final

from fedaemon.logs import Logger
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox.changing import Gone, GoneKind, expunge, runs
from fedaemon.mailbox.rows import Row
from fedaemon.mailbox.state import MailboxGone
from fedaemon.mailbox.upkeep_pace import Pace, Rests, Round, Stopped
from fedaemon.store.errors import StoreFull
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode
from fedaemon.store.spaces import MAIL_ROW, MAILBOX

INTERVAL_S: Final = 3600.0
NAMES: Final = 500
CHUNKS: Final = 10
ROWS: Final = 1000

_log = Logger()


class Emptying:
    """Empties the mailboxes of special uses, once an hour.

    :ivar after_s: for a special use, after how many seconds a message is expunged; None: never.
    :ivar undelete_s: for how many seconds its content is kept then.
    """

    def __init__(self, pace: Pace, clock: Any, now_s: Callable[[], float]) -> None:
        self.round = Round(clock, now_s, self._work, "emptying Trash and Junk", INTERVAL_S)
        self.after_s: dict[str, int | None] = {}
        self.undelete_s = 0
        self._pace = pace
        self._now_s = now_s
        self._rests = Rests(clock)

    async def _work(self) -> None:
        after: tuple[str, str] | None = ("", "")
        while after is not None and any(limit is not None for limit in self.after_s.values()):
            found, after = await self._pace.read(partial(special_mailboxes, after=after, limit=NAMES))
            for mailbox_id, special_use in found:
                limit_s = self.after_s.get(special_use)
                if limit_s is not None and not self._rests.left_s(mailbox_id):
                    await self._empty(mailbox_id, int(self._now_s()) - limit_s)

    async def _empty(self, mailbox_id: str, before_s: int) -> None:
        try:
            uid: int | None = 1
            while uid is not None:
                look = partial(saved_before, mailbox_id=mailbox_id, before_s=before_s, first_uid=uid)
                ranges, uid = await self._pace.read(look)
                if ranges:
                    await self._pace.write(partial(self._expunge, mailbox_id=mailbox_id, ranges=ranges))
        except (Stopped, StoreFull):
            raise
        except MailboxGone:
            return
        except Exception:
            if self._rests.failed(mailbox_id):
                _log.failure(
                    "old messages stay; tried again later", event="mailbox-not-emptied", mailbox=mailbox_id
                )
            return
        self._rests.went_well(mailbox_id)

    def _expunge(self, transaction: Transaction, mailbox_id: str, ranges: c.UidRanges) -> Gone | None:
        return expunge(
            transaction,
            mailbox_id,
            ranges,
            int(self._now_s() * 1000),
            only_deleted=False,
            kind=GoneKind.EXPIRED,
            keep_s=self.undelete_s,
        )


def special_mailboxes(
    snapshot: Snapshot, after: tuple[str, str], limit: int
) -> tuple[list[tuple[str, str]], tuple[str, str] | None]:
    """Return (mailbox id, special use) among the first *limit* mailboxes, and the last of them or None at the end.

    :param after: account and name of the mailbox behind which to begin.

    Spec: RFC 6154 2
    """
    found = []
    looked = 0
    last = after
    # No text that begins with MAILBOX and a NUL names a space, so all of MAILBOX comes before it.
    for key, value in snapshot.scan((MAILBOX, after[0], after[1] + "\0"), (MAILBOX + "\0",), limit=limit):
        looked += 1
        last = str(key[1]), str(key[2])
        record = decode(value)
        if record["special_use"] is not None:
            found.append((record["id"], record["special_use"]))
    return found, last if looked == limit else None


def saved_before(
    snapshot: Snapshot, mailbox_id: str, before_s: int, first_uid: int
) -> tuple[c.UidRanges, int | None]:
    """Return a slice of the live messages that were saved before a time, and the UID to go on with, or None.

    :param before_s: in seconds since the epoch.
    :param first_uid: the UID to begin with.

    Spec: RFC 8514 2
    """
    uids: list[int] = []
    chunks = 0
    for name, columns in islice(
        reading.chunks(snapshot, mailbox_id, ((first_uid, reading.UID_END - 1),)), CHUNKS
    ):
        chunks += 1
        numbers = c.unpack(c.UID, columns[c.UID])
        first_uid = numbers[-1] + 1
        live = columns[c.FLAGS].translate(c.LIVE)
        if any(live):
            facts = reading.group(snapshot, mailbox_id, c.FACTS_GROUP, name)
            old = bytes(map(before_s.__gt__, c.unpack(c.SAVED, facts[c.SAVED])))
            uids += compress(numbers, c.both(live, old))
    if chunks == CHUNKS:
        return runs(uids), first_uid
    rows = 0
    start, stop = (MAIL_ROW, mailbox_id, first_uid), (MAIL_ROW, mailbox_id, reading.UID_END)
    for _, value in snapshot.scan(start, stop, limit=ROWS):
        rows += 1
        row = Row.from_record(value)
        first_uid = row.uid + 1
        if row.live and row.saved_s < before_s:
            uids.append(row.uid)
    return runs(uids), first_uid if rows == ROWS else None
