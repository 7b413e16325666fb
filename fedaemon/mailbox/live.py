"""The mailboxes that sessions have open: each in memory once, and who is to be told when it changes.

Theory of operation: a commit announces ``state.Change``; the mailbox is marked stale then and its watchers are
told, at once and in the reactor's thread. What changed is read when the first of them asks (``LiveMailbox.now``),
so that ten commits while nobody asks cost one look.

Invariants: after ``changed`` nobody gets a state from before the commit.
Limits: CLOSED_KEPT mailboxes are kept after their last session has left, the oldest go.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Set
from typing import Final, NamedTuple

from fedaemon.mailbox import state as states
from fedaemon.mailbox import words
from fedaemon.mailbox.mailboxes import NamesChanged
from fedaemon.mailbox.metadata import MetadataChanged
from fedaemon.mailbox.opened import OpenMailbox
from fedaemon.mailbox.state import Change
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Snapshot

CLOSED_KEPT: Final = 32
"""Clients select the same few mailboxes again and again; one of 100,000 messages takes 1.5 MB."""

Watcher = Callable[[Hashable], None]
"""Is told the ``Change``, ``NamesChanged`` or ``MetadataChanged`` in the middle of the store's work, so it only
makes a note."""


class Now(NamedTuple):
    """A mailbox as it is: its rows, and the names of its keywords by bit."""

    mailbox: OpenMailbox
    keywords: tuple[str, ...]


class LiveMailbox:
    """A mailbox that is open."""

    __slots__ = ("_chunks", "_now", "_stale", "_tail", "id", "recent_from", "watchers")

    def __init__(self, mailbox_id: str) -> None:
        self.id = mailbox_id
        self.watchers: list[Watcher] = []
        self.recent_from = 0
        """Up to here, exclusive, some session has been told of each message (RFC 3501 2.3.2)."""
        self._now: Now | None = None
        self._stale = True
        self._chunks: set[int] | None = None
        self._tail = True

    def now(self, snapshot: Snapshot) -> Now:
        """Return what the mailbox is like in *snapshot*.

        :raises MailboxGone: it was deleted.
        """
        if self._stale or self._now is None:
            self._now = Now(self._read(snapshot), tuple(words.keywords(snapshot, self.id)))
            self._stale, self._chunks, self._tail = False, set(), False
        if not self._now.mailbox.state.owner:
            raise states.MailboxGone
        return self._now

    def _read(self, snapshot: Snapshot) -> OpenMailbox:
        before = self._now.mailbox if self._now is not None else None
        if before is None or self._chunks is None:
            return OpenMailbox.load(snapshot, self.id, before)
        return before.renewed(snapshot, self._chunks, tail=self._tail)

    def changed(self, subject: Change) -> None:
        """Something is different now: tell the watchers."""
        self._stale = True
        if subject.chunks is None or self._chunks is None:
            self._chunks = None
        else:
            self._chunks.update(subject.chunks)
        self._tail = self._tail or subject.tail
        for watcher in list(self.watchers):
            watcher(subject)

    def is_as_in(self, snapshot: Snapshot) -> bool:
        """Tell whether nothing has changed since ``now`` looked."""
        if self._stale or self._now is None:
            return False
        try:
            return states.load(snapshot, self.id) == self._now.mailbox.state
        except StoreError:
            return False


class LiveMailboxes:
    """All mailboxes that are open in this process."""

    def __init__(self) -> None:
        self._open: dict[str, LiveMailbox] = {}
        self._closed: dict[str, LiveMailbox] = {}
        self._accounts: dict[str, list[Watcher]] = {}

    def open(self, mailbox_id: str, watcher: Watcher) -> LiveMailbox:
        """Return a mailbox; *watcher* is told of its changes until ``close``."""
        live = self._open.get(mailbox_id) or self._closed.pop(mailbox_id, None) or LiveMailbox(mailbox_id)
        self._open[mailbox_id] = live
        live.watchers.append(watcher)
        return live

    def close(self, live: LiveMailbox, watcher: Watcher) -> None:
        """*watcher* has done with the mailbox."""
        live.watchers.remove(watcher)
        if not live.watchers:
            del self._open[live.id]
            self._closed[live.id] = live
            if len(self._closed) > CLOSED_KEPT:
                del self._closed[next(iter(self._closed))]

    def recent_from(self, mailbox_id: str) -> int:
        """Return up to where some session has been told of each message, 0 if that is not known."""
        live = self._open.get(mailbox_id) or self._closed.get(mailbox_id)
        return live.recent_from if live is not None else 0

    def watch(self, account: str, watcher: Watcher) -> None:
        """Tell *watcher* of each change of a mailbox of *account*, and of their names, until ``unwatch``."""
        self._accounts.setdefault(account, []).append(watcher)

    def unwatch(self, account: str, watcher: Watcher) -> None:
        """Take back ``watch``."""
        watchers = self._accounts[account]
        watchers.remove(watcher)
        if not watchers:
            del self._accounts[account]

    def changed(self, subjects: Set[Hashable]) -> None:
        """For ``Store.on_commit``: pass on what a commit announced."""
        for subject in subjects:
            if isinstance(subject, Change):
                self._tell(subject)
            if isinstance(subject, Change | NamesChanged | MetadataChanged):
                for watcher in list(self._accounts.get(subject.owner, ())):
                    watcher(subject)

    def _tell(self, change: Change) -> None:
        live = self._open.get(change.mailbox_id)
        if live is not None:
            live.changed(change)
        closed = self._closed.get(change.mailbox_id)
        if closed is not None:
            # It is looked at anew when it is opened again.
            closed.changed(change)

    def foreign_commit(self, snapshot: Snapshot) -> None:
        """Another process has changed something: find out what of it concerns us."""
        self._closed.clear()
        for live in list(self._open.values()):
            if not live.is_as_in(snapshot):
                live.changed(Change(live.id, ""))
        for account, watchers in list(self._accounts.items()):
            for watcher in list(watchers):
                watcher(NamesChanged(account))
