"""Keeping a mailbox in shape: the tail becomes chunks, what was expunged goes in its time, chunks are compacted.

Each function is one small transaction, called again and again until it says that nothing is left.

Invariants: nothing that a session can see changes here, so no mod-sequence does: ``generation`` tells open
mailboxes that their chunks are others; the contents of an expunged message stay until its purge is due,
its row until the chunk is compacted.
Limits: CHUNK_ROWS; PURGE_SLICE UIDs a transaction.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Final

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox import state as states
from fedaemon.mailbox.changing import decode_gone
from fedaemon.mailbox.rows import Mail, Row, fact_columns, state_columns
from fedaemon.message.mime.stored_shape import TEXT_COLUMNS, StoredShape, is_made
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import MAIL, MAIL_CHUNK, MAIL_GONE, MAIL_PURGE, MAIL_ROW, MAILBOX_STATE

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

CHUNK_ROWS: Final = 500
"""Sealing so many takes about 4 ms; docs/mailbox-layout.md has the comparison. Not part of the format."""
PURGE_SLICE: Final = 200
GROUPS: Final = (c.STATE_GROUP, c.FACTS_GROUP, *range(c.TEXTS, c.TEXTS + TEXT_COLUMNS))


def unshaped(snapshot: Snapshot, mailbox_id: str, limit: int) -> list[int]:
    """Return the UIDs among the first *limit* rows of the tail whose shape was not made yet."""
    found = []
    for key, _ in snapshot.scan((MAIL_ROW, mailbox_id), limit=limit):
        uid = key[2]
        assert isinstance(uid, int)
        mail = reading.mail(snapshot, mailbox_id, uid)
        if mail is not None and not is_made(mail.shape):
            found.append(uid)
    return found


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


def next_purge(snapshot: Snapshot) -> tuple[int, str, int] | None:
    """Return (due in s, mailbox id, mod-sequence) of what is to be purged next."""
    for key, _ in snapshot.scan((MAIL_PURGE,), limit=1):
        due_s, mailbox_id, modseq = key[1:]
        assert isinstance(due_s, int)
        assert isinstance(mailbox_id, str)
        assert isinstance(modseq, int)
        return due_s, mailbox_id, modseq
    return None


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
        if any(mask):
            rest = c.keep(reading.group(transaction, mailbox_id, group, first_uid), mask)
            transaction.put(key, c.encode(rest, mask.count(1)))
        else:
            transaction.delete(key)
    _forget(transaction, mailbox_id, went, octets, 0)
    return went


def compact_tail(transaction: Transaction, mailbox_id: str, limit: int) -> int:
    """Delete rows of the tail whose contents are purged, looking at *limit* rows; return how many went."""
    went = octets = 0
    for key, value in list(transaction.scan((MAIL_ROW, mailbox_id), limit=limit)):
        row = Row.from_record(value)
        if not row.live and transaction.get((MAIL, mailbox_id, row.uid)) is None:
            transaction.delete(key)
            went += 1
            octets += row.size
    if went:
        _forget(transaction, mailbox_id, went, octets, went)
    return went


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
