"""The upkeep of mailboxes: what is done to them in the background, with less right than mail.

    tidying   makes missing shapes, seals the tail, compacts chunks, cuts the history (``upkeep_tidying``)
    indexing  keeps the texts of what was sealed, for SEARCH (``upkeep_texts``)
    expiry    releases the contents of expunged messages, removes deleted mailboxes (``upkeep_expiry``)
    emptying  expunges what has been in Trash and Junk for long (``emptying``)

Each goes its own way, and all share one ``Pace``.

Invariants: of the processes that use a store only the one that serves it runs an upkeep; a restart finds all work
again.
Limits: those of the four.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from fedaemon.mailbox.emptying import Emptying
from fedaemon.mailbox.state import Change
from fedaemon.mailbox.upkeep_expiry import Expiry
from fedaemon.mailbox.upkeep_pace import Pace
from fedaemon.mailbox.upkeep_texts import Indexing
from fedaemon.mailbox.upkeep_tidying import Tidying
from fedaemon.store.interface import Store

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs


@dataclass(frozen=True, slots=True)
class UpkeepSettings:
    """For how long things are kept, in seconds.

    :ivar undelete_s: expunged messages that were emptied, and deleted mailboxes.
    :ivar empty_trash_s: messages in mailboxes for \\Trash; None: for ever. *empty_junk_s* likewise.
    """

    undelete_s: int
    empty_trash_s: int | None
    empty_junk_s: int | None


class Upkeep:
    """Keeps the mailboxes of a store in shape.

    :param clock: gives ``callLater`` and ``seconds``.
    :param now_s: returns the time in seconds since the epoch.
    :param run_in_thread: runs a blocking function elsewhere.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        clock: Any,
        now_s: Callable[[], float],
        run_in_thread: Callable[..., Deferred[Any]],
        settings: UpkeepSettings,
    ) -> None:
        self._pace = Pace(store, clock, run_in_thread)
        self._tidying = Tidying(self._pace, blobs, clock, now_s)
        self._indexing = Indexing(self._pace, blobs, clock, now_s)
        self._expiry = Expiry(self._pace, blobs, clock, now_s, self._tidying.purged)
        self._emptying = Emptying(self._pace, clock, now_s)
        self._rounds = (
            self._tidying.round,
            self._indexing.round,
            self._expiry.round,
            self._emptying.round,
        )
        self.settings = settings

    @property
    def settings(self) -> UpkeepSettings:
        """For how long things are kept; new ones hold from the next look on."""
        return self._settings

    @settings.setter
    def settings(self, settings: UpkeepSettings) -> None:
        self._settings = settings
        self._expiry.undelete_s = self._emptying.undelete_s = settings.undelete_s
        self._emptying.after_s = {"\\Trash": settings.empty_trash_s, "\\Junk": settings.empty_junk_s}

    def start(self) -> None:
        """Begin to work."""
        self._pace.start()
        for each in self._rounds:
            each.start()

    def stop(self) -> Deferred[None]:
        """Begin nothing more; fires when what is under way is over."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._pace.stop()
        for each in self._rounds:
            await each.stop()

    def changed(self, subjects: Set[Hashable]) -> None:
        """A commit has announced *subjects*."""
        changes = [subject for subject in subjects if isinstance(subject, Change)]
        self._tidying.want([change.mailbox_id for change in changes])
        # Only where the form is different there may be other chunks.
        self._indexing.want([change.mailbox_id for change in changes if change.chunks is None])

    def foreign_commit(self) -> None:
        """Another process has changed the store."""
        self._tidying.want_all()
