"""The mailboxes of a store, read right after a death, and what time would do to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from random import Random

from fedaemon.ctl.store import CHECKERS
from fedaemon.mailbox import mailboxes, reading, text_index, words
from fedaemon.mailbox import state as states
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.spaces import MAIL, MAIL_PURGE
from fedaemon.store.verify import Finding, verify
from tests.crash.books import opened
from tests.crash.imap_ledger import BOXES, Box, Found, Place
from tests.crash.imap_session import content_of
from tests.crash.sink import mark_of
from tests.e2e.imap_wire import ImapWorld
from tests.e2e.peers import ALICE


@dataclass(slots=True)
class Autopsy:
    """Looks at the store after deaths.

    :ivar seen: what of the upkeep's work was found in a store.
    """

    world: ImapWorld
    random: Random
    seen: set[str] = field(default_factory=set)
    _marks: dict[Place, int] = field(default_factory=dict)

    def look(self) -> tuple[dict[str, Box], list[Finding]]:
        """Return the mailboxes, and what ``fedaemonctl verify`` finds; then age what waits to be purged."""
        with opened(self.world) as engine:
            boxes = engine.view(partial(self._boxes, engine))
            checkers = [make() for make in CHECKERS]
            findings = verify(engine, checkers, repair=False, progress=lambda text: None)
            engine.transact(self._age)
        return boxes, findings

    def peek(self) -> dict[str, Box]:
        """Return the mailboxes, also while the daemon works."""
        with opened(self.world) as engine:
            return engine.view(partial(self._boxes, engine))

    def _boxes(self, engine: LmdbEngine, snapshot: Snapshot) -> dict[str, Box]:
        return {name: self._box(engine, snapshot, name) for name in BOXES}

    def _box(self, engine: LmdbEngine, snapshot: Snapshot, name: str) -> Box:
        mailbox_id = mailboxes.need(snapshot, ALICE, name).id
        state, keywords = states.load(snapshot, mailbox_id), words.keywords(snapshot, mailbox_id)
        rows = {
            row.uid: Found(
                self._mark(engine, snapshot, mailbox_id, Place(name, row.uid)),
                frozenset(words.flag_names(row.flags, keywords)),
                row.modseq,
            )
            for row in reading.rows(snapshot, mailbox_id)
        }
        if state.exists + state.gone > state.tail:
            self.seen.add("sealed")
        if sum(1 for _ in snapshot.scan((MAIL, mailbox_id))) < state.uidnext - 1:
            self.seen.add("purged")
        if state.exists + state.gone < state.uidnext - 1:
            self.seen.add("compacted")
        if text_index.progress(snapshot, mailbox_id).uid:
            self.seen.add("indexed")
        return Box(state.uidvalidity, state.uidnext, state.modseq, rows)

    def _mark(self, engine: LmdbEngine, snapshot: Snapshot, mailbox_id: str, place: Place) -> int:
        """Return which message has a UID, all of whose octets are there."""
        if place not in self._marks:
            mail = reading.mail(snapshot, mailbox_id, place.uid)
            assert mail is not None, place
            octets = b"".join(reading.content(snapshot, engine.blobs, mail).chunks())
            mark = mark_of(b"\r\n" + octets)
            # What came by SMTP has trace and more in front.
            assert octets.endswith(content_of(mark)[-200:]), place
            assert len(octets) >= len(content_of(mark)), place
            self._marks[place] = mark
        return self._marks[place]

    def _age(self, transaction: Transaction) -> None:
        """Two minutes may have gone by for some of what is to be purged: it is due when the daemon starts."""
        for key, _ in list(transaction.scan((MAIL_PURGE,))):
            if self.random.random() < 0.5:
                transaction.delete(key)
                transaction.put((MAIL_PURGE, 1, *key[2:]), b"")
