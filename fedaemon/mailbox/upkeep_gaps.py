"""Which texts of a mailbox are still to be kept in ``text_index``, a chunk at a time.

Invariants: nothing is left out: what is deleted behind our back begins anew.
Limits: a chunk in a look, whose blocks are some 700 KiB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, groupby
from operator import itemgetter
from typing import NamedTuple

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading, text_index
from fedaemon.mailbox.state import State
from fedaemon.mailbox.text_index import COVERED, Progress, TextKind
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import MAIL_CHUNK, MAILBOX_STATE


class Gap(NamedTuple):
    """Messages of which texts of some kinds are to be kept; no block of these kinds lies between them."""

    uids: list[int]
    kinds: tuple[TextKind, ...]


class Gaps(NamedTuple):
    """What is to be done for a chunk.

    :ivar last_uid: of the chunk.
    :ivar progress: as it was.
    """

    gaps: list[Gap]
    last_uid: int
    progress: Progress


def next_gaps(snapshot: Snapshot, mailbox_id: str) -> Gaps | None:
    """Return what is to be done for the next chunk; None when all are done, or the mailbox is deleted.

    What stands among the UIDs of a block and is not in it could not be read before.
    """
    value = snapshot.get((MAILBOX_STATE, mailbox_id))
    if value is None or not State.from_record(value).owner:
        return None
    known = text_index.progress(snapshot, mailbox_id)
    for _, columns in reading.chunks(snapshot, mailbox_id, ((known.uid + 1, reading.UID_END - 1),)):
        uids = c.unpack(c.UID, columns[c.UID])
        if uids[-1] <= known.uid:
            continue
        live = list(compress(uids, columns[c.FLAGS].translate(c.LIVE)))
        blocks = [text_index.blocks(snapshot, mailbox_id, kind, uids[0], uids[-1]) for kind in TextKind]
        return Gaps(_gaps(live, [text_index.places(live, each) for each in blocks]), uids[-1], known)
    return None


def is_behind(snapshot: Snapshot, mailbox_id: str) -> bool:
    """Tell whether ``next_gaps`` has something to look at."""
    space = (MAIL_CHUNK, mailbox_id, c.STATE_GROUP)
    for _, value in snapshot.scan((*space, 0), (*space, reading.UID_END), reverse=True, limit=1):
        return c.unpack(c.UID, c.decode(value)[c.UID])[-1] > text_index.progress(snapshot, mailbox_id).uid
    return False


def finish(transaction: Transaction, mailbox_id: str, gaps: Gaps) -> None:
    """The blocks of *gaps* are made; nothing is noted when others were deleted meanwhile."""
    there = transaction.get((MAILBOX_STATE, mailbox_id)) is not None
    if there and text_index.progress(transaction, mailbox_id) == gaps.progress:
        text_index.note(transaction, mailbox_id, gaps.progress._replace(uid=gaps.last_uid))


def _gaps(uids: Sequence[int], places: Iterable[Iterator[int]]) -> list[Gap]:
    """Return those of *uids* that are outside the blocks of some kind; *places* are those of each kind."""
    gaps = []
    for where, group in groupby(zip(zip(*places, strict=True), uids, strict=True), itemgetter(0)):
        kinds = tuple(kind for kind, place in zip(TextKind, where, strict=True) if place != COVERED)
        if kinds:
            gaps.append(Gap([uid for _, uid in group], kinds))
    return gaps
