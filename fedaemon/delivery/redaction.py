"""Takes the content of a finished message away: the header stays, the body becomes a notice that says
truthfully how the message ended.

Invariants: the last reference of the queue to the content is released in the same transaction; a content that
is lost leads to a notice all the same.
Limits: ``HEADER_OCTETS`` of the header are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fedaemon.delivery import timeline
from fedaemon.delivery.history import note_redacted
from fedaemon.delivery.original import header_block, read_start
from fedaemon.delivery.records import MessageRecord, State, load_message, recipients_of, save_message, status
from fedaemon.errors import BadSyntax
from fedaemon.logs import Logger
from fedaemon.message.header import Header
from fedaemon.store.content import MemoryContent
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Transaction

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

HEADER_OCTETS: Final = 49_152
"""Of a longer header only whole fields up to here are kept: header and notice are an inline blob."""

NOTICES: Final = {
    "sent": "This message was delivered to all its recipients.",
    "partially_sent": "This message was delivered to some of its recipients, but not to all of them.",
    "bounced": "This message could not be delivered to any of its recipients.",
    "expired": "This message could not be delivered to any of its recipients in the time it was tried for.",
    "rejected": "This message was not sent to any of its recipients.",
}

_log = Logger()


def redact(transaction: Transaction, blobs: Blobs, queue_id: str, now_ms: int) -> None:
    """Replace a finished message's content by its header and a notice; do nothing when that was done."""
    message = load_message(transaction, queue_id)
    if message is None or message.redacted_ms or not message.finished_ms:
        return
    states = [recipient.state for _, recipient in recipients_of(transaction, queue_id)]
    notice = _notice(queue_id, message, states)
    header = _take_content(transaction, blobs, queue_id, message)
    octets = header + b"\r\n" + notice.encode()
    message.blob = blobs.add(transaction, blobs.stage(MemoryContent(octets)))
    message.redacted_ms = now_ms
    save_message(transaction, queue_id, message)
    note_redacted(transaction, message, queue_id)
    timeline.add(transaction, queue_id, now_ms, "redacted")


def _notice(queue_id: str, message: MessageRecord, states: Iterable[State]) -> str:
    """Say how the message ended, and what became of its content."""
    found = set(states)
    ended = NOTICES["expired" if found == {"expired"} else status(found)]
    finished = datetime.fromtimestamp(message.finished_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{ended}\r\n"
        f"Its delivery ended on {finished}. Its content was removed afterwards, as the retention\r\n"
        f"setting of this server says. The header above and the delivery history of queue id\r\n"
        f"{queue_id} were kept.\r\n"
    )


def _take_content(transaction: Transaction, blobs: Blobs, queue_id: str, message: MessageRecord) -> bytes:
    """Return what stays of the header, and let the content go."""
    try:
        start = read_start(blobs.open(transaction, message.blob), HEADER_OCTETS)
        blobs.release(transaction, message.blob)
    except StoreError as error:
        _log.error(
            "the content was lost before its time", event="content-lost", id=queue_id, reason=error.text
        )
        start = b""
    return _text_header(header_block(start, HEADER_OCTETS))


def _text_header(block: bytes) -> bytes:
    """Return the header *block* with the content fields of a plain text."""
    try:
        header = Header.parse(block, max_octets=HEADER_OCTETS, max_fields=HEADER_OCTETS)
    except BadSyntax:
        header = Header.parse(b"", max_octets=0, max_fields=0)
    header.remove(b"Content-Type", b"Content-Transfer-Encoding", b"Content-Disposition", b"Content-Language")
    header.replace("MIME-Version", "1.0")
    header.append("Content-Type", "text/plain; charset=us-ascii")
    return header.to_bytes()
