"""Makes the shapes that messages were stored without: after a migration, and where delivery could not make them.

A shape is made in a thread, whatever the size of the message: nobody waits for it, and a small message of nothing
but parts takes a hundred times as long as others.

Invariants: a message without a shape is not sealed before it was tried TRIES times.
Limits: MESSAGES in a slice.
Known gaps: a message that cannot be read TRIES times in the life of the process is sealed without its texts.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from fedaemon.logs import Logger
from fedaemon.mailbox import keeping, reading
from fedaemon.mailbox.shaping import Shaped, read_shaped
from fedaemon.mailbox.state import State
from fedaemon.mailbox.upkeep_pace import Pace
from fedaemon.store.interface import Content, Snapshot, Transaction
from fedaemon.store.spaces import MAILBOX_STATE

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

MESSAGES: Final = 20
TRIES: Final = 3

_log = Logger()


class MissingShapes:
    """Makes missing shapes."""

    def __init__(self, pace: Pace, blobs: Blobs) -> None:
        self._pace = pace
        self._blobs = blobs
        self._tries: dict[tuple[str, int], int] = {}

    async def make(self, mailbox_id: str, uids: list[int]) -> None:
        """Make the shapes of messages and store them.

        :raises Exception: what kept some from being made; the others are stored, and those are to be tried again.
        """
        uids = [uid for uid in uids if self._tries.get((mailbox_id, uid), 0) < TRIES]
        problem: Exception | None = None
        for place in range(0, len(uids), MESSAGES):
            some = uids[place : place + MESSAGES]
            contents = await self._pace.read(
                partial(_contents, blobs=self._blobs, mailbox_id=mailbox_id, uids=some)
            )
            made = await self._pace.in_thread(partial(_shapes, contents))
            shapes = {uid: shaped for uid, shaped in made.items() if isinstance(shaped, Shaped)}
            await self._pace.write(partial(_store, mailbox_id=mailbox_id, shapes=shapes))
            for uid in shapes:
                self._tries.pop((mailbox_id, uid), None)
            for uid, error in made.items():
                if isinstance(error, Exception):
                    problem = error
                    self._failed(mailbox_id, uid)
        if problem is not None:
            raise problem

    def _failed(self, mailbox_id: str, uid: int) -> None:
        tries = self._tries.get((mailbox_id, uid), 0) + 1
        self._tries[mailbox_id, uid] = tries
        if tries == TRIES:
            _log.error(
                "a message cannot be read, and will not be found by its texts",
                event="message-unreadable",
                mailbox=mailbox_id,
                uid=uid,
            )


def _contents(
    snapshot: Snapshot, blobs: Blobs, mailbox_id: str, uids: list[int]
) -> dict[int, Content | Exception]:
    """Return the contents of messages, without their prefixes, or what keeps one from being read."""
    found: dict[int, Content | Exception] = {}
    for uid in uids:
        mail = reading.mail(snapshot, mailbox_id, uid)
        try:
            if mail is not None:
                found[uid] = blobs.open(snapshot, mail.blob)
        except Exception as error:
            found[uid] = error
    return found


def _shapes(contents: dict[int, Content | Exception]) -> dict[int, Shaped | Exception]:
    """Return what is to be stored of each message, or what keeps one from being read; runs in a thread."""
    made: dict[int, Shaped | Exception] = {}
    for uid, content in contents.items():
        try:
            made[uid] = content if isinstance(content, Exception) else read_shaped(content)
        except Exception as error:
            made[uid] = error
    return made


def _store(transaction: Transaction, mailbox_id: str, shapes: dict[int, Shaped]) -> None:
    value = transaction.get((MAILBOX_STATE, mailbox_id))
    if value is None:
        return  # the mailbox has gone meanwhile
    owner = State.from_record(value).owner
    for uid, shaped in shapes.items():
        keeping.set_shape(
            transaction, mailbox_id, uid, shaped.record, shaped.sent_s, shaped.zone_min, shaped.thread(owner)
        )
