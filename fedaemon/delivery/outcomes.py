"""Writes down what became of an attempt: new states, the next attempt, the timeline, and reports to the
sender.

All of it happens in one transaction, together with the outcome's effect: a local delivery and the record of
it, or a bounce and the end of what it reports, become durable together or not at all.

Standards: RFC 5321 4.2.1 (4yz and 5yz), 4.5.4.1 (give up after the lifetime).
Invariants: a recipient that is final stays what it is; one that was deleted meanwhile stays deleted; an
effect does not happen for one that is held. A remote result is written down even then: it is a fact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fedaemon.delivery import bounce, timeline
from fedaemon.delivery.queue import displace, place
from fedaemon.delivery.records import (
    FINAL,
    WAITING,
    MessageRecord,
    RecipientRecord,
    load_message,
    load_recipient,
    recipients_of,
    save_message,
    save_recipient,
)
from fedaemon.delivery.schedule import MINUTE_MS, Schedule
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.errors import MailError
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import FINISHED

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

MAX_TEXT: Final = 512
"""Characters of a reply that are kept."""

MIN_GAP_MS: Final = MINUTE_MS
"""The next attempt that the claim stored stands, unless less than this is left until then."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What outcomes are judged by: the retry rules, our name in reports, and where contents are."""

    hostname: str
    schedule: Schedule
    blobs: Blobs


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording led to: the message is over; a report was queued."""

    finished: bool = False
    reported: bool = False


def record_outcomes(
    transaction: Transaction, terms: Terms, queue_id: str, outcomes: Iterable[Outcome], now_ms: int
) -> Recorded:
    """Write down the outcomes of one attempt and run their effects."""
    message = load_message(transaction, queue_id)
    if message is None:
        return Recorded()
    ended: list[bounce.Ended] = []
    for outcome in outcomes:
        recipient = load_recipient(transaction, queue_id, outcome.number)
        if recipient is None or recipient.state in FINAL:
            continue
        if outcome.effect is not None:
            if recipient.state not in WAITING:
                continue
            outcome = _run_effect(transaction, outcome)
        ended.append(_record_one(transaction, terms, queue_id, message, recipient, outcome, now_ms))
    if not ended:
        return Recorded()
    _write_timeline(transaction, queue_id, ended, now_ms)
    reported = bounce.report(transaction, terms, queue_id, message, ended, now_ms)
    return Recorded(finish_if_over(transaction, queue_id, message, now_ms), reported)


def _run_effect(transaction: Transaction, outcome: Outcome) -> Outcome:
    """Run the effect; a refusal becomes the outcome."""
    assert outcome.effect is not None
    try:
        outcome.effect(transaction)
    except MailError as error:
        result = Result.PERMANENT if error.permanent else Result.TEMPORARY
        return replace(outcome, result=result, text=error.text, code=error.code, status=error.status)
    return outcome


def _record_one(
    transaction: Transaction,
    terms: Terms,
    queue_id: str,
    message: MessageRecord,
    recipient: RecipientRecord,
    outcome: Outcome,
    now_ms: int,
) -> bounce.Ended:
    """Bring one recipient to its new state."""
    number = outcome.number
    waiting = recipient.state in WAITING
    if not recipient.claim:
        recipient.attempts += 1
    claimed = recipient.claim
    recipient.claim = ""
    recipient.lost = 0
    recipient.last = {
        "at_ms": now_ms,
        "code": outcome.code,
        "status": outcome.status,
        "text": outcome.text[:MAX_TEXT],
        "phase": outcome.phase,
        "host": outcome.host,
    }
    if waiting:
        displace(transaction, queue_id, number, recipient)
    expires_ms = terms.schedule.expires_ms(message.accepted_ms, message.lifetime_ms)
    event = "deferred"
    notice = False
    if outcome.result is Result.DELIVERED:
        event = recipient.state = "delivered"
    elif outcome.result is Result.PERMANENT:
        event = recipient.state = "bounced"
    elif waiting and terms.schedule.is_over(now_ms, expires_ms):
        event = recipient.state = "expired"
    elif waiting:
        recipient.state = "deferred"
        if not claimed or recipient.next_attempt_ms < now_ms + MIN_GAP_MS:
            recipient.next_attempt_ms = terms.schedule.next_attempt_ms(
                recipient.attempts, now_ms, message.accepted_ms, expires_ms
            )
        notice_ms = terms.schedule.notice_ms
        if notice_ms and not recipient.told and now_ms >= message.accepted_ms + notice_ms:
            recipient.told = notice = True
        place(transaction, queue_id, number, recipient)
    if recipient.state in FINAL:
        recipient.finished_ms = now_ms
        recipient.next_attempt_ms = 0
    save_recipient(transaction, queue_id, number, recipient)
    return bounce.Ended(number, recipient, outcome, event, notice, expires_ms)


def _write_timeline(transaction: Transaction, queue_id: str, ended: list[bounce.Ended], now_ms: int) -> None:
    """Write one entry for all recipients that met the same fate."""
    groups: dict[tuple[object, ...], list[bounce.Ended]] = {}
    for each in ended:
        outcome = each.outcome
        fate = (
            each.event,
            outcome.text,
            outcome.code,
            outcome.host,
            outcome.address,
            each.recipient.next_attempt_ms,
        )
        groups.setdefault(fate, []).append(each)
    for group in groups.values():
        first = group[0]
        outcome = first.outcome
        held = first.recipient.state == "held"
        timeline.add(
            transaction,
            queue_id,
            now_ms,
            first.event,
            recipients=[each.number for each in group],
            attempt=first.recipient.attempts,
            phase=outcome.phase,
            host=outcome.host,
            address=outcome.address,
            tls=outcome.tls,
            code=outcome.code,
            status=outcome.status,
            reply=outcome.text[:MAX_TEXT],
            duration_ms=outcome.duration_ms,
            next_attempt_ms=0 if held else first.recipient.next_attempt_ms,
            why=_why(first),
        )


def _why(ended: bounce.Ended) -> str:
    """Say why an attempt did not end the matter, or ended it without success."""
    if ended.event == "delivered":
        return ""
    if ended.recipient.state == "held":
        return "held by the administrator while this attempt was under way"
    if ended.event == "expired":
        return "the message has been tried for its whole lifetime"
    if ended.event == "bounced":
        return "a permanent refusal: trying again cannot help"
    if ended.outcome.code:
        return "a temporary refusal: tried again later"
    return "no answer was had: tried again later"


def finish_if_over(transaction: Transaction, queue_id: str, message: MessageRecord, now_ms: int) -> bool:
    """Note that the message is over when its last recipient is final; return True if so."""
    if any(recipient.state not in FINAL for _, recipient in recipients_of(transaction, queue_id)):
        return False
    message.finished_ms = now_ms
    save_message(transaction, queue_id, message)
    transaction.put((FINISHED, now_ms, queue_id), b"")
    return True
