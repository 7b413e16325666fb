"""The timeline of a message: everything that happened to it, in order, for people to read.

It exists for promise 7: every wait can be explained. The first entry ("accepted") is derived from the
message's own record, so that accepting a message writes nothing here.

Entries are JSON objects with ``event`` and, as far as they apply, ``recipients`` (numbers), ``host``,
``address``, ``source``, ``tls``, ``certificate``, ``policy``, ``tls_failure``, ``reused``, ``phase``, ``code``,
``status``, ``reply``, ``category``, ``rule``, ``duration_ms``, ``next_attempt_ms``, ``why``, ``report``.
Events: accepted, delivered, deferred, bounced, expired, held, released, retried, interrupted, report,
complaint, redacted.

Limits: recipients that met the same fate in one attempt share one entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fedaemon.delivery.records import MessageRecord
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import TIMELINE


def add(transaction: Transaction, queue_id: str, at_ms: int, event: str, **details: Any) -> None:
    """Write one entry; *details* that are empty are left out."""
    number = 0
    for key, _ in transaction.scan((TIMELINE, queue_id, at_ms), reverse=True, limit=1):
        assert isinstance(key[3], int)
        number = key[3] + 1
    entry = {
        "event": event,
        **{name: value for name, value in details.items() if value not in ("", None, [], 0)},
    }
    transaction.put((TIMELINE, queue_id, at_ms, number), encode(entry))


def entries(snapshot: Snapshot, queue_id: str, message: MessageRecord) -> Iterator[dict[str, Any]]:
    """Yield the entries in order, each with ``at_ms``, beginning with the acceptance."""
    accepted: dict[str, Any] = {"at_ms": message.accepted_ms, "event": "accepted", "size": message.size}
    if message.account:
        accepted["account"] = message.account
    accepted.update(message.via)
    yield accepted
    for key, value in snapshot.scan((TIMELINE, queue_id)):
        yield {"at_ms": key[2], **decode(value)}


def forget(transaction: Transaction, queue_id: str) -> None:
    """Remove the whole timeline."""
    for key, _ in list(transaction.scan((TIMELINE, queue_id))):
        transaction.delete(key)
