"""What has served its time goes: contents of expunged messages, and deleted mailboxes as a whole.

Theory of operation: both are kept in order of time, so a look at the first entry says whether there is something
to do. A look a minute is enough, and finds what another process has done as well.

Invariants: nothing goes before it was due for GRACE_S, so that a session that was not told yet can still read a
message that another one expunged (RFC 2180 4.1); contents of expunged messages go before the mailbox they were
in, so that nothing of it is left.
Limits: one entry of each kind a transaction, and of it so much as ``keeping.purge`` and ``lost.remove`` say.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fedaemon.logs import Logger
from fedaemon.mailbox import keeping, lost
from fedaemon.mailbox.keeping import Purge
from fedaemon.mailbox.lost import LostKey
from fedaemon.mailbox.upkeep_pace import Pace, Rests, Round, Stopped
from fedaemon.store.errors import StoreFull
from fedaemon.store.interface import Transaction

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

INTERVAL_S: Final = 60.0
GRACE_S: Final = 60
ENTRIES: Final = 100
"""Entries of what is due that one look returns."""

_log = Logger()


class Expiry:
    """Purges and removes what is due, once a minute.

    :ivar undelete_s: for how many seconds deleted mailboxes are kept.
    :param purged: is told the id of a mailbox some of whose contents are gone.
    """

    def __init__(
        self,
        pace: Pace,
        blobs: Blobs,
        clock: Any,
        now_s: Callable[[], float],
        purged: Callable[[str], None],
    ) -> None:
        self.undelete_s = 0
        self._pace = pace
        self._blobs = blobs
        self._now_s = now_s
        self._purged = purged
        self._rests = Rests(clock)
        self.round = Round(clock, now_s, self._work, "purging mailboxes", INTERVAL_S)

    async def _work(self) -> None:
        await self._purge()
        await self._remove()

    async def _purge(self) -> None:
        after: Purge | None = None
        while True:
            until_s = int(self._now_s()) - GRACE_S
            due = partial(keeping.due_purges, until_s=until_s, after=after, limit=ENTRIES)
            entries = await self._pace.read(due)
            for due_s, mailbox_id, modseq in entries:
                step = partial(
                    keeping.purge, blobs=self._blobs, due_s=due_s, mailbox_id=mailbox_id, modseq=modseq
                )
                if await self._repeat(step, mailbox_id, (mailbox_id, modseq)):
                    self._purged(mailbox_id)
            if len(entries) < ENTRIES:
                return
            after = entries[-1]

    async def _remove(self) -> None:
        after: LostKey | None = None
        while True:
            until_s = int(self._now_s()) - GRACE_S - self.undelete_s
            entries = await self._pace.read(partial(lost.due, until_s=until_s, after=after, limit=ENTRIES))
            for key in entries:
                await self._repeat(partial(lost.remove, blobs=self._blobs, key=key), key.mailbox_id, key)
            if len(entries) < ENTRIES:
                return
            after = entries[-1]

    async def _repeat(self, step: Callable[[Transaction], bool], mailbox_id: str, what: object) -> bool:
        """Do *step* until nothing is left; False when it fails, or has failed lately.

        :raises StoreFull: that is no trouble of this mailbox, but of all.
        """
        if self._rests.left_s(what):
            return False
        try:
            while await self._pace.write(step):
                pass
        except (Stopped, StoreFull):
            raise
        except Exception:
            if self._rests.failed(what):
                _log.failure(
                    "contents were not released; tried again later", event="contents-kept", mailbox=mailbox_id
                )
            return False
        self._rests.went_well(what)
        return True
