"""Takes the content of finished messages away when it need not be kept longer.

After the last recipient is final the content is kept for the retention time, then replaced: the original
header stays, the body becomes a short notice that says truthfully how the message ended. The timeline stays.
What was delivered to a mailbox here is the mailbox's own and is not touched.

The same sweep removes the keys by which repeated submissions are recognised once they are two days old.

Invariants: one transaction does little (``SLICE`` messages, ``DUPLICATE_SLICE`` keys), so that nobody waits
for it.
Known gaps: records and timelines of finished messages are kept for good.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from fedaemon.delivery import timeline
from fedaemon.delivery.background import Alarm, in_background
from fedaemon.delivery.bounce import header_block
from fedaemon.delivery.records import Status, load_message, recipients_of, save_message, status
from fedaemon.delivery.schedule import DAY_MS
from fedaemon.errors import BadSyntax
from fedaemon.message.header import Header
from fedaemon.store.content import MemoryContent
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content, Store, Transaction
from fedaemon.store.spaces import DUPLICATE, FINISHED

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

INTERVAL_S: Final = 60.0
PAUSE_S: Final = 0.05
"""Between two slices, so that a long backlog does not hold up the mail of the day."""

SLICE: Final = 50
DUPLICATE_SLICE: Final = 1000
DUPLICATE_DAYS: Final = 2

HEADER_OCTETS: Final = 49_152
"""Of a longer header only whole fields up to here are kept: header and notice are an inline blob."""

NOTICES: Final[dict[Status, str]] = {
    "sent": "This message was delivered to all its recipients.",
    "partially_sent": "This message was delivered to some of its recipients, but not to all of them.",
    "bounced": "This message could not be delivered to any of its recipients.",
    "rejected": "This message was not sent to any of its recipients.",
}

_log = Logger()


class Retention:
    """Sweeps once a minute, and soon after ``wake``.

    :param now_ms: returns the time in milliseconds since the epoch.
    :param retention_ms: how long content is kept after the end; 0: until the next ``wake``.
    """

    def __init__(
        self, store: Store, blobs: Blobs, clock: Any, now_ms: Callable[[], int], retention_ms: int
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._now_ms = now_ms
        self._retention_ms = retention_ms
        self._alarm = Alarm(clock, now_ms, self._wake)
        self._sweeping = False
        self._again = False
        self._swept: Deferred[None] | None = None
        self._running = False

    def start(self) -> None:
        """Begin to sweep."""
        self._running = True
        self._alarm.set_in(PAUSE_S)

    def stop(self) -> Deferred[None]:
        """End; fires when a sweep under way is over."""
        return in_background(self._stop(), "stopping retention")

    async def _stop(self) -> None:
        self._running = False
        self._alarm.cancel()
        if self._swept is not None:
            await self._swept

    def configure(self, retention_ms: int) -> None:
        """Go on with another retention time, also for what is finished already."""
        self._retention_ms = retention_ms
        if self._running and not self._sweeping:
            self._alarm.set_in(PAUSE_S)

    def message_finished(self) -> None:
        """A message is over: with no retention its content goes now."""
        self._again = self._retention_ms == 0
        if self._again and self._running and not self._sweeping:
            self._alarm.set_in(PAUSE_S)

    def _wake(self) -> None:
        self._sweeping = True
        self._swept = in_background(self._sweep(), "retention")

    async def _sweep(self) -> None:
        self._again = more = False
        try:
            more = await self._store.write(
                lambda transaction: sweep(transaction, self._blobs, self._now_ms(), self._retention_ms)
            )
        except Exception:
            _log.failure("retention: a sweep failed; the next one tries again")
        self._sweeping = False
        if self._running:
            self._alarm.set_in(PAUSE_S if more or self._again else INTERVAL_S)


def sweep(transaction: Transaction, blobs: Blobs, now_ms: int, retention_ms: int) -> bool:
    """Do one slice of the work; return True when there is more."""
    due = list(transaction.scan((FINISHED, 0), (FINISHED, max(0, now_ms - retention_ms) + 1), limit=SLICE))
    for key, _ in due:
        queue_id = key[2]
        assert isinstance(queue_id, str)
        redact(transaction, blobs, queue_id, now_ms)
        transaction.delete(key)
    before = max(0, now_ms // DAY_MS - DUPLICATE_DAYS)
    old = list(transaction.scan((DUPLICATE, 0), (DUPLICATE, before), limit=DUPLICATE_SLICE))
    for key, _ in old:
        transaction.delete(key)
    return len(due) == SLICE or len(old) == DUPLICATE_SLICE


def redact(transaction: Transaction, blobs: Blobs, queue_id: str, now_ms: int) -> None:
    """Replace a finished message's content by its header and a notice."""
    message = load_message(transaction, queue_id)
    if message is None or message.redacted_ms:
        return
    ended = status(recipient.state for _, recipient in recipients_of(transaction, queue_id))
    finished = datetime.fromtimestamp(message.finished_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    notice = (
        f"{NOTICES[ended]}\r\n"
        f"Its delivery ended on {finished}. Its content was removed afterwards, as the retention\r\n"
        f"setting of this server says. The header above and the delivery history of queue id\r\n"
        f"{queue_id} were kept.\r\n"
    )
    try:
        header = _header_of(blobs.open(transaction, message.blob))
        blobs.release(transaction, message.blob)
    except StoreError as error:
        _log.error(
            "{queue_id}: its content was lost before its time: {why}", queue_id=queue_id, why=error.text
        )
        header = _text_header(b"")
    octets = header + b"\r\n" + notice.encode()
    message.blob = blobs.add(transaction, blobs.stage(MemoryContent(octets)))
    message.redacted_ms = now_ms
    save_message(transaction, queue_id, message)
    timeline.add(transaction, queue_id, now_ms, "redacted")


def _header_of(content: Content) -> bytes:
    """Return the original's header, made to fit a text/plain body."""
    start = bytearray()
    for chunk in content.chunks():
        start += chunk
        if len(start) > HEADER_OCTETS:
            break
    return _text_header(header_block(bytes(start), HEADER_OCTETS))


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
