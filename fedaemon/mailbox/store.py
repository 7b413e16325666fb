"""Mailboxes and the mail in them.

The first form: named mailboxes of an account with UIDs that only grow. Flags, mod-sequences and everything
else that IMAP shows build on this.

Standards: RFC 9051 2.3.1.1 (UID and UIDVALIDITY).
Invariants: a UID is given once; UIDNEXT and the mail that used it change in one transaction. A mail's content
is the prefix of its record followed by the octets of its blob; the caller of ``append`` gives the mailbox one
reference to the blob, and ``expunge`` gives it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fedaemon.store.content import PrefixedContent
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Content, Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import MAIL, MAILBOX

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

INBOX: Final = "INBOX"

_SIZE = re.compile(rb'"size":(\d+)')
"""The size in a stored record. Within a JSON string a quotation mark has a backslash before it, so nothing else
in a record looks like this."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox of an account."""

    id: str
    account: str
    name: str
    uidvalidity: int
    uidnext: int


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail in a mailbox; *size* is that of the whole content, prefix included."""

    mailbox: str
    uid: int
    blob: str
    prefix: bytes
    size: int
    internal_ms: int
    flags: tuple[str, ...]


def canonical_name(name: str) -> str:
    """Return the name under which a mailbox is kept: INBOX is one mailbox in any case. Spec: RFC 9051 5.1"""
    return INBOX if name.upper() == INBOX else name


def append(
    transaction: Transaction,
    account: str,
    mailbox: str,
    *,
    blob_id: str,
    prefix: bytes,
    size: int,
    internal_ms: int,
    flags: tuple[str, ...] = (),
) -> int:
    """Add a mail to a mailbox, which is made when it is not there yet; return its UID.

    :param account: the account's canonical address.
    :param blob_id: the content; the reference that the mailbox holds is the caller's to add.
    :param prefix: header fields in front of it, UTF-8, whole lines.
    :param size: octets of prefix and content together.
    :param internal_ms: when it arrived.
    """
    name = canonical_name(mailbox)
    value = transaction.get((MAILBOX, account, name))
    if value is None:
        # Seconds of the making: grows if the mailbox is ever made anew.
        record: dict[str, Any] = {
            "id": new_id(internal_ms),
            "uidvalidity": internal_ms // 1000 or 1,
            "uidnext": 1,
        }
    else:
        record = decode(value)
    uid: int = record["uidnext"]
    record["uidnext"] = uid + 1
    mail: dict[str, Any] = {"blob": blob_id, "size": size, "internal_ms": internal_ms}
    if prefix:
        mail["prefix"] = prefix.decode()
    if flags:
        mail["flags"] = list(flags)
    transaction.put((MAILBOX, account, name), encode(record))
    transaction.put((MAIL, record["id"], uid), encode(mail))
    return uid


def mailboxes(snapshot: Snapshot, account: str | None = None) -> Iterator[Mailbox]:
    """Yield the mailboxes of *account* by name, or those of all accounts."""
    for key, value in snapshot.scan((MAILBOX,) if account is None else (MAILBOX, account)):
        _, owner, name = key
        assert isinstance(owner, str)
        assert isinstance(name, str)
        record = decode(value)
        yield Mailbox(record["id"], owner, name, record["uidvalidity"], record["uidnext"])


def find(snapshot: Snapshot, account: str, name: str) -> Mailbox | None:
    """Return the mailbox *name* of *account*, or None."""
    name = canonical_name(name)
    value = snapshot.get((MAILBOX, account, name))
    if value is None:
        return None
    record = decode(value)
    return Mailbox(record["id"], account, name, record["uidvalidity"], record["uidnext"])


def messages(snapshot: Snapshot, account: str, mailbox: str) -> Iterator[Mail]:
    """Yield the mail of a mailbox by UID; nothing when there is no such mailbox."""
    found = find(snapshot, account, mailbox)
    if found is not None:
        yield from mail_of(snapshot, found.id)


def mail_of(
    snapshot: Snapshot, mailbox_id: str, after_uid: int = 0, limit: int | None = None
) -> Iterator[Mail]:
    """Yield the mail of the mailbox with that id whose UID is above *after_uid*, by UID, at most *limit*."""
    start, stop = (MAIL, mailbox_id, after_uid + 1), (MAIL, mailbox_id, 2**32)
    for key, value in snapshot.scan(start, stop, limit=limit):
        uid = key[2]
        assert isinstance(uid, int)
        yield decode_mail(mailbox_id, uid, value)


def sizes(
    snapshot: Snapshot, mailbox_id: str, after_uid: int = 0, limit: int | None = None
) -> Iterator[tuple[int, int]]:
    """Yield (UID, size in octets) of what ``mail_of`` yields, at a fraction of its cost."""
    start, stop = (MAIL, mailbox_id, after_uid + 1), (MAIL, mailbox_id, 2**32)
    for key, value in snapshot.scan(start, stop, limit=limit):
        uid = key[2]
        assert isinstance(uid, int)
        found = _SIZE.search(value)
        assert found is not None
        yield uid, int(found[1])


def get_mail(snapshot: Snapshot, mailbox_id: str, uid: int) -> Mail | None:
    """Return one mail, or None when it was expunged."""
    value = snapshot.get((MAIL, mailbox_id, uid))
    return None if value is None else decode_mail(mailbox_id, uid, value)


def expunge(transaction: Transaction, blobs: Blobs, mailbox_id: str, uids: Iterable[int]) -> int:
    """Remove mail and the references it holds; UIDs that are not there are passed over.

    :return: how many were removed.
    :raises StoreError: the blob of one of them is missing; ``fedaemonctl verify`` tells which.

    Spec: RFC 9051 6.4.3
    """
    removed = 0
    for uid in uids:
        mail = get_mail(transaction, mailbox_id, uid)
        if mail is not None:
            transaction.delete((MAIL, mailbox_id, uid))
            blobs.release(transaction, mail.blob)
            removed += 1
    return removed


def decode_mail(mailbox_id: str, uid: int, value: bytes) -> Mail:
    """Return the mail of a stored record."""
    record = decode(value)
    return Mail(
        mailbox_id,
        uid,
        record["blob"],
        record.get("prefix", "").encode(),
        record["size"],
        record["internal_ms"],
        tuple(record.get("flags", ())),
    )


def content(snapshot: Snapshot, blobs: Blobs, mail: Mail) -> Content:
    """Return all octets of a mail; raises ``StoreError`` when its blob is missing."""
    return PrefixedContent(mail.prefix, blobs.open(snapshot, mail.blob))
