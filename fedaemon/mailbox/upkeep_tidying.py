"""Keeps mailboxes in shape: makes missing shapes, seals the tail, compacts chunks, cuts the history.

Theory of operation: a change puts its mailbox on a list; SETTLE_S later all that are on it are looked at, several
in a slice, and those that need something are tidied one after the other, slice by slice. What was looked at
already is remembered, so that a look at a busy mailbox costs what is new in it. At the start, and after another
process has changed the store, all mailboxes are looked at, SURVEY_MAILBOXES at a time.

Invariants: nothing changes that a session can see; a mailbox that fails does not keep the others waiting.
Limits: KNOWN mailboxes are remembered; what is done in a slice, see the constants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.mailbox import compaction, keeping
from fedaemon.mailbox import state as states
from fedaemon.mailbox.keeping import CHUNK_ROWS
from fedaemon.mailbox.state import State
from fedaemon.mailbox.upkeep_pace import Pace, Rests, Round, Stopped
from fedaemon.mailbox.upkeep_shapes import MissingShapes
from fedaemon.mailbox.upkeep_survey import survey
from fedaemon.store.errors import StoreFull
from fedaemon.store.interface import Snapshot
from fedaemon.store.spaces import MAILBOX_STATE

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

SETTLE_S: Final = 2.0
SURVEY_S: Final = 600.0
"""Commits of other processes have all mailboxes looked at so often at most."""
SURVEY_MAILBOXES: Final = 500
LOOK_MAILBOXES: Final = 50
LOOK_ROWS: Final = 20
"""New messages of a mailbox up to which it is looked at together with others."""
KNOWN: Final = 10_000
TEXTS: Final = 100
"""Messages whose texts are gathered in a slice."""
HISTORY: Final = 10_000
"""Changes that expunged messages, which a mailbox remembers for clients that come back (RFC 7162)."""
HISTORY_STEP: Final = 1_000
"""Changes of a mailbox after which its history is counted again."""
HISTORY_COUNT: Final = 2_000
HISTORY_CUT: Final = 200

_log = Logger()


class Known(NamedTuple):
    """What was seen of a mailbox: the UID up to which messages have shapes, how many rows were gone, and the
    mod-sequence at which its history was counted."""

    shaped: int = 1
    gone: int = 0
    counted: int = 0


class Tidying:
    """Tidies mailboxes.

    :param now_s: returns the time in seconds since the epoch.
    """

    def __init__(self, pace: Pace, blobs: Blobs, clock: Any, now_s: Callable[[], float]) -> None:
        self.round = Round(clock, now_s, self._work, "tidying mailboxes")
        self._pace = pace
        self._clock = clock
        self._rests = Rests(clock)
        self._shapes = MissingShapes(pace, blobs)
        self._wanted: dict[str, None] = {}
        self._resting: set[str] = set()
        self._known: dict[str, Known] = {}
        self._survey: str | None = ""
        self._survey_at = 0.0

    def want(self, mailbox_ids: Iterable[str]) -> None:
        """Look at these mailboxes soon."""
        self._wanted.update(dict.fromkeys(mailbox_ids))
        if self._wanted:
            self.round.soon(SETTLE_S)

    def want_all(self) -> None:
        """Look at all mailboxes: nobody knows which have changed."""
        if self._survey is None:
            self._survey = ""
            self.round.soon(max(SETTLE_S, self._survey_at - self._clock.seconds()))

    def purged(self, mailbox_id: str) -> None:
        """Contents of a mailbox are gone: its rows may go as well."""
        known = self._known.get(mailbox_id)
        if known is not None:
            self._known[mailbox_id] = known._replace(gone=-1)
        self.want([mailbox_id])

    async def _work(self) -> None:
        self._wake_rested()
        await self._look_through()
        while self._survey is not None and self._clock.seconds() >= self._survey_at:
            ids, self._survey = await self._pace.read(partial(_survey, first_id=self._survey))
            if self._survey is None:
                self._survey_at = self._clock.seconds() + SURVEY_S
            self._wanted.update(dict.fromkeys(ids))
            await self._look_through()
        if self._wanted:
            self.round.soon(SETTLE_S)
        if self._survey is not None:
            self.round.soon(self._survey_at - self._clock.seconds())
        if self._resting:
            self.round.soon(min(map(self._rests.left_s, self._resting)))

    def _wake_rested(self) -> None:
        rested = [mailbox_id for mailbox_id in self._resting if not self._rests.left_s(mailbox_id)]
        self._resting.difference_update(rested)
        self._wanted.update(dict.fromkeys(rested))

    async def _look_through(self) -> None:
        """Look at the mailboxes that are on the list now; what comes meanwhile is for the next time."""
        left = len(self._wanted)
        while left > 0:
            batch = list(islice(self._wanted, min(left, LOOK_MAILBOXES)))
            left -= len(batch)
            for mailbox_id in batch:
                del self._wanted[mailbox_id]
            try:
                for mailbox_id in await self._pace.read(partial(self._look, ids=batch)):
                    await self._tidy(mailbox_id)
            except StoreFull:
                self._wanted.update(dict.fromkeys(batch))
                raise

    def _look(self, snapshot: Snapshot, ids: list[str]) -> list[str]:
        """Return those mailboxes that need something."""
        found = []
        for mailbox_id in ids:
            if self._rests.left_s(mailbox_id):
                self._resting.add(mailbox_id)
                continue
            try:
                if self._needs(snapshot, mailbox_id):
                    found.append(mailbox_id)
            except MailError as error:
                self._failed(mailbox_id, error)
        return found

    def _needs(self, snapshot: Snapshot, mailbox_id: str) -> bool:
        """Tell whether a mailbox needs something; of the rows of its tail it looks only at the new ones."""
        value = snapshot.get((MAILBOX_STATE, mailbox_id))
        state = State.from_record(value) if value is not None else None
        if state is None or not state.owner:
            self._known.pop(mailbox_id, None)
            self._rests.went_well(mailbox_id)
            return False
        known = self._seen(mailbox_id)
        if state.tail >= CHUNK_ROWS or state.gone not in (0, known.gone) or _long_history(state, known):
            return True
        if not state.tail or known.shaped >= state.uidnext:
            return False
        if state.uidnext - known.shaped > LOOK_ROWS:
            return True
        missing, _ = keeping.unshaped(snapshot, mailbox_id, known.shaped, LOOK_ROWS)
        if not missing:
            self._remember(mailbox_id, known._replace(shaped=state.uidnext))
        return bool(missing)

    async def _tidy(self, mailbox_id: str) -> None:
        try:
            while True:
                await self._make_shapes(mailbox_id)
                if not await self._seal(mailbox_id):
                    break
            await self._compact(mailbox_id)
            await self._cut_history(mailbox_id)
        except (Stopped, StoreFull):
            raise
        except Exception as error:
            self._failed(mailbox_id, error)
        else:
            self._rests.went_well(mailbox_id)

    def _failed(self, mailbox_id: str, error: Exception) -> None:
        """Leave a mailbox alone for a time."""
        self._resting.add(mailbox_id)
        if not self._rests.failed(mailbox_id):
            return
        if isinstance(error, MailError):
            _log.error(
                "a mailbox was not tidied; tried again later",
                event="mailbox-not-tidied",
                mailbox=mailbox_id,
                reason=error.text,
            )
        else:
            _log.failure("a mailbox was not tidied", event="defect", mailbox=mailbox_id)

    def _seen(self, mailbox_id: str) -> Known:
        return self._known.get(mailbox_id, Known())

    def _remember(self, mailbox_id: str, known: Known) -> None:
        self._known.pop(mailbox_id, None)
        self._known[mailbox_id] = known
        if len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]

    # one mailbox

    async def _make_shapes(self, mailbox_id: str) -> None:
        """Make the missing shapes of as many rows as are sealed at once."""
        known = self._seen(mailbox_id)
        look = partial(keeping.unshaped, mailbox_id=mailbox_id, first_uid=known.shaped, rows=CHUNK_ROWS)
        missing, next_uid = await self._pace.read(look)
        await self._shapes.make(mailbox_id, missing)
        known = self._seen(mailbox_id)
        self._remember(mailbox_id, known._replace(shaped=next_uid))

    async def _seal(self, mailbox_id: str) -> bool:
        """Make a chunk of the oldest rows of the tail, if there are enough."""
        uids = await self._pace.read(partial(keeping.to_seal, mailbox_id=mailbox_id))
        texts: list[tuple[bytes, ...]] = []
        for place in range(0, len(uids), TEXTS):
            gather = partial(keeping.gather_texts, mailbox_id=mailbox_id, uids=uids[place : place + TEXTS])
            texts += await self._pace.read(gather)
        if not uids:
            return False
        return await self._pace.write(partial(keeping.seal, mailbox_id=mailbox_id, uids=uids, texts=texts))

    async def _compact(self, mailbox_id: str) -> None:
        """Let rows go until nothing more is worth while: chunks that became small may fit together."""
        state = await self._pace.read(partial(states.load, mailbox_id=mailbox_id))
        done = state.gone > 0
        while done:
            state = await self._pace.read(partial(states.load, mailbox_id=mailbox_id))
            went = await self._pace.write(
                partial(compaction.compact_tail, mailbox_id=mailbox_id, limit=CHUNK_ROWS)
            )
            done = await self._compact_chunks(mailbox_id) or went > 0
        self._remember(mailbox_id, self._seen(mailbox_id)._replace(gone=state.gone))

    async def _compact_chunks(self, mailbox_id: str) -> bool:
        """Go once through all chunks; False when there was nothing to do."""
        done = False
        next_uid: int | None = 0
        while next_uid is not None:
            look = partial(compaction.look, mailbox_id=mailbox_id, first_uid=next_uid)
            steps, next_uid = await self._pace.read(look)
            for found in steps:
                done |= await self._pace.write(partial(compaction.take, mailbox_id=mailbox_id, found=found))
        return done

    async def _cut_history(self, mailbox_id: str) -> None:
        """Forget the oldest of more than HISTORY changes that expunged messages."""
        state = await self._pace.read(partial(states.load, mailbox_id=mailbox_id))
        known = self._seen(mailbox_id)
        if not _long_history(state, known):
            return
        excess, modseq, slice_ = -HISTORY, 0, HISTORY_COUNT
        while slice_ == HISTORY_COUNT:
            count = partial(
                keeping.count_history, mailbox_id=mailbox_id, first_modseq=modseq, limit=HISTORY_COUNT
            )
            slice_, modseq = await self._pace.read(count)
            excess += slice_
        while excess > 0:
            cut = partial(keeping.forget_history, mailbox_id=mailbox_id, limit=min(excess, HISTORY_CUT))
            went = await self._pace.write(cut)
            if not went:
                break
            excess -= went
        self._remember(mailbox_id, known._replace(counted=state.modseq))


def _long_history(state: State, known: Known) -> bool:
    """Tell whether so much may have been expunged that the oldest is to be forgotten."""
    changes = state.modseq - state.history_from
    return changes > HISTORY and (not known.counted or state.modseq - known.counted >= HISTORY_STEP)


def _survey(snapshot: Snapshot, first_id: str) -> tuple[list[str], str | None]:
    """Return the mailboxes, among the next SURVEY_MAILBOXES, that may need something, and where to go on."""
    return survey(snapshot, first_id, SURVEY_MAILBOXES, _may_need_something)


def _may_need_something(mailbox_id: str, state: State | None) -> bool:
    # What is damaged is logged when it is looked at.
    return state is None or bool(state.tail or state.gone) or _long_history(state, Known())
