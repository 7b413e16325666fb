"""Adding messages to a mailbox: new ones, and copies of others.

Standards: RFC 9051 6.3.12 (APPEND), 6.4.7 (COPY), RFC 8474 5 (EMAILID, THREADID), RFC 8514 2 (save date).
Invariants: the UIDs of one call follow each other and share a mod-sequence; the blob's reference that the mailbox
holds is the caller's to add; a shape is made before the transaction, never in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from secrets import randbits
from typing import TYPE_CHECKING

from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading, words
from fedaemon.mailbox import state as states
from fedaemon.mailbox.rows import NO_DATE, NO_SHAPE, Mail, Row
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import MAIL, MAIL_ROW

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs


@dataclass(frozen=True, slots=True)
class NewMail:
    """A message to be added.

    :param size: octets of prefix and content together.
    :param flags: system flags, and keywords as they are to be named.
    :param sent_s: from the Date field, with *zone_min*; NO_DATE without a usable one.
    :param email: EMAILID, 0 for a new one; *thread* is THREADID, 0 for one of its own.
    :param shape: as ``Shape.to_record`` made it of the blob.
    """

    blob: str
    size: int
    internal_s: int
    prefix: bytes = b""
    flags: tuple[str, ...] = ()
    sent_s: int = NO_DATE
    zone_min: int = 0
    email: int = 0
    thread: int = 0
    shape: bytes = NO_SHAPE


def append(
    transaction: Transaction, mailbox_id: str, mails: Sequence[NewMail], now_s: int
) -> tuple[int, int]:
    """Add messages; return the UID of the first, and the mod-sequence of all.

    :raises MailboxGone: the mailbox was deleted.
    :raises Refused: it would have too many keywords.

    Spec: RFC 9051 6.3.12
    """
    before = states.need(transaction, mailbox_id)
    modseq = before.modseq + 1
    rows: list[Row] = []
    for uid, new in enumerate(mails, before.uidnext):
        flags = words.make_flag_bits(transaction, mailbox_id, new.flags) if new.flags else 0
        email = new.email or randbits(62) + 1
        thread = new.thread or email
        row = Row(
            uid, modseq, flags, new.size, new.internal_s, now_s, new.sent_s, new.zone_min, email, thread
        )
        transaction.put((MAIL, mailbox_id, uid), Mail(new.blob, new.prefix, new.shape).to_record())
        transaction.put((MAIL_ROW, mailbox_id, uid), row.to_record())
        rows.append(row)
    states.save(transaction, mailbox_id, before, _grown(before, modseq, rows), chunks=(), tail=False)
    return before.uidnext, modseq


def copy(
    transaction: Transaction, blobs: Blobs, source_id: str, target_id: str, ranges: c.UidRanges, now_s: int
) -> list[tuple[int, int]]:
    """Copy messages with their flags, internal dates and ids; return (old UID, new UID) of each.

    :raises MailboxGone: the target was deleted.
    :raises StoreError: a content is missing.
    :raises Refused: the target would have too many keywords.

    Spec: RFC 9051 6.4.7
    """
    names = words.keywords(transaction, source_id)
    known: dict[int, int] = {}

    def translated(flags: int) -> int:
        if flags not in known:
            known[flags] = words.make_flag_bits(transaction, target_id, words.flag_names(flags, names))
        return known[flags]

    rows = list(reading.rows(transaction, source_id, ranges))
    return add_again(transaction, blobs, source_id, target_id, rows, translated, now_s)


def add_again(
    transaction: Transaction,
    blobs: Blobs,
    source_id: str,
    target_id: str,
    rows: Iterable[Row],
    flags_of: Callable[[int], int],
    now_s: int,
) -> list[tuple[int, int]]:
    """Add messages that are, or were, in a mailbox to the same or another one; return (old UID, new UID) of each.

    What is purged is passed over.

    :param flags_of: returns the flags that a message gets, as those of the target, for those that it has.
    :raises MailboxGone: the target was deleted.
    :raises StoreError: a content is missing.
    """
    before = states.need(transaction, target_id)
    modseq = before.modseq + 1
    added: list[Row] = []
    pairs: list[tuple[int, int]] = []
    for row in rows:
        found = transaction.get((MAIL, source_id, row.uid))
        if found is None:
            continue
        blobs.retain(transaction, Mail.from_record(found).blob)
        uid = before.uidnext + len(added)
        new = row._replace(uid=uid, modseq=modseq, flags=flags_of(row.flags), saved_s=now_s)
        transaction.put((MAIL, target_id, uid), found)
        transaction.put((MAIL_ROW, target_id, uid), new.to_record())
        added.append(new)
        pairs.append((row.uid, uid))
    if added:
        states.save(transaction, target_id, before, _grown(before, modseq, added), chunks=(), tail=False)
    return pairs


def thread_id(account: str, root: str) -> int:
    """Return THREADID for the messages of *account* whose thread begins with the message identifier *root*.

    It is made from the identifier, so that a reply finds its thread without an index, whichever of the two
    came first.

    Spec: RFC 8474 5.2
    """
    digest = blake2b(f"{account}\0{root}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1 or 1


def _grown(before: states.State, modseq: int, rows: Sequence[Row]) -> states.State:
    deleted = [row for row in rows if row.flags & c.DELETED]
    return before._replace(
        uidnext=before.uidnext + len(rows),
        modseq=modseq,
        exists=before.exists + len(rows),
        unseen=before.unseen + sum(not row.flags & c.SEEN for row in rows),
        deleted=before.deleted + len(deleted),
        octets=before.octets + sum(row.size for row in rows),
        deleted_octets=before.deleted_octets + sum(row.size for row in deleted),
        tail=before.tail + len(rows),
    )
