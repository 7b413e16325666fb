"""Complaints: what happens when a mailbox provider reports that its user took one of our messages for spam.

Providers send such reports (feedback loops) to an address that was registered with them. The report is mail like
any other and is delivered like any other; besides, it is read: the message complained about has it in its
timeline, its recipient is suppressed for the account that sent it, and webhooks hear of it.

Standards: RFC 5965 (the reports), RFC 6430 (not-spam, which is no complaint), RFC 5321 4.4 (our Received field,
by which the message is found).
Invariants: whoever sends a forged report can suppress nobody but a recipient of a message of which he knows the
queue id; a second report about the same recipient changes nothing.
Limits: the first ``MAX_OCTETS`` of a report are read; RECEIVED_FIELDS of the original, and
MAX_LOOKED_AT recipients of the message, are looked at.
Known gaps: a report whose original lacks our Received field is counted as unmatched, because messages cannot be
found by their Message-ID.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

from fedaemon import counters
from fedaemon.delivery import timeline
from fedaemon.delivery.hooks.backlog import note_event
from fedaemon.delivery.hooks.events import complaint_event, header_fields
from fedaemon.delivery.hooks.webhook import webhooks
from fedaemon.delivery.records import LOCAL, MessageRecord, RecipientRecord, load_message, recipients_of
from fedaemon.delivery.suppression import COMPLAINED, note_bounce
from fedaemon.errors import BadSyntax
from fedaemon.message.address import parse_address
from fedaemon.message.feedback import MAX_OCTETS, Feedback, parse_feedback
from fedaemon.message.header import Header
from fedaemon.store.errors import StoreError
from fedaemon.store.ids import is_id
from fedaemon.store.interface import Content, Transaction

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

RECEIVED_FIELDS: Final = 50
MAX_LOOKED_AT: Final = 1000
"""Recipients of one message among whom the one who complained is looked for."""

COMPLAINTS: Final = frozenset({"abuse", "fraud", "virus", "other", "opt-out"})
"""Feedback-Types by which a recipient says that he does not want such mail. Spec: RFC 5965 7.3"""

Noted = Literal["matched", "unmatched", "unreadable", "ignored"]


def note_complaint(
    transaction: Transaction,
    blobs: Blobs,
    hostname: str,
    report: MessageRecord,
    now_ms: int,
    keep_ms: int,
) -> Noted:
    """Read a message that came to the address for complaints, and act on it.

    :param hostname: our name in Received fields.
    :param report: the message that came.
    :param keep_ms: how long the recipient is suppressed; 0: not at all.
    :returns: matched; unmatched (about no message we know); unreadable (no feedback report); ignored (a report
        that is no complaint).
    """
    noted = _note(transaction, blobs, hostname, report, now_ms, keep_ms)
    transaction.after_commit(partial(counters.count, "complaints_total", result=noted))
    return noted


def _note(
    transaction: Transaction, blobs: Blobs, hostname: str, report: MessageRecord, now_ms: int, keep_ms: int
) -> Noted:
    try:
        feedback = parse_feedback(_start(blobs.open(transaction, report.blob)))
    except (BadSyntax, StoreError):
        return "unreadable"
    if feedback.kind not in COMPLAINTS:
        return "ignored"
    for queue_id in queue_ids(feedback.header, hostname):
        message = load_message(transaction, queue_id)
        if message is not None and message.account is not None:
            _act(transaction, blobs, queue_id, message, feedback, now_ms, keep_ms)
            return "matched"
    return "unmatched"


def _start(content: Content) -> bytes:
    data = bytearray()
    for chunk in content.chunks():
        data += chunk
        if len(data) >= MAX_OCTETS:
            break
    return bytes(data[:MAX_OCTETS])


def queue_ids(header: Header, hostname: str) -> Iterator[str]:
    """Yield the queue ids in the Received fields that *hostname* wrote. Spec: RFC 5321 4.4"""
    by = hostname.lower().encode()
    for field in header.get_all(b"Received")[:RECEIVED_FIELDS]:
        words = field.value.partition(b";")[0].split()
        # "from" and what the peer said of itself stand before; behind "by" we wrote everything.
        for place in range(len(words) - 1):
            if words[place].lower() == b"by" and words[place + 1].lower() == by:
                rest = words[place + 2 :]
                if b"id" in rest[:-1]:
                    queue_id = rest[rest.index(b"id") + 1].decode("latin-1")
                    if is_id(queue_id):
                        yield queue_id
                break


def _act(
    transaction: Transaction,
    blobs: Blobs,
    queue_id: str,
    message: MessageRecord,
    feedback: Feedback,
    now_ms: int,
    keep_ms: int,
) -> None:
    """Write down a complaint about *message*, and who complained, unless that is known."""
    who = _complainers(transaction, queue_id, feedback)
    known: set[int | None] = set()
    for entry in timeline.entries(transaction, queue_id, message):
        if entry["event"] == "complaint":
            known.update(entry.get("recipients", [None]))
    new = [(number, recipient) for number, recipient in who if number not in known]
    # Providers that hide the recipient leave no more to say than that somebody complained.
    if new or (not who and None not in known):
        timeline.add(
            transaction,
            queue_id,
            now_ms,
            "complaint",
            recipients=[number for number, _ in new],
            kind=feedback.kind,
            reporter=feedback.reporter,
        )
    for _, recipient in new:
        _follow_up(transaction, blobs, queue_id, message, recipient, feedback, now_ms, keep_ms)


def _complainers(
    transaction: Transaction, queue_id: str, feedback: Feedback
) -> list[tuple[int, RecipientRecord]]:
    """Return the recipients of the message that the report is about; the only one there is needs no name."""
    everybody = list(islice(recipients_of(transaction, queue_id), MAX_LOOKED_AT))
    named = {_key(address) for address in feedback.recipients}
    found = [
        (number, each)
        for number, each in everybody
        if _key(each.address) in named or (each.original and _key(each.original) in named)
    ]
    return found or (everybody if len(everybody) == 1 else [])


def _key(address: str) -> str:
    """Return an address in the form in which addresses are compared."""
    try:
        return parse_address(address).key
    except BadSyntax:
        return address


def _follow_up(
    transaction: Transaction,
    blobs: Blobs,
    queue_id: str,
    message: MessageRecord,
    recipient: RecipientRecord,
    feedback: Feedback,
    now_ms: int,
    keep_ms: int,
) -> None:
    """Suppress a recipient who complained, and let webhooks know."""
    account = message.account
    assert account is not None
    if recipient.destination != LOCAL:
        reason = f"complaint ({feedback.kind}) reported by {feedback.reporter}"
        note_bounce(transaction, account, recipient.address, COMPLAINED, reason, now_ms, keep_ms)
    if any(each.hears("complaint", account) for each in webhooks(transaction)):
        event = complaint_event(
            queue_id,
            message,
            recipient,
            header_fields(transaction, blobs, message.blob),
            now_ms,
            feedback_type=feedback.kind,
            reporter=feedback.reporter,
        )
        note_event(transaction, account, event, now_ms)
