"""Recognises a message that its sender submits again.

A client that lost the reply to its final dot sends the message once more; so do some that give up early.
Within a day such a copy is answered with the first queue id and queued once.

Invariants: only messages whose own Message-ID and Date were usable are compared, so that two different
messages without them are never taken for one. Limits: keys older than two days are pruned by
``delivery/retention.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import DUPLICATE

DAY_MS = 86_400_000
WINDOW_MS = DAY_MS


def fingerprint(login: str, message_id: bytes, date: bytes, sender: str, recipients: Iterable[str]) -> bytes:
    """Return the digest by which a second copy is known; the parts cannot run into each other."""
    parts = [login.encode(), message_id, date, sender.encode(), *(r.encode() for r in sorted(recipients))]
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()


def find(snapshot: Snapshot, digest: bytes, now_ms: int) -> str | None:
    """Return the queue id of the first copy when it came within the last 24 hours."""
    day = now_ms // DAY_MS
    for bucket in (day, day - 1):
        value = snapshot.get((DUPLICATE, bucket, digest))
        if value is not None:
            record = decode(value)
            if now_ms - record["accepted_ms"] < WINDOW_MS:
                queue_id: str = record["queue_id"]
                return queue_id
    return None


def remember(transaction: Transaction, digest: bytes, queue_id: str, now_ms: int) -> None:
    """Note that the message with *digest* was accepted as *queue_id*."""
    transaction.put(
        (DUPLICATE, now_ms // DAY_MS, digest), encode({"queue_id": queue_id, "accepted_ms": now_ms})
    )
