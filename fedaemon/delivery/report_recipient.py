"""One recipient as it stands in a report: the fields for programs, and what happened in plain language.

Standards: RFC 3464 2.3 (fields), RFC 3463 (status codes; 3.5: X.4.7, delivery time expired), RFC 3461 6.3,
RFC 2852 4 (5.4.7 and 4.4.7 for DELIVERBY).
Invariants: the class of a status fits what is said: 2 for success, 4 for what waits and for what was given up
although it might have gone well later, 5 for a refusal for good.
"""

from __future__ import annotations

from typing import Final

from fedaemon.delivery.owed import Ended, Owed
from fedaemon.delivery.records import LOCAL, MessageRecord
from fedaemon.message.date import format_date
from fedaemon.message.report import ReportedRecipient
from fedaemon.message.xtext import write_orcpt

OURS: Final = frozenset({"dns", "local", "site"})
"""The phases in which no other server answers: a code in them is ours, or one of earlier."""

UNTRIED: Final = frozenset({"local", "site"})
"""Those of a remote recipient in which nothing was tried at all."""


def reported(owed: Owed, message: MessageRecord, now_ms: int) -> ReportedRecipient:
    """Return what a report says of one recipient."""
    ended = owed.ended
    recipient, outcome = ended.recipient, ended.outcome
    if owed.action == "expanded":
        # Who is behind an alias is not told: it is about the address that the sender gave.
        return ReportedRecipient(
            recipient.original,
            "expanded",
            "2.0.0",
            original=recipient.orcpt,
            explanation=f"The message was passed on to all addresses that {recipient.original} stands for.",
            last_attempt_s=now_ms / 1000,
        )
    answered = _answered(ended)
    reply = " ".join(part for part in (str(outcome.code), outcome.status, outcome.text) if part)
    return ReportedRecipient(
        address=recipient.address,
        action=owed.action,
        status=_status(ended, message),
        # RFC 3461 6.3 wants no Original-Recipient without ORCPT, 5.2.1 lets a relay add the ORCPT that every
        # report from further on then repeats. The address that the sender knows is worth more than silence.
        original=recipient.orcpt or (write_orcpt(recipient.original) if recipient.original else ""),
        remote_host=outcome.host if recipient.destination != LOCAL else "",
        reply=reply if answered else "",
        failure="" if answered or owed.kind == "delivered" else outcome.text,
        explanation=_explanation(ended, message, answered=answered),
        category=outcome.category,
        last_attempt_s=now_ms / 1000 if _tried(ended) else None,
        will_retry_until_s=ended.expires_ms / 1000 if owed.action == "delayed" else None,
    )


def _answered(ended: Ended) -> bool:
    """True when the outcome is what another server said."""
    outcome = ended.outcome
    return ended.recipient.destination != LOCAL and outcome.code != 0 and outcome.phase not in OURS


def _tried(ended: Ended) -> bool:
    """True when the outcome is that of an attempt."""
    return ended.recipient.destination == LOCAL or ended.outcome.phase not in UNTRIED


def _status(ended: Ended, message: MessageRecord) -> str:
    """Return an enhanced status code whose class fits the action. Spec: RFC 3464 2.3.4, RFC 3463 3.5"""
    given = ended.outcome.status
    if ended.event == "delivered":
        return given if given.startswith("2.") else "2.0.0"
    if ended.event == "deferred":
        if ended.notice == "by":
            return "4.4.7"
        return given if given.startswith("4.") else "4.0.0"
    if ended.event == "expired":
        # RFC 3463 2: with a failure, class 4 says that the message might be delivered if it were sent again.
        return "5.4.7" if _time_ran_out(ended, message) else "4.4.7"
    return given if given.startswith("5.") else "5.0.0"


def _time_ran_out(ended: Ended, message: MessageRecord) -> bool:
    """True when what ended the matter is DELIVERBY in mode R, not the lifetime. Spec: RFC 2852 4.1.4"""
    return message.deliver_by_mode.startswith("R") and 0 < message.deliver_by_ms <= ended.expires_ms


def _explanation(ended: Ended, message: MessageRecord, *, answered: bool) -> str:
    """Say in plain language what happened."""
    what = _what(ended, message, answered=answered)
    outcome = ended.outcome
    if ended.event == "delivered":
        return what
    # A reply is shown by itself; what went wrong on our side must be said here.
    reason = "" if answered else f"The reason: {_sentence(outcome.text)}"
    return " ".join(part for part in (what, _sentence(outcome.explanation), reason) if part)


def _what(ended: Ended, message: MessageRecord, *, answered: bool) -> str:
    address, host = ended.recipient.address, ended.outcome.host
    by = f" by the mail server {host}" if answered and host else ""
    if ended.event == "delivered":
        if ended.recipient.destination == LOCAL:
            return f"The message was delivered to {address}."
        silent = "" if ended.outcome.dsn_passed_on else " That server sends no delivery reports of its own."
        return f"The message was taken over{by} for {address}.{silent}"
    if ended.event == "bounced":
        if answered:
            return f"The message was refused{by} for {address}."
        return f"The message cannot be delivered to {address}."
    if ended.event == "expired" and not _time_ran_out(ended, message):
        return f"The message could not be delivered to {address} in the time it is tried for."
    if ended.event == "expired" or ended.notice == "by":
        until = format_date(message.deliver_by_ms / 1000)
        return f"The message could not be delivered to {address} until {until}, the time that was asked for."
    return f"The message could not yet be delivered to {address}."


def _sentence(text: str) -> str:
    """Return *text* with a full stop."""
    text = text.strip()
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."
