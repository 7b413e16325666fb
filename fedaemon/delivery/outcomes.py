"""Writes down what became of an attempt: new states, the next attempt, the timeline, and reports to the
sender.

All of it happens in one transaction, together with the outcome's effect: a local delivery and the record of
it, or a bounce and the end of what it reports, become durable together or not at all.

Standards: RFC 5321 4.2.1 (4yz and 5yz), 4.5.4.1 (give up after the lifetime), RFC 2852 4.1.4.1 (a time to
deliver by that ran out).
Invariants: a recipient that is final stays what it is; one that was deleted meanwhile stays deleted; an
effect does not happen for one that is held. A remote result is written down even then: it is a fact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fedaemon.delivery import bounce, history, suppression, timeline
from fedaemon.delivery.hooks.notes import note
from fedaemon.delivery.owed import Ended, Notice
from fedaemon.delivery.queue import displace, place
from fedaemon.delivery.quota import OverQuota
from fedaemon.delivery.records import (
    FINAL,
    LOCAL,
    WAITING,
    MessageRecord,
    RecipientRecord,
    load_message,
    load_recipient,
    recipients_of,
    save_message,
    save_recipient,
)
from fedaemon.delivery.schedule import MINUTE_MS, Marks, Schedule
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.errors import MailError
from fedaemon.store.interface import Transaction

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

MAX_TEXT: Final = 512
"""Characters of a reply that are kept."""

MIN_GAP_MS: Final = MINUTE_MS
"""The next attempt that the claim stored stands, unless less than this is left until then."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What outcomes are judged by: the retry rules, our name in reports, and where contents are.

    *suppression_ms*: how long an address that does not exist, or whose owner complained, is refused to who sent
    there; 0 for never. *complaints*: the address (its key) to which providers send complaints, "" for none.
    *quota_octets*: what an account without a limit of its own may keep, None for no limit.
    """

    hostname: str
    schedule: Schedule
    blobs: Blobs
    suppression_ms: int = 0
    complaints: str = ""
    quota_octets: int | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording led to: the message is over; a report was queued; something for a webhook was noted.

    *ended* is what became of each recipient of *message*, for the event log.
    """

    finished: bool = False
    reported: bool = False
    hooked: bool = False
    queue_id: str = ""
    message: MessageRecord | None = None
    ended: tuple[Ended, ...] = ()


def record_outcomes(
    transaction: Transaction, terms: Terms, queue_id: str, outcomes: Iterable[Outcome], now_ms: int
) -> Recorded:
    """Write down the outcomes of one attempt and run their effects."""
    message = load_message(transaction, queue_id)
    if message is None:
        return Recorded()
    ended: list[Ended] = []
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
    _write_timeline(transaction, queue_id, message, ended, now_ms)
    reported = bounce.report(transaction, terms, queue_id, message, ended, now_ms)
    hooked = note(transaction, terms.blobs, queue_id, message, ended, now_ms) > 0
    finished = False
    if message.recipients > 1 or ended[0].recipient.state in FINAL:
        finished = finish_if_over(transaction, queue_id, message, now_ms)
    return Recorded(finished, reported, hooked, queue_id, message, tuple(ended))


def _run_effect(transaction: Transaction, outcome: Outcome) -> Outcome:
    """Run the effect; a refusal becomes the outcome."""
    assert outcome.effect is not None
    try:
        outcome.effect(transaction)
    except MailError as error:
        result = Result.PERMANENT if error.permanent else Result.TEMPORARY
        category = error.category if isinstance(error, OverQuota) else ""
        return replace(
            outcome, result=result, text=error.text, code=error.code, status=error.status, category=category
        )
    return outcome


def _record_one(
    transaction: Transaction,
    terms: Terms,
    queue_id: str,
    message: MessageRecord,
    recipient: RecipientRecord,
    outcome: Outcome,
    now_ms: int,
) -> Ended:
    """Bring one recipient to its new state."""
    number = outcome.number
    waiting = recipient.state in WAITING
    claimed = recipient.claim
    if not claimed and outcome.phase != "site" and outcome.rule != "administrator":
        recipient.attempts += 1
    recipient.claim = ""
    recipient.lost = 0
    recipient.last = {
        "at_ms": now_ms,
        "code": outcome.code,
        "status": outcome.status,
        "text": outcome.text[:MAX_TEXT],
        "phase": outcome.phase,
        "host": outcome.host,
        **{
            name: value
            for name, value in (
                ("category", outcome.category),
                ("rule", outcome.rule),
                ("explanation", outcome.explanation),
                ("site", outcome.site),
            )
            if value
        },
    }
    if waiting:
        displace(transaction, queue_id, number, recipient)
    marks = terms.schedule.marks(message, recipient.destination)
    event = "deferred"
    notice: Notice = ""
    if outcome.result is Result.DELIVERED:
        event = recipient.state = "delivered"
    elif outcome.result is Result.PERMANENT:
        event = recipient.state = "bounced"
        _suppress(transaction, terms, message, recipient, outcome, now_ms)
    elif waiting and terms.schedule.is_over(now_ms, marks):
        event = recipient.state = "expired"
    elif waiting:
        recipient.state = "deferred"
        earliest_ms = now_ms + MIN_GAP_MS
        if outcome.again_ms:
            recipient.next_attempt_ms = terms.schedule.kept(outcome.again_ms, earliest_ms, marks)
        elif not claimed or recipient.next_attempt_ms < earliest_ms:
            recipient.next_attempt_ms = terms.schedule.next_attempt_ms(recipient.attempts, now_ms, marks)
        notice = _notice(recipient, marks, now_ms)
        place(transaction, queue_id, number, recipient)
    if recipient.state in FINAL:
        recipient.finished_ms = now_ms
        recipient.next_attempt_ms = 0
    save_recipient(transaction, queue_id, number, recipient)
    return Ended(number, recipient, outcome, event, notice, marks.expires_ms, outcome.limit_lost)


def _notice(recipient: RecipientRecord, marks: Marks, now_ms: int) -> Notice:
    """Return what the sender is to be told now about one that waits on; each thing is told once."""
    if marks.by_ms and not recipient.told_by and now_ms >= marks.by_ms:
        recipient.told_by = True
        return "by"
    if marks.notice_ms and not recipient.told and now_ms >= marks.notice_ms:
        recipient.told = True
        return "late"
    return ""


def _suppress(
    transaction: Transaction,
    terms: Terms,
    message: MessageRecord,
    recipient: RecipientRecord,
    outcome: Outcome,
    now_ms: int,
) -> None:
    """Remember an address of which its own server says that it does not exist."""
    remote = recipient.destination != LOCAL and outcome.phase != "local"
    if terms.suppression_ms and remote and message.account and outcome.category == "recipient":
        reply = f"{outcome.code} {outcome.status} {outcome.text[:MAX_TEXT]}"
        suppression.note_bounce(
            transaction,
            message.account,
            recipient.address,
            outcome.category,
            reply,
            now_ms,
            terms.suppression_ms,
        )


def _write_timeline(
    transaction: Transaction, queue_id: str, message: MessageRecord, ended: list[Ended], now_ms: int
) -> None:
    """Write one entry for all recipients that met the same fate."""
    groups: dict[tuple[object, ...], list[Ended]] = {}
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
            source=outcome.source,
            tls=outcome.tls,
            certificate=outcome.certificate,
            policy=outcome.policy,
            tls_failure=outcome.tls_failure,
            reused=outcome.reused,
            code=outcome.code,
            status=outcome.status,
            reply=outcome.text[:MAX_TEXT],
            category=outcome.category,
            rule=outcome.rule,
            duration_ms=outcome.duration_ms,
            next_attempt_ms=0 if held else first.recipient.next_attempt_ms,
            why=_why(message, first),
        )


def _why(message: MessageRecord, ended: Ended) -> str:
    """Say why an attempt did not end the matter, or ended it without success."""
    if ended.event == "delivered":
        return ""
    if ended.recipient.state == "held":
        return "held by the administrator while this attempt was under way"
    if (
        ended.event == "expired"
        and message.deliver_by_mode.startswith("R")
        and ended.expires_ms == message.deliver_by_ms
    ):
        return "the time within which it was to be delivered (DELIVERBY) has passed"
    if ended.event == "expired":
        return "the message has been tried for its whole lifetime"
    if ended.outcome.explanation:
        return ended.outcome.explanation
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
    history.note_finished(transaction, message, queue_id, now_ms)
    return True
