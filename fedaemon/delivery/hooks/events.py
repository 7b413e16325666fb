"""What is posted: one JSON object for each event, about one recipient of one message.

Always there, "" (0, null) where nothing is known: ``id`` of the event, the same however often it is posted;
``event`` (delivered, deferred, bounced, complaint; test); ``at`` (RFC 3339, UTC); ``queue_id``; ``account`` that
sent the message; ``sender``; ``recipient``; ``state`` of the recipient (deferred, delivered, bounced, expired);
``code``, ``status`` and ``response`` of the remote server; ``category`` and ``explanation`` of the
classification; ``action``: retry, reject (the remote refuses it for good), expire (tried for its whole
lifetime) or ""; ``host`` that answered; ``attempts`` so far; ``next_attempt`` (RFC 3339 or null); and of the
message's header ``message_id``, ``list_id``, ``list_unsubscribe`` and ``feedback_id``. A complaint also has
``feedback_type`` and ``reporter``. Added when it is posted: ``attempt`` (1 and up) and ``posted`` (RFC 3339).

Standards: RFC 3339 5.6 (times).
Limits: HEADER_OCTETS of the message are looked at; MAX_FIELD characters of a field are passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from fedaemon.delivery.event_log import rfc3339
from fedaemon.delivery.records import MessageRecord, RecipientRecord
from fedaemon.delivery.transport import Outcome
from fedaemon.errors import BadSyntax
from fedaemon.message.header import Header, end_of_header
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content, Snapshot

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

HEADER_OCTETS: Final = 131_072
MAX_FIELDS: Final = 2000
MAX_FIELD: Final = 998

PASSED_ON: Final = ("message_id", "list_id", "list_unsubscribe", "feedback_id")

_ACTIONS: Final = {"deferred": "retry", "bounced": "reject", "expired": "expire"}


class Ended(Protocol):
    """What an attempt changed for one recipient; *event* is delivered, deferred, bounced or expired."""

    @property
    def recipient(self) -> RecipientRecord:
        """The recipient as it is now."""

    @property
    def outcome(self) -> Outcome:
        """What the attempt led to."""

    @property
    def event(self) -> str:
        """What that means."""


def outcome_event(
    queue_id: str, message: MessageRecord, ended: Ended, fields: dict[str, str], now_ms: int
) -> dict[str, Any]:
    """Return the event for an outcome; *fields* are those of ``header_fields``."""
    recipient, outcome = ended.recipient, ended.outcome
    return {
        "event": "bounced" if ended.event == "expired" else ended.event,
        "at": rfc3339(now_ms),
        "queue_id": queue_id,
        "account": message.account or "",
        "sender": message.sender,
        "recipient": recipient.address,
        "state": ended.event,
        "code": outcome.code,
        "status": outcome.status,
        "response": outcome.text,
        "category": outcome.category,
        "action": _ACTIONS.get(ended.event, ""),
        "explanation": outcome.explanation,
        "host": outcome.host,
        "attempts": recipient.attempts,
        "next_attempt": rfc3339(recipient.next_attempt_ms) if recipient.next_attempt_ms else None,
        **fields,
    }


def complaint_event(
    queue_id: str,
    message: MessageRecord,
    recipient: RecipientRecord,
    fields: dict[str, str],
    now_ms: int,
    *,
    feedback_type: str,
    reporter: str,
) -> dict[str, Any]:
    """Return the event for a complaint of *recipient*; *reporter* names the program that wrote the report."""
    return {
        "event": "complaint",
        "at": rfc3339(now_ms),
        "queue_id": queue_id,
        "account": message.account or "",
        "sender": message.sender,
        "recipient": recipient.address,
        "state": recipient.state,
        "code": 0,
        "status": "",
        "response": "",
        "category": "",
        "action": "",
        "explanation": "the recipient complained about the message",
        "host": "",
        "attempts": recipient.attempts,
        "next_attempt": None,
        "feedback_type": feedback_type,
        "reporter": reporter,
        **fields,
    }


def trial_event(now_ms: int) -> dict[str, Any]:
    """Return an event that is about no message, for trying out a webhook."""
    return {
        "event": "test",
        "at": rfc3339(now_ms),
        "queue_id": "",
        "account": "",
        "sender": "",
        "recipient": "",
        "state": "",
        "code": 0,
        "status": "",
        "response": "",
        "category": "",
        "action": "",
        "explanation": "a test made with fedaemonctl webhook test",
        "host": "",
        "attempts": 0,
        "next_attempt": None,
        **no_fields(),
    }


def no_fields() -> dict[str, str]:
    """Return the header fields of a message about which nothing is known."""
    return dict.fromkeys(PASSED_ON, "")


def header_fields(snapshot: Snapshot, blobs: Blobs, blob_id: str) -> dict[str, str]:
    """Return the header fields that are passed on; what cannot be read is empty."""
    fields = no_fields()
    try:
        block = _header_block(blobs.open(snapshot, blob_id))
        header = Header.parse(block, max_octets=HEADER_OCTETS, max_fields=MAX_FIELDS)
    except (StoreError, BadSyntax):
        # An event without them is better than none.
        return fields
    for name in PASSED_ON:
        found = header.get_all(name.replace("_", "-").encode())
        if found:
            fields[name] = found[0].value.decode("utf-8", "replace")[:MAX_FIELD]
    return fields


def _header_block(content: Content) -> bytes:
    data = b""
    for chunk in content.chunks():
        seen = len(data)
        data += chunk
        end = end_of_header(data, seen)
        if end >= 0:
            return data[: end - len(b"\r\n")]
        if len(data) > HEADER_OCTETS:
            break
    return data
