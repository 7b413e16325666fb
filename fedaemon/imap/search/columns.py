"""What the store has of the rows of a piece: facts and texts, a column at a time where they lie in a chunk.

A session may hold a chunk that was compacted since; then, as in the tail, each row is looked up by its UID. A
message whose shape is not made yet has it made here, and not kept: the upkeep of mailboxes does that.

Invariants: a column has a value for each row of the piece; rows that are gone for good have ABSENT or no text.
Limits: TEXT_SLICE messages a turn.
Known gaps: SENT of a message without shape is unknown, until the upkeep has made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Final

from fedaemon.imap.operations import MakeShape, Read
from fedaemon.imap.search.pace import Pace
from fedaemon.imap.search.piece import Piece
from fedaemon.imap.session import Session
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox.rows import NO_DATE, Mail
from fedaemon.message.mime.stored_shape import TEXT_COLUMNS, StoredShape, is_made
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content, Snapshot

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

ABSENT: Final = NO_DATE
TEXT_SLICE: Final = 100
_EVERY_ROW: Final = b"\x01" * 256
_NO_TEXTS: Final = (b"",) * TEXT_COLUMNS
_FIRST_FACT: Final = 3
"""Where the facts begin in ``rows.Row``."""


async def facts(session: Session, piece: Piece, columns: Sequence[int]) -> list[Sequence[int]]:
    """Return *columns* of the facts."""
    found: list[Sequence[int]] = await Read(partial(_facts, session.need_selected.id, piece, columns))
    return found


async def texts(
    session: Session, piece: Piece, wanted: bytes, columns: Sequence[int], pace: Pace
) -> list[bytes]:
    """Return text *columns*; of rows that are not in the mask *wanted* they may be empty."""
    selected = session.need_selected
    found = await Read(partial(_chunk_texts, selected.id, piece, columns))
    if found is not None:
        return found
    places = list(compress(range(len(wanted)), wanted))
    rows: list[tuple[bytes, ...]] = [_NO_TEXTS] * len(wanted)
    for start in range(0, len(places), TEXT_SLICE):
        some = places[start : start + TEXT_SLICE]
        read = partial(_mails, selected.id, session.settings.blobs, [piece.uids[place] for place in some])
        for place, mail in zip(some, await Read(read), strict=True):
            rows[place] = await _texts_of(mail)
        await pace.step()
    # One LF too many would shift every row behind it.
    return [b"\n".join([row[column - c.TEXTS].replace(b"\n", b" ") for row in rows]) for column in columns]


def opened(mailbox_id: str, blobs: Blobs, uid: int, snapshot: Snapshot) -> tuple[Mail, Content] | None:
    """Return a message and its octets; None when it is purged, or its content is lost.

    One lost content must not keep all others from being searched: ``fedaemonctl verify`` tells of it.
    """
    mail = reading.mail(snapshot, mailbox_id, uid)
    if mail is None:
        return None
    try:
        return mail, reading.content(snapshot, blobs, mail)
    except StoreError:
        return None


async def shape_of(mail: Mail, content: Content) -> StoredShape | None:
    """Return the shape of a message, made now if it was not before; None when it cannot be made."""
    if is_made(mail.shape):
        return StoredShape(mail.shape)
    made = await MakeShape(content)
    return None if made is None else StoredShape(made.record)


async def _texts_of(mail: Mail | tuple[Mail, Content] | None) -> tuple[bytes, ...]:
    if mail is None:
        return _NO_TEXTS
    if isinstance(mail, Mail):
        return StoredShape(mail.shape).texts()
    shape = await shape_of(*mail)
    return _NO_TEXTS if shape is None else shape.texts()


def _is_chunk(mailbox_id: str, piece: Piece, snapshot: Snapshot) -> bool:
    """Tell whether the rows of *piece* are those of its chunk as it is now."""
    state = reading.group(snapshot, mailbox_id, c.STATE_GROUP, piece.first_uid)
    return c.UID in state and c.unpack(c.UID, state[c.UID]) == piece.uids


def _facts(mailbox_id: str, piece: Piece, columns: Sequence[int], snapshot: Snapshot) -> list[Sequence[int]]:
    if _is_chunk(mailbox_id, piece, snapshot):
        found = reading.group(snapshot, mailbox_id, c.FACTS_GROUP, piece.first_uid)
        return [c.unpack(column, found[column]) for column in columns]
    ranges = ((piece.uids[0], piece.uids[-1]),)
    rows = {row.uid: row for row in reading.rows(snapshot, mailbox_id, ranges, _EVERY_ROW)}
    places = [_FIRST_FACT + c.FACTS.index(column) for column in columns]
    return [[int(rows[uid][place]) if uid in rows else ABSENT for uid in piece.uids] for place in places]


def _chunk_texts(
    mailbox_id: str, piece: Piece, columns: Sequence[int], snapshot: Snapshot
) -> list[bytes] | None:
    if not _is_chunk(mailbox_id, piece, snapshot):
        return None
    # Texts of a chunk without live rows may be deleted already.
    empty = b"\n" * (len(piece.uids) - 1)
    return [
        reading.group(snapshot, mailbox_id, column, piece.first_uid).get(column, empty) for column in columns
    ]


def _mails(
    mailbox_id: str, blobs: Blobs, uids: Sequence[int], snapshot: Snapshot
) -> list[Mail | tuple[Mail, Content] | None]:
    """Return the messages, with their octets where the shape is still to be made."""
    found: list[Mail | tuple[Mail, Content] | None] = []
    for uid in uids:
        mail = reading.mail(snapshot, mailbox_id, uid)
        made = mail is None or is_made(mail.shape)
        found.append(mail if made else opened(mailbox_id, blobs, uid, snapshot))
    return found
