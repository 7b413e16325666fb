"""Compaction: rows of messages that are gone for good leave the chunks, and small chunks become one.

Each function is one small transaction, or what is read for one. ``upkeep`` calls them.

Theory of operation: a row goes after its content, and only where that frees a quarter of the chunk, since all its
records are written anew; so a row is rewritten at most a few times in its life. The texts of a chunk without live
rows go before: nobody finds what is in them, and undeleting takes them from the messages. With a row go the blocks
of ``text_index`` that have its texts; what else was in them is indexed again.

Invariants: nothing that a session can see changes, so no mod-sequence does; a row whose content is still there
stays; a chunk keeps the name of its first row, whatever becomes of that row.
Limits: LOOK_CHUNKS and LOOK_GONE of a look, one or two chunks of a transaction.
"""

from __future__ import annotations

from enum import Enum
from itertools import compress
from operator import not_
from typing import Final, NamedTuple

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading, text_index
from fedaemon.mailbox import state as states
from fedaemon.mailbox.keeping import CHUNK_ROWS
from fedaemon.mailbox.rows import Row
from fedaemon.message.mime.stored_shape import TEXT_COLUMNS
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import MAIL, MAIL_CHUNK, MAIL_ROW

TEXT_GROUPS: Final = tuple(range(c.TEXTS, c.TEXTS + TEXT_COLUMNS))
GROUPS: Final = (c.STATE_GROUP, c.FACTS_GROUP, *TEXT_GROUPS)
LOOK_CHUNKS: Final = 40
LOOK_GONE: Final = 1000
"""Expunged messages whose contents are looked for in one look, some 2 µs each."""
WORTH: Final = 4
"""A chunk is written anew when one row in so many goes."""


class Step(Enum):
    """What is to be done with a chunk."""

    DROP_TEXTS = "drop texts"
    COMPACT = "compact"
    MERGE = "merge"


class Found(NamedTuple):
    """A step that is worth while, and the first UIDs of the chunk and of the one that is merged with it."""

    step: Step
    first_uid: int
    other_uid: int = 0


def look(
    snapshot: Snapshot, mailbox_id: str, first_uid: int, most: int = CHUNK_ROWS
) -> tuple[list[Found], int | None]:
    """Return what is worth doing with the chunks from *first_uid* on, and where to go on, or None at the end.

    :param most: rows of a chunk.
    """
    steps: list[Found] = []
    before = room = looked = 0
    start = (MAIL_CHUNK, mailbox_id, c.STATE_GROUP, first_uid)
    stop = (MAIL_CHUNK, mailbox_id, c.STATE_GROUP, reading.UID_END)
    for chunks, (key, value) in enumerate(snapshot.scan(start, stop)):
        name = int(key[3])
        if chunks == LOOK_CHUNKS or looked >= LOOK_GONE:
            # This chunk may fit to the one before.
            return steps, before if chunks > 1 else name
        columns = c.decode(value)
        rows = len(columns[c.FLAGS])
        expunged = columns[c.FLAGS].translate(c.EXPUNGED).count(1)
        step = None
        if expunged * WORTH >= rows:
            looked += expunged
            step = _step(snapshot, mailbox_id, name, columns)
        if step is not None:
            steps.append(Found(step, name))
        if step is not None or expunged == rows:
            room = 0
        elif rows <= room:
            steps.append(Found(Step.MERGE, before, name))
            room = 0
        else:
            room = most - rows
        before = name
    return steps, None


def _step(snapshot: Snapshot, mailbox_id: str, first_uid: int, columns: c.Columns) -> Step | None:
    """Return what is worth doing with a chunk of which many rows are gone."""
    gone = columns[c.FLAGS].translate(c.EXPUNGED)
    uids = compress(c.unpack(c.UID, columns[c.UID]), gone)
    purged = sum(snapshot.get((MAIL, mailbox_id, uid)) is None for uid in uids)
    if purged * WORTH >= len(gone):
        return Step.COMPACT
    texts = (MAIL_CHUNK, mailbox_id, c.SUBJECT, first_uid)
    if all(gone) and snapshot.get(texts) is not None:
        return Step.DROP_TEXTS
    return None


def take(transaction: Transaction, mailbox_id: str, found: Found) -> bool:
    """Do one of the steps that ``look`` has found; False when there is nothing to do any more."""
    if found.step is Step.COMPACT:
        return compact(transaction, mailbox_id, found.first_uid) > 0
    if found.step is Step.MERGE:
        return merge(transaction, mailbox_id, found.first_uid, found.other_uid)
    return drop_texts(transaction, mailbox_id, found.first_uid)


def drop_texts(transaction: Transaction, mailbox_id: str, first_uid: int) -> bool:
    """Delete the texts of a chunk all of whose rows are gone; False when one is not."""
    columns = reading.group(transaction, mailbox_id, c.STATE_GROUP, first_uid)
    if not columns or any(columns[c.FLAGS].translate(c.LIVE)):
        return False
    for group in TEXT_GROUPS:
        transaction.delete((MAIL_CHUNK, mailbox_id, group, first_uid))
    return True


def merge(
    transaction: Transaction, mailbox_id: str, first_uid: int, other_uid: int, most: int = CHUNK_ROWS
) -> bool:
    """Make one chunk of two that follow each other; False when they have more rows than one may, or no texts."""
    pairs = []
    for group in GROUPS:
        ours = reading.group(transaction, mailbox_id, group, first_uid)
        theirs = reading.group(transaction, mailbox_id, group, other_uid)
        if not ours or not theirs:
            return False
        pairs.append((group, ours, theirs))
    _, ours, theirs = pairs[0]
    rows, more = len(ours[c.FLAGS]), len(theirs[c.FLAGS])
    if rows + more > most:
        return False
    for group, ours, theirs in pairs:
        joined = _joined(ours, theirs, rows, more)
        transaction.put((MAIL_CHUNK, mailbox_id, group, first_uid), c.encode(joined, rows + more))
        transaction.delete((MAIL_CHUNK, mailbox_id, group, other_uid))
    _forget(transaction, mailbox_id, 0, 0, 0)
    return True


def _joined(ours: c.Columns, theirs: c.Columns, rows: int, more: int) -> c.Columns:
    """Return the rows of one chunk and then those of another."""
    joined = {}
    for number in sorted(ours.keys() | theirs.keys()):
        if number >= c.TEXTS:
            joined[number] = ours[number] + b"\n" + theirs[number]
        else:
            # Only planes of keywords may be missing, when no row has one of them.
            joined[number] = ours.get(number, bytes(rows)) + theirs.get(number, bytes(more))
    return joined


def compact(transaction: Transaction, mailbox_id: str, first_uid: int) -> int:
    """Write a chunk anew without the rows whose contents are purged; return how many rows went."""
    columns = reading.group(transaction, mailbox_id, c.STATE_GROUP, first_uid)
    if not columns:
        return 0  # another compaction took it
    uids = c.unpack(c.UID, columns[c.UID])
    live = columns[c.FLAGS].translate(c.LIVE)
    kept = bytearray(live)
    for place, uid in enumerate(uids):
        if not live[place] and transaction.get((MAIL, mailbox_id, uid)) is not None:
            kept[place] = 1
    went = len(kept) - kept.count(1)
    if not went:
        return 0
    mask = bytes(kept)
    sizes = c.unpack(c.SIZE, reading.group(transaction, mailbox_id, c.FACTS_GROUP, first_uid)[c.SIZE])
    octets = sum(sizes) - sum(compress(sizes, mask))
    for group in GROUPS:
        key = (MAIL_CHUNK, mailbox_id, group, first_uid)
        before = reading.group(transaction, mailbox_id, group, first_uid)
        if not any(mask):
            transaction.delete(key)
        elif before:  # the texts may be dropped
            transaction.put(key, c.encode(c.keep(before, mask), mask.count(1)))
    text_index.forget(transaction, mailbox_id, list(compress(uids, map(not_, mask))))
    _forget(transaction, mailbox_id, went, octets, 0)
    return went


def compact_tail(transaction: Transaction, mailbox_id: str, limit: int) -> int:
    """Delete rows of the tail whose contents are purged, looking at *limit* rows; return how many went."""
    gone: list[int] = []
    octets = 0
    for key, value in list(transaction.scan((MAIL_ROW, mailbox_id), limit=limit)):
        row = Row.from_record(value)
        if not row.live and transaction.get((MAIL, mailbox_id, row.uid)) is None:
            transaction.delete(key)
            gone.append(row.uid)
            octets += row.size
    if gone:
        text_index.forget(transaction, mailbox_id, gone)
        _forget(transaction, mailbox_id, len(gone), octets, len(gone))
    return len(gone)


def _forget(transaction: Transaction, mailbox_id: str, rows: int, octets: int, of_tail: int) -> None:
    """Take rows that are gone for good off the counters."""
    before = states.load(transaction, mailbox_id)
    after = before._replace(
        generation=before.generation + 1,
        gone=before.gone - rows,
        gone_octets=before.gone_octets - octets,
        tail=before.tail - of_tail,
    )
    states.save(transaction, mailbox_id, before, after)
