"""Local mode's transport: mail for the outside world is kept in one account, and nothing leaves the machine.

Invariants: each recipient gets a copy of its own, whose Delivered-To says for whom it was.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, succeed

from fedaemon.delivery.local import content_of, deliver
from fedaemon.delivery.records import load_message, load_recipient
from fedaemon.delivery.transport import Attempt, HostTls, NextHost, Outcome, Result, TlsPolicy
from fedaemon.mailbox.shaping import Shaped, Shaper
from fedaemon.store.interface import Store, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from fedaemon.store.blobs import Blobs

HOST: Final = NextHost("capture", (), 0, HostTls(TlsPolicy.NONE, "none"))


class CaptureFinder:
    """Stands where next hosts are looked up: everything goes to the capturing account."""

    def find(self, destination: str) -> Deferred[tuple[NextHost, ...]]:
        """Fire with the one place there is."""
        return succeed((HOST,))


class CaptureTransport:
    """Delivers every attempt to the INBOX of *account*.

    :param shaper: makes the shapes of messages.
    :param account: the account's canonical address.
    :param now_ms: returns the time in milliseconds since the epoch.
    """

    def __init__(
        self, store: Store, blobs: Blobs, shaper: Shaper, account: str, now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._shaper = shaper
        self._account = account
        self._now_ms = now_ms

    def attempt(self, attempt: Attempt) -> Deferred[list[Outcome]]:
        """See ``Transport``."""
        return Deferred.fromCoroutine(self._attempt(attempt))

    async def _attempt(self, attempt: Attempt) -> list[Outcome]:
        # Of the message as it is stored: the content of the attempt may have a signature in front.
        content = await content_of(self._store, self._blobs, attempt.queue_id)
        shaped = await self._shaper.shape(content) if content is not None else None
        text = f"captured in the mailbox of {self._account}"
        return [
            Outcome(
                recipient.number,
                Result.DELIVERED,
                text,
                code=250,
                status="2.0.0",
                phase="local",
                host=HOST.name,
                effect=partial(self._capture, attempt.queue_id, recipient.number, shaped),
            )
            for recipient in attempt.recipients
        ]

    def close(self) -> Deferred[None]:
        """See ``Transport``: nothing is open."""
        return succeed(None)

    def _capture(self, queue_id: str, number: int, shaped: Shaped | None, transaction: Transaction) -> None:
        message = load_message(transaction, queue_id)
        recipient = load_recipient(transaction, queue_id, number)
        assert message is not None
        assert recipient is not None
        deliver(transaction, self._blobs, message, recipient, self._now_ms(), shaped, self._account)
