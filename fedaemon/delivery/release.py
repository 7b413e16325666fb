"""A site that was down answers again: what waited because of that goes now, and not when the schedule says.

Invariants: only recipients whose last attempt failed at the site itself are let go; one that the site
deferred by a reply keeps its time.
Limits: ``SLICE`` recipients are looked at in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from fedaemon.delivery import timeline
from fedaemon.delivery.queue import belongs, move
from fedaemon.delivery.records import RecipientRecord, load_recipient
from fedaemon.delivery.verdicts import CONNECTION_PHASES
from fedaemon.store.interface import Key, Transaction
from fedaemon.store.spaces import DESTINATION

SLICE: Final = 100
SOON_MS: Final = 1000
"""What is due this soon is left alone."""


def release(
    transaction: Transaction, site: str, destinations: Sequence[str], after: Key | None, now_ms: int
) -> Key | None:
    """Let recipients of *site* go that wait for it; return where to go on, None at the end.

    :param after: where the last slice ended, None to begin.
    """
    looked = 0
    first = destinations.index(cast(str, after[1])) if after is not None else 0
    for destination in destinations[first:]:
        start = after if after is not None and after[1] == destination else (DESTINATION, destination)
        stop = (DESTINATION, destination + "\0")
        keys = [key for key, _ in transaction.scan(start, stop, limit=SLICE - looked)]
        for key in keys:
            _release_one(transaction, site, key, now_ms)
        looked += len(keys)
        if looked >= SLICE:
            last = keys[-1]
            return (*last[:5], cast(int, last[5]) + 1)
    return None


def _release_one(transaction: Transaction, site: str, key: Key, now_ms: int) -> None:
    queue_id, number, due_ms = cast(str, key[4]), cast(int, key[5]), cast(int, key[3])
    recipient = load_recipient(transaction, queue_id, number)
    if (
        due_ms > now_ms + SOON_MS
        and recipient is not None
        and not recipient.claim
        and belongs(key, recipient)
        and _waits_for(site, recipient)
    ):
        move(transaction, queue_id, number, recipient, now_ms)
        why = f"{site} answers again"
        timeline.add(transaction, queue_id, now_ms, "released", recipients=[number], why=why)


def _waits_for(site: str, recipient: RecipientRecord) -> bool:
    """Return True when nothing but the site itself was in the way."""
    last = recipient.last
    if last is None:
        return True
    return last.get("site") in (site, None) and (
        last["phase"] in CONNECTION_PHASES or last["phase"] == "site" or last["code"] == 421
    )
