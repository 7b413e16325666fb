"""What becomes of claims that had no outcome: undone at a clean stop, found again after a crash.

A claim stores the next attempt before anybody dials, so a recipient whose server died would wait out a whole
delay of the schedule. It is let go sooner, because most often nothing had been sent, and spread out, because
all that was under way is lost at the same moment.

Invariants: nobody is hammered: a recipient whose attempts die with the server time after time waits four
times as long each time, up to what the schedule said.
"""

from __future__ import annotations

from typing import Final

from fedaemon.delivery import timeline
from fedaemon.delivery.claiming import Claim
from fedaemon.delivery.queue import move
from fedaemon.delivery.records import WAITING, RecipientRecord, load_recipient, save_recipient
from fedaemon.delivery.schedule import Schedule
from fedaemon.store.interface import Transaction
from fedaemon.store.records import decode
from fedaemon.store.spaces import CLAIM

LOST_DELAY_MS: Final = 30_000
"""A recipient whose attempt died with the server goes again after this time to double of it."""


def settle(transaction: Transaction, run: str, batch: int) -> None:
    """Forget a batch of claims: the last of them has its outcome."""
    transaction.delete((CLAIM, run, batch))


def put_back(transaction: Transaction, claims: list[Claim], now_ms: int) -> int:
    """Undo claims whose attempt did not take place; return how many recipients go again at once."""
    count = 0
    for each in claims:
        for number, claimed in each.recipients:
            recipient = load_recipient(transaction, each.queue_id, number)
            if recipient is None or recipient.claim != claimed.claim or recipient.state not in WAITING:
                continue
            recipient.claim = ""
            recipient.attempts -= 1
            move(transaction, each.queue_id, number, recipient, now_ms)
            count += 1
    return count


def recover(
    transaction: Transaction, run: str, now_ms: int, schedule: Schedule, limit: int = 5
) -> tuple[int, bool]:
    """Let recipients go again soon whose attempt was under way when an earlier run died.

    At most *limit* batches of claims are looked at. Returns how many recipients were found, and whether there
    is more.
    """
    count = 0
    seen = 0
    for key, value in list(transaction.scan((CLAIM,), limit=limit + 1)):
        owner = key[1]
        assert isinstance(owner, str)
        if owner == run:
            continue
        if seen == limit:
            return count, True
        seen += 1
        transaction.delete(key)
        for queue_id, number in decode(value)["claims"]:
            recipient = load_recipient(transaction, queue_id, number)
            if recipient is None or recipient.claim != owner:
                continue
            _recover_one(transaction, queue_id, number, recipient, now_ms, schedule)
            count += 1
    return count, False


def _recover_one(
    transaction: Transaction,
    queue_id: str,
    number: int,
    recipient: RecipientRecord,
    now_ms: int,
    schedule: Schedule,
) -> None:
    recipient.claim = ""
    recipient.lost += 1
    if recipient.state not in WAITING:
        save_recipient(transaction, queue_id, number, recipient)
        return
    # Spread out, because all that was under way is lost at the same moment.
    delay_ms = int(LOST_DELAY_MS * (1 + schedule.random())) * 4 ** min(recipient.lost - 1, 8)
    due_ms = min(recipient.next_attempt_ms, now_ms + max(1000, delay_ms // 1000 * 1000))
    move(transaction, queue_id, number, recipient, due_ms)
    timeline.add(
        transaction,
        queue_id,
        now_ms,
        "interrupted",
        recipients=[number],
        why="the server stopped without warning while this attempt was under way",
        next_attempt_ms=due_ms,
    )
