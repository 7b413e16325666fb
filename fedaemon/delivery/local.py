"""Delivery to the mailboxes of this server.

The outcome of a local delivery is an effect that runs in the transaction that records it: the message is in
the mailbox exactly once, whenever the server dies.

Standards: RFC 5321 4.4 (Return-Path at final delivery); Delivered-To is a custom of the field.
Invariants: the content is not copied: the mailbox takes a reference to the same blob, and what delivery adds
in front is kept beside it. Delivered-To names the address that the sender gave, so that a +tag or the alias
taken can be seen.
Known gaps: an account that became an alias while its mail waited is not expanded: its mail is deferred, and
says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fedaemon.accounts.directory import check_recipient
from fedaemon.accounts.records import Account
from fedaemon.delivery.records import MessageRecord, RecipientRecord
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.errors import Unavailable
from fedaemon.mailbox import store as mailbox
from fedaemon.message.address import parse_address
from fedaemon.store.interface import Transaction

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

INBOX: Final = "INBOX"


def trace_prefix(sender: str, recipient: str) -> bytes:
    """Return the fields that final delivery puts in front of a message."""
    return f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode()


def deliver(
    transaction: Transaction,
    blobs: Blobs,
    message: MessageRecord,
    recipient: RecipientRecord,
    now_ms: int,
    account: str = "",
) -> None:
    """Append the message to the INBOX of *account*, or of whoever takes mail for the recipient's address.

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
    # First what can fail: a missing blob must leave nothing behind in the mailbox.
    blobs.retain(transaction, message.blob)
    prefix = trace_prefix(message.sender, recipient.original or recipient.address)
    mailbox.append(
        transaction,
        account,
        INBOX,
        blob_id=message.blob,
        prefix=prefix,
        size=len(prefix) + message.size,
        internal_ms=now_ms,
    )


def local_outcome(number: int, recipient: RecipientRecord, effect: Callable[[Transaction], None]) -> Outcome:
    """Return the outcome that runs *effect* when it is recorded."""
    text = f"delivered to the mailbox of {recipient.address}"
    return Outcome(number, Result.DELIVERED, text, code=250, status="2.1.5", phase="local", effect=effect)
