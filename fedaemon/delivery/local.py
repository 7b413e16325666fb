"""Delivery to the mailboxes of this server.

The outcome of a local delivery is an effect that runs in the transaction that records it: the message is in
the mailbox exactly once, whenever the server dies.

Standards: RFC 5321 4.4 (Return-Path at final delivery); Delivered-To is a custom of the field.
Invariants: the content is not copied: the mailbox takes a reference to the same blob, and what delivery adds
in front is kept beside it; the shape is made before the transaction. Delivered-To names the address that the
sender gave, so that a +tag or the alias taken can be seen.
Known gaps: an account that became an alias while its mail waited is not expanded: its mail is deferred, and
says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from fedaemon.accounts.directory import check_recipient
from fedaemon.accounts.records import Account
from fedaemon.delivery.quota import check_room
from fedaemon.delivery.records import MessageRecord, RecipientRecord, load_message
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.errors import MailError, Unavailable
from fedaemon.mailbox.adding import append
from fedaemon.mailbox.mailboxes import INBOX, need, provide
from fedaemon.mailbox.shaping import Shaped, new_mail
from fedaemon.message.address import parse_address
from fedaemon.store.interface import Content, Snapshot, Store, Transaction

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs


def trace_prefix(sender: str, recipient: str) -> bytes:
    """Return the fields that final delivery puts in front of a message."""
    return f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode()


def deliver(
    transaction: Transaction,
    blobs: Blobs,
    message: MessageRecord,
    recipient: RecipientRecord,
    now_ms: int,
    shaped: Shaped | None,
    account: str = "",
    quota_octets: int | None = None,
) -> None:
    """Append the message to the INBOX of *account*, or of whoever takes mail for the recipient's address.

    :param shaped: of the message's ``content_of``.
    :param quota_octets: of an account that has no limit of its own, None for none.
    :raises OverQuota: there is no room.
    :raises Refused: nobody does (any more), or the mailbox is disabled.
    :raises Unavailable: the address has become an alias.
    """
    if not account:
        found = check_recipient(transaction, parse_address(recipient.address))
        if not isinstance(found, Account):
            raise Unavailable(
                f"<{recipient.address}> is an alias now; send the message again to have it followed",
                status="4.3.5",
            )
        account = found.address
    named = recipient.original or recipient.address
    prefix = trace_prefix(message.sender, named)
    # First what can fail: a missing blob must leave nothing behind in the mailbox, nor a full one a reference.
    check_room(transaction, account, len(prefix) + message.size, named, quota_octets=quota_octets)
    blobs.retain(transaction, message.blob)
    provide(transaction, account, now_ms)
    inbox = need(transaction, account, INBOX)
    new = new_mail(account, message.blob, message.size, prefix, now_ms // 1000, shaped)
    append(transaction, inbox.id, [new], now_ms // 1000)


async def content_of(store: Store, blobs: Blobs, queue_id: str) -> Content | None:
    """Return the content of a message in the queue, as ``deliver`` gives it to a mailbox; None without any."""
    try:
        return await store.read(partial(_content, blobs, queue_id))
    except MailError:
        # Delivery itself finds out that the content is missing, and says so.
        return None


def _content(blobs: Blobs, queue_id: str, snapshot: Snapshot) -> Content | None:
    message = load_message(snapshot, queue_id)
    return None if message is None else blobs.open(snapshot, message.blob)


def local_outcome(number: int, recipient: RecipientRecord, effect: Callable[[Transaction], None]) -> Outcome:
    """Return the outcome that runs *effect* when it is recorded."""
    text = f"delivered to the mailbox of {recipient.address}"
    return Outcome(number, Result.DELIVERED, text, code=250, status="2.1.5", phase="local", effect=effect)
