"""From format 1 to 2: the queue's indexes are kept by lane, and finished messages by domain.

Written out in plain keys and records, because it must go on meaning what format 2 was, whatever the queue's own
code becomes.

Limits: all in one transaction; a million recipients take about a minute.
"""

from __future__ import annotations

from typing import Any

from fedaemon.store import records
from fedaemon.store.interface import Transaction

_LOCAL = "@local"


def migrate(transaction: Transaction) -> None:
    """Make the indexes anew from the records of messages and recipients."""
    for space in ("due", "destination", "finished"):
        for key, _ in list(transaction.scan((space,))):
            transaction.delete(key)
    messages = {key[1]: records.decode(value) for key, value in transaction.scan(("message",))}
    for queue_id, message in messages.items():
        finished_ms = message.get("finished_ms", 0)
        if message.get("redacted_ms", 0):
            transaction.put(("redacted", finished_ms, queue_id), b"")
        elif finished_ms:
            domain = (message.get("account") or "").rpartition("@")[2]
            transaction.put(("finished", domain, finished_ms, queue_id), b"")
    for key, value in list(transaction.scan(("recipient",))):
        recipient = records.decode(value)
        message = messages.get(key[1], {})
        if recipient["destination"] != _LOCAL:
            recipient["lane"] = f"1{message.get('account') or ''}"
            transaction.put(key, records.encode(recipient))
        if recipient.get("state", "queued") in ("queued", "deferred"):
            _place(transaction, recipient, key[1], key[2])


def _place(transaction: Transaction, recipient: dict[str, Any], queue_id: Any, number: Any) -> None:
    destination, lane = recipient["destination"], recipient.get("lane", "")
    due_ms = recipient.get("next_attempt_ms", 0)
    transaction.put(("destination", destination, lane, due_ms, queue_id, number), b"")
    if destination != _LOCAL:
        transaction.put(("due", lane, due_ms, destination), b"")
        transaction.put(("turn", lane[0], due_ms, lane), b"")
