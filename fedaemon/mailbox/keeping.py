"""Keeping a mailbox in shape: the tail becomes chunks, and what was expunged goes in its time.

Each function is one small transaction, or what is read for one. ``upkeep`` calls them.

Invariants: nothing that a session can see changes here, so no mod-sequence does: ``generation`` tells open
mailboxes that their chunks are others; the contents of an expunged message stay until its purge is due,
its row until the chunk is compacted.
Limits: CHUNK_ROWS; PURGE_SLICE UIDs a transaction.
Known gaps: the texts of a message whose shape is made after it was sealed (its content could not be read
before) are not put into its chunk, so SEARCH does not find them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.changing import decode_gone
from fedaemon.mailbox.rows import NO_DATE, Mail, Row, fact_columns, state_columns
from fedaemon.message.mime.stored_shape import TEXT_COLUMNS, StoredShape, is_made
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import MAIL, MAIL_CHUNK, MAIL_GONE, MAIL_PURGE, MAIL_ROW, MAILBOX_STATE

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

CHUNK_ROWS: Final = 500
"""Sealing so many takes about 4 ms; docs/mailbox-layout.md has the comparison. Not part of the format."""
PURGE_SLICE: Final = 200
MODSEQ_END: Final = 1 << 63

Purge = tuple[int, str, int]
"""Contents that are to be released: due in seconds since the epoch, mailbox id, mod-sequence of the change."""


def unshaped(snapshot: Snapshot, mailbox_id: str, first_uid: int, rows: int) -> tuple[list[int], int]:
    """Return the UIDs in so many *rows* of the tail whose shape was not made yet, and where to go on.

    A row with a sent time has a shape: both are written together.
    """
    found = []
    uid = first_uid - 1
    start, stop = (MAIL_ROW, mailbox_id, first_uid), (MAIL_ROW, mailbox_id, reading.UID_END)
    for _, value in snapshot.scan(start, stop, limit=rows):
        row = Row.from_record(value)
        uid = row.uid
        mail = reading.mail(snapshot, mailbox_id, uid) if row.sent_s == NO_DATE else None
        if mail is not None and not is_made(mail.shape):
            found.append(uid)
    return found, uid + 1


def set_shape(
    transaction: Transaction,
    mailbox_id: str,
    uid: int,
    record: bytes,
    sent_s: int,
    zone_min: int,
    thread: int,
) -> bool:
    """Store a shape that was made later than its message; False when it has one, or is purged.

    The sent time, and what follows from it, is known from then on; no mod-sequence changes, as nothing does
    that a client may keep.

    :param record: as ``Shape.to_record`` made it; the other parameters are those of ``NewMail``.
    :param thread: THREADID, 0 for the one that it has, or one of its own.
    """
    mail = reading.mail(transaction, mailbox_id, uid)
    if mail is None or is_made(mail.shape):
        return False
    transaction.put((MAIL, mailbox_id, uid), mail._replace(shape=record).to_record())
    value = transaction.get((MAIL_ROW, mailbox_id, uid))
    if value is None:
        return True  # sealed
    row = Row.from_record(value)
    after = row._replace(sent_s=sent_s, zone_min=zone_min, thread=thread or row.thread or row.email)
    if after != row:
        transaction.put((MAIL_ROW, mailbox_id, uid), after.to_record())
        before = states.load(transaction, mailbox_id)
        states.save(transaction, mailbox_id, before, before._replace(generation=before.generation + 1))
    return True


def gather_texts(snapshot: Snapshot, mailbox_id: str, uids: list[int]) -> list[tuple[bytes, ...]]:
    """Return the texts of messages for ``seal``, which are read before it, as they never change.

    A message that is purged already has none; nothing finds it any more.
    """
    texts = []
    for uid in uids:
        mail = reading.mail(snapshot, mailbox_id, uid)
        made = mail is not None and is_made(mail.shape)
        texts.append(StoredShape(mail.shape).texts() if mail and made else (b"",) * TEXT_COLUMNS)
    return texts


def to_seal(snapshot: Snapshot, mailbox_id: str, rows: int = CHUNK_ROWS) -> list[int]:
    """Return the UIDs of the oldest *rows* of the tail, or none when there are not so many."""
    keys = [key for key, _ in snapshot.scan((MAIL_ROW, mailbox_id), limit=rows)]
    return [int(key[2]) for key in keys] if len(keys) == rows else []


def seal(transaction: Transaction, mailbox_id: str, uids: list[int], texts: list[tuple[bytes, ...]]) -> bool:
    """Make a chunk of the oldest rows of the tail, whose UIDs and texts are given; False when they are others."""
    if not uids or transaction.get((MAILBOX_STATE, mailbox_id)) is None:
        return False
    found = list(transaction.scan((MAIL_ROW, mailbox_id), limit=len(uids)))
    if [key[2] for key, _ in found] != uids:
        return False
    rows = [Row.from_record(value) for _, value in found]
    groups = {c.STATE_GROUP: state_columns(rows), c.FACTS_GROUP: fact_columns(rows)}
    for number, column in enumerate(zip(*texts, strict=True), c.TEXTS):
        # One LF too many would shift every row behind it.
        groups[number] = {number: b"\n".join([text.replace(b"\n", b" ") for text in column])}
    for number, columns in groups.items():
        transaction.put((MAIL_CHUNK, mailbox_id, number, uids[0]), c.encode(columns, len(rows)))
    for key, _ in found:
        transaction.delete(key)
    before = states.load(transaction, mailbox_id)
    after = before._replace(generation=before.generation + 1, tail=before.tail - len(rows))
    states.save(transaction, mailbox_id, before, after)
    return True


def due_purges(snapshot: Snapshot, until_s: int, after: Purge | None, limit: int) -> list[Purge]:
    """Return the first entries of what is to be purged by *until_s*, behind the entry *after* if one is given."""
    start = (MAIL_PURGE, 0) if after is None else (MAIL_PURGE, *after[:2], after[2] + 1)
    entries = snapshot.scan(start, (MAIL_PURGE, until_s + 1), limit=limit)
    return [(int(due_s), str(mailbox_id), int(modseq)) for (_, due_s, mailbox_id, modseq), _ in entries]


def purge(transaction: Transaction, blobs: Blobs, due_s: int, mailbox_id: str, modseq: int) -> bool:
    """Release contents of what one change expunged; True when more of it is left.

    :raises StoreError: a blob's record is missing.
    """
    value = transaction.get((MAIL_GONE, mailbox_id, modseq))
    left = PURGE_SLICE
    for first, last in decode_gone(value).ranges if value is not None else ():
        start, stop = (MAIL, mailbox_id, first), (MAIL, mailbox_id, last + 1)
        for key, record in list(transaction.scan(start, stop, limit=left)):
            transaction.delete(key)
            blobs.release(transaction, Mail.from_record(record).blob)
            left -= 1
        if not left:
            return True
    transaction.delete((MAIL_PURGE, due_s, mailbox_id, modseq))
    return False


def count_history(snapshot: Snapshot, mailbox_id: str, first_modseq: int, limit: int) -> tuple[int, int]:
    """Return how many changes from *first_modseq* on expunged messages, up to *limit*, and where to go on."""
    start = (MAIL_GONE, mailbox_id, first_modseq)
    count = 0
    for key, _ in snapshot.scan(start, (MAIL_GONE, mailbox_id, MODSEQ_END), limit=limit):
        count += 1
        first_modseq = int(key[2]) + 1
    return count, first_modseq


def forget_history(transaction: Transaction, mailbox_id: str, limit: int) -> int:
    """Forget the oldest changes that expunged messages, at most *limit*; return how many.

    It ends at the first whose contents are not all purged: without it they could not be found.

    Spec: RFC 7162 3.2.5.2 (who asks for older ones is told of more UIDs than need be)
    """
    forgotten = history_from = 0
    for key, value in list(transaction.scan((MAIL_GONE, mailbox_id), limit=limit)):
        for first, last in decode_gone(value).ranges:
            start, stop = (MAIL, mailbox_id, first), (MAIL, mailbox_id, last + 1)
            if any(True for _ in transaction.scan(start, stop, limit=1)):
                break
        else:
            transaction.delete(key)
            forgotten += 1
            history_from = int(key[2])
            continue
        break
    if forgotten:
        before = states.load(transaction, mailbox_id)
        states.save(transaction, mailbox_id, before, before._replace(history_from=history_from))
    return forgotten
