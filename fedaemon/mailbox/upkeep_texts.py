"""Keeps the texts of sealed messages for SEARCH, so that already the first search finds them in ``text_index``.

Theory of operation: whatever changes the form of a mailbox, such as sealing and compaction, puts it on a list;
SETTLE_S later its chunks are gone through from where the index ends. Contents are read in threads, a slice at a
time, and each block is a transaction of its own. The tail is left to the searches: it has a chunk's rows at most.

Invariants: nothing changes that a session can see; a mailbox that fails does not keep the others waiting; what was
made stays, whatever stops the work.
Limits: MESSAGES and OCTETS in a slice, but one message at least, of ``search_text.MAX_SEARCHED_OCTETS``;
SURVEY_MAILBOXES in a look at the start. A mailbox of 20,000 messages takes 20 s, 2.6 s of CPU.
Known gaps: a message that cannot be read, or has no shape, is in no block: searches try to read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.mailbox import reading, text_index, upkeep_gaps
from fedaemon.mailbox.state import State
from fedaemon.mailbox.text_index import TextBlock, TextKind, TextRows
from fedaemon.mailbox.upkeep_gaps import Gaps
from fedaemon.mailbox.upkeep_pace import Pace, Rests, Round, Stopped
from fedaemon.mailbox.upkeep_survey import survey
from fedaemon.message.mime.stored_shape import StoredShape, is_made
from fedaemon.store.errors import StoreError, StoreFull
from fedaemon.store.interface import Content, Snapshot

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

SETTLE_S: Final = 2.0
SURVEY_MAILBOXES: Final = 100
MESSAGES: Final = 20
OCTETS: Final = 256 * 1024

_log = Logger()


class Unread(NamedTuple):
    """A message whose texts are wanted."""

    uid: int
    content: Content
    shape: bytes
    prefix_octets: int


class Indexing:
    """Keeps texts.

    :param clock: gives ``callLater`` and ``seconds``.
    :param now_s: returns the time in seconds since the epoch.
    """

    def __init__(self, pace: Pace, blobs: Blobs, clock: Any, now_s: Callable[[], float]) -> None:
        self.round = Round(clock, now_s, self._work, "indexing mailboxes")
        self._pace = pace
        self._blobs = blobs
        self._rests = Rests(clock)
        self._wanted: dict[str, None] = {}
        self._survey: str | None = ""

    def want(self, mailbox_ids: Iterable[str]) -> None:
        """Look at these mailboxes soon."""
        before = len(self._wanted)
        self._wanted.update(dict.fromkeys(mailbox_ids))
        if len(self._wanted) > before:
            self.round.soon(SETTLE_S)

    async def _work(self) -> None:
        while self._survey is not None:
            ids, self._survey = await self._pace.read(partial(_unfinished, first_id=self._survey))
            self._wanted.update(dict.fromkeys(ids))
        for mailbox_id in list(self._wanted):
            if not self._rests.left_s(mailbox_id):
                # Before the work: a change from now on has it looked at again.
                del self._wanted[mailbox_id]
                await self._try(mailbox_id)
        if self._wanted:
            self.round.soon(max(SETTLE_S, min(map(self._rests.left_s, self._wanted))))

    async def _try(self, mailbox_id: str) -> None:
        try:
            await self._index(mailbox_id)
        except (Stopped, StoreFull):
            self._wanted[mailbox_id] = None
            raise
        except Exception as error:
            self._wanted[mailbox_id] = None
            if not self._rests.failed(mailbox_id):
                return
            if isinstance(error, MailError):
                _log.error(
                    "a mailbox was not indexed; tried again later",
                    event="mailbox-not-indexed",
                    mailbox=mailbox_id,
                    reason=error.text,
                )
            else:
                _log.failure("a mailbox was not indexed", event="defect", mailbox=mailbox_id)
        else:
            self._rests.went_well(mailbox_id)

    # one mailbox

    async def _index(self, mailbox_id: str) -> None:
        look = partial(upkeep_gaps.next_gaps, mailbox_id=mailbox_id)
        while (gaps := await self._pace.read(look)) is not None:
            if await self._fill(mailbox_id, gaps):
                await self._pace.write(partial(upkeep_gaps.finish, mailbox_id=mailbox_id, gaps=gaps))

    async def _fill(self, mailbox_id: str, gaps: Gaps) -> bool:
        """Make the blocks of *gaps*; False when a message was purged meanwhile: then they are others now."""
        whole = True
        for gap in gaps.gaps:
            rows = {kind: TextRows() for kind in gap.kinds}
            uids = gap.uids
            while uids:
                read = partial(_open, blobs=self._blobs, mailbox_id=mailbox_id, uids=uids[:MESSAGES])
                unread, looked = await self._pace.read(read)
                uids = uids[looked:]
                texts = await self._pace.in_thread(partial(_texts, unread, gap.kinds)) if unread else []
                for uid, kind, text in texts:
                    rows[kind].add(uid, text)
                    if rows[kind].full:
                        whole &= await self._keep(mailbox_id, kind, rows[kind])
            for kind in gap.kinds:
                whole &= await self._keep(mailbox_id, kind, rows[kind])
        return whole

    async def _keep(self, mailbox_id: str, kind: TextKind, rows: TextRows) -> bool:
        """Make a block of *rows*, if there are some; False when it is out of date already."""
        uids, texts = rows.take()
        if not uids:
            return True
        block = await self._pace.in_thread(partial(TextBlock.of, uids, texts))
        put = partial(text_index.put, mailbox_id=mailbox_id, kind=kind, block=block)
        return await self._pace.write(put)


def _unfinished(snapshot: Snapshot, first_id: str) -> tuple[list[str], str | None]:
    """Return the mailboxes, among the next SURVEY_MAILBOXES, with chunks to be indexed, and where to go on."""

    def is_behind(mailbox_id: str, state: State | None) -> bool:
        # Of what is damaged tidying tells.
        if state is None or not state.generation:
            return False
        try:
            return upkeep_gaps.is_behind(snapshot, mailbox_id)
        except MailError:
            return False

    return survey(snapshot, first_id, SURVEY_MAILBOXES, is_behind)


def _open(snapshot: Snapshot, blobs: Blobs, mailbox_id: str, uids: list[int]) -> tuple[list[Unread], int]:
    """Return the first of *uids* that are there and have a shape, OCTETS of them, and how many it looked at."""
    found: list[Unread] = []
    octets = looked = 0
    for uid in uids:
        if octets >= OCTETS:
            break
        looked += 1
        mail = reading.mail(snapshot, mailbox_id, uid)
        if mail is None or not is_made(mail.shape):
            continue
        try:
            content = reading.content(snapshot, blobs, mail)
        except StoreError:
            continue  # one lost content must not keep the others out: ``fedaemonctl verify`` tells of it
        octets += content.size
        found.append(Unread(uid, content, mail.shape, len(mail.prefix)))
    return found, looked


def _texts(unread: list[Unread], kinds: tuple[TextKind, ...]) -> list[tuple[int, TextKind, bytes]]:
    """Return the texts of messages that can be read; runs in a thread."""
    found = []
    for uid, content, shape, prefix_octets in unread:
        try:
            parts = StoredShape(shape).parts()
            texts = text_index.read_texts(content, parts, prefix_octets, kinds)
        except (StoreError, ValueError):
            continue  # damaged: as if it were lost
        found += [(uid, kind, text) for kind, text in texts.items()]
    return found
