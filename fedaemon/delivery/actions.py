"""What an administrator does to messages in the queue: retry, hold, release, bounce, delete.

Each runs in one transaction and works beside a running daemon: an attempt under way is not cut off, but what
it brings is judged by what the records say then (``outcomes.py``).

Invariants: nothing is done to what is final, and nothing to recipients that are not meant; ``retry`` and
``bounce`` leave alone what is under way, so that nothing is tried twice at a time and nobody is told of a
failure that was none; a recipient keeps its lane; a message that was deleted is gone with its recipients,
timeline and content.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fedaemon.delivery import timeline
from fedaemon.delivery.history import forget_message
from fedaemon.delivery.outcomes import Terms, record_outcomes
from fedaemon.delivery.queue import displace, move, place
from fedaemon.delivery.records import (
    WAITING,
    MessageRecord,
    RecipientRecord,
    load_message,
    recipients_of,
    save_recipient,
)
from fedaemon.delivery.selection import Found
from fedaemon.delivery.site_listing import KnownSites, nudge
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.errors import Refused
from fedaemon.store.interface import Transaction

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

Meant = Callable[[RecipientRecord], bool]
"""Which recipients of a message an action is about."""

BY_HAND: Final = "by the administrator"
EARLY: Final = "by the administrator, before the release that the sender asked for"

GIVEN_UP: Final = "the administrator of this server ended the delivery of this message"
"""What the sender reads when no other reason is given."""

RULE: Final = "administrator"
"""Stands in the records of what was bounced by hand where otherwise a rule of the classification is named."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What an action did to one message: how many *recipients* it changed, how many it had to leave alone
    because they are *under_way*.
    """

    recipients: int = 0
    under_way: int = 0


def everyone(recipient: RecipientRecord) -> bool:
    """Mean all recipients of a message."""
    return True


def retry(
    transaction: Transaction,
    queue_id: str,
    now_ms: int,
    *,
    sites: KnownSites | None = None,
    meant: Meant = everyone,
) -> Changed:
    """Have what waits tried at once, also when its site is closed or its release is to come.

    :param sites: also open the sites of recipients that have not been tried yet, as far as they are known.
    """
    message = _need(transaction, queue_id)
    moved: list[int] = []
    under_way = 0
    for number, recipient in list(recipients_of(transaction, queue_id)):
        if recipient.state not in WAITING or not meant(recipient):
            continue
        site = (recipient.last or {}).get("site") or ("" if sites is None else sites.of(recipient))
        if site:
            nudge(transaction, site, now_ms)
        if recipient.claim:
            under_way += 1
        else:
            move(transaction, queue_id, number, recipient, now_ms)
            moved.append(number)
    if moved:
        why = EARLY if message.release_ms > now_ms else BY_HAND
        timeline.add(transaction, queue_id, now_ms, "retried", recipients=moved, why=why)
    return Changed(len(moved), under_way)


def hold(transaction: Transaction, queue_id: str, now_ms: int, *, meant: Meant = everyone) -> Changed:
    """Have what waits not tried until it is released."""
    _need(transaction, queue_id)
    held: list[int] = []
    for number, recipient in list(recipients_of(transaction, queue_id)):
        if recipient.state in WAITING and meant(recipient):
            displace(transaction, queue_id, number, recipient)
            recipient.state = "held"
            recipient.next_attempt_ms = 0
            save_recipient(transaction, queue_id, number, recipient)
            held.append(number)
    if held:
        timeline.add(transaction, queue_id, now_ms, "held", recipients=held, why=BY_HAND)
    return Changed(len(held))


def release(transaction: Transaction, queue_id: str, now_ms: int, *, meant: Meant = everyone) -> Changed:
    """Let what is held go: at once, or at the release that the sender asked for. Spec: RFC 4865 4"""
    message = _need(transaction, queue_id)
    released: list[int] = []
    for number, recipient in list(recipients_of(transaction, queue_id)):
        if recipient.state == "held" and meant(recipient):
            recipient.state = "deferred" if recipient.attempts else "queued"
            recipient.next_attempt_ms = max(now_ms, message.release_ms)
            place(transaction, queue_id, number, recipient)
            save_recipient(transaction, queue_id, number, recipient)
            released.append(number)
    if released:
        timeline.add(transaction, queue_id, now_ms, "released", recipients=released, why=BY_HAND)
    return Changed(len(released))


def bounce(
    transaction: Transaction,
    terms: Terms,
    queue_id: str,
    now_ms: int,
    *,
    reason: str = GIVEN_UP,
    meant: Meant = everyone,
) -> Changed:
    """End what waits or is held as bounced, with a report to the sender as for any other failure.

    :param reason: what the sender reads; one line.
    """
    _need(transaction, queue_id)
    outcomes: list[Outcome] = []
    under_way = 0
    for number, recipient in list(recipients_of(transaction, queue_id)):
        if (recipient.state not in WAITING and recipient.state != "held") or not meant(recipient):
            continue
        if recipient.claim:
            under_way += 1
        else:
            outcomes.append(
                Outcome(
                    number,
                    Result.PERMANENT,
                    reason,
                    code=554,
                    status="5.0.0",
                    phase="local",
                    category="policy",
                    rule=RULE,
                    explanation="Delivery was ended by the administrator of the sending server.",
                )
            )
    if outcomes:
        record_outcomes(transaction, terms, queue_id, outcomes, now_ms)
    return Changed(len(outcomes), under_way)


def delete(transaction: Transaction, blobs: Blobs, queue_id: str) -> Changed:
    """Remove a message with everything about it, without a report to anybody; return how many recipients
    waited.

    Copies that were delivered are not touched.
    """
    _need(transaction, queue_id)
    return Changed(forget_message(transaction, blobs, queue_id))


def find(transaction: Transaction, queue_id: str) -> Found | None:
    """Return a message with its recipients as they stand now, None when it is gone."""
    message = load_message(transaction, queue_id)
    if message is None:
        return None
    return Found(queue_id, message, tuple(recipients_of(transaction, queue_id)))


def _need(transaction: Transaction, queue_id: str) -> MessageRecord:
    message = load_message(transaction, queue_id)
    if message is None:
        raise Refused(f"there is no message {queue_id}; fedaemonctl queue list shows what there is")
    return message
