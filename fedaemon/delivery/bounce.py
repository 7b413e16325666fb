"""Reports to the sender: what failed, what is late, what arrived.

A report is a message like any other: it is queued with the empty sender in the transaction that records what
it reports, so that a bounce can neither be lost nor be sent twice.

Standards: RFC 3461 4.1 (NOTIFY), 4.3 (RET), 5.2 (who reports what), 6 (contents); RFC 3464; RFC 5321 4.5.5
(empty reverse-path), 6.1; RFC 3834 (no reports about reports).
Invariants: never a report about a message with the empty sender; recipients of one message that end together
are in one report; success is reported only when it was asked for, and not when the next host took that duty
over.
Limits: ``FULL_OCTETS`` and ``HEADER_OCTETS`` of the original are enclosed, so that a report stays small.
Known gaps: reports towards strangers are not rate-limited; an alias with several targets reports each of them
instead of "expanded".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from fedaemon.accounts.directory import expand, is_hosted
from fedaemon.delivery import timeline
from fedaemon.delivery.queue import enqueue
from fedaemon.delivery.records import LOCAL, MessageRecord, NewMessage, NewRecipient, RecipientRecord
from fedaemon.delivery.transport import Outcome
from fedaemon.errors import MailError, Refused
from fedaemon.message.address import Address, parse_address
from fedaemon.message.header import end_of_header
from fedaemon.message.report import Report, ReportedRecipient, write_report
from fedaemon.message.xtext import write_orcpt
from fedaemon.store.content import MemoryContent
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Content, Transaction

if TYPE_CHECKING:
    from fedaemon.delivery.outcomes import Terms

Kind = Literal["failed", "delayed", "delivered"]

FULL_OCTETS: Final = 40_000
"""With RET=FULL a message up to this size is enclosed whole: with base64 the report is still kept inline."""

HEADER_OCTETS: Final = 32_768
"""Of a longer header only whole fields up to here are enclosed."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What an attempt changed for one recipient.

    *event* is delivered, deferred, bounced or expired; *notice* asks for a delay notice.
    """

    number: int
    recipient: RecipientRecord
    outcome: Outcome
    event: str
    notice: bool
    expires_ms: int


def report(
    transaction: Transaction,
    terms: Terms,
    queue_id: str,
    message: MessageRecord,
    ended: Iterable[Ended],
    now_ms: int,
) -> bool:
    """Queue the reports that the sender is owed; return True when there is one."""
    if not message.sender:
        return False
    owed: dict[Kind, list[Ended]] = {}
    for each in ended:
        kind = _owed(each)
        if kind is not None:
            owed.setdefault(kind, []).append(each)
    reported = False
    for kind, group in owed.items():
        reported |= _queue_report(transaction, terms, queue_id, message, kind, group, now_ms)
    return reported


def _owed(ended: Ended) -> Kind | None:
    """Return what the sender wants to know about one recipient, None for nothing. Spec: RFC 3461 4.1"""
    wishes = {wish.strip().upper() for wish in ended.recipient.notify.split(",") if wish.strip()}
    if ended.event in ("bounced", "expired"):
        return "failed" if not wishes or "FAILURE" in wishes else None
    if ended.event == "delivered":
        return "delivered" if "SUCCESS" in wishes and not ended.outcome.dsn_passed_on else None
    if ended.notice and (not wishes or "DELAY" in wishes):
        return "delayed"
    return None


def _queue_report(
    transaction: Transaction,
    terms: Terms,
    queue_id: str,
    message: MessageRecord,
    kind: Kind,
    group: list[Ended],
    now_ms: int,
) -> bool:
    """Write one report and queue it for the sender."""
    numbers = [each.number for each in group]
    try:
        sender = parse_address(message.sender)
        recipients = _addressees(transaction, sender)
    except MailError as error:
        # Nobody to tell: what happened stays in the timeline.
        why = f"no report could be sent to {message.sender}: {error.text}"
        timeline.add(transaction, queue_id, now_ms, "report", recipients=numbers, kind=kind, why=why)
        return False
    octets = write_report(_report(transaction, terms, queue_id, message, group, now_ms))
    blob_id = terms.blobs.add(transaction, terms.blobs.stage(MemoryContent(octets)))
    report_id = new_id(now_ms)
    new = NewMessage(
        queue_id=report_id,
        sender="",
        recipients=recipients,
        account=None,
        accepted_ms=now_ms,
        size=len(octets),
        via={"service": "report", "about": queue_id},
        body="7BIT" if octets.isascii() else "8BITMIME",
        smtputf8=not message.sender.isascii(),
    )
    enqueue(transaction, new, blob_id, now_ms)
    timeline.add(transaction, queue_id, now_ms, "report", recipients=numbers, kind=kind, report=report_id)
    return True


def _addressees(transaction: Transaction, sender: Address) -> tuple[NewRecipient, ...]:
    """Return who gets the sender's mail. Spec: RFC 3461 6.1 (NOTIFY=NEVER: no report about a report)"""
    if not is_hosted(transaction, sender.domain):
        return (NewRecipient(str(sender), local=False, notify="NEVER"),)
    try:
        targets = expand(transaction, sender)
    except Refused:
        raise
    except MailError:
        # The alias is broken for now: keep the report until it works.
        return (NewRecipient(sender.key, local=True, notify="NEVER"),)
    return tuple(
        NewRecipient(
            target.address,
            target.local,
            original=str(sender) if target.address != sender.key else "",
            notify="NEVER",
        )
        for target in targets
    )


def _report(
    transaction: Transaction,
    terms: Terms,
    queue_id: str,
    message: MessageRecord,
    group: list[Ended],
    now_ms: int,
) -> Report:
    try:
        header, whole = _original(terms.blobs.open(transaction, message.blob), message)
    except MailError:
        # A content that is lost must not keep its sender from hearing of it.
        header, whole = b"", None
    return Report(
        reporting_host=terms.hostname,
        to=message.sender,
        queue_id=queue_id,
        arrival_s=message.accepted_ms / 1000,
        envelope_id=message.envid,
        recipients=tuple(_reported(each, now_ms) for each in group),
        original_header=header,
        original=whole,
        now_s=now_ms / 1000,
    )


def _original(content: Content, message: MessageRecord) -> tuple[bytes, bytes | None]:
    """Return the original's header block, and all of it when that was asked for and it is small.

    Spec: RFC 3461 4.3
    """
    start = bytearray()
    for chunk in content.chunks():
        start += chunk
        if len(start) >= max(HEADER_OCTETS, FULL_OCTETS):
            break
    whole = bytes(start) if message.ret.upper() == "FULL" and content.size <= FULL_OCTETS else None
    return header_block(bytes(start), HEADER_OCTETS), whole


def header_block(data: bytes, limit: int) -> bytes:
    """Return the header block of *data* without the empty line, cut to whole fields of at most *limit*."""
    end = end_of_header(data)
    block = data[: end - len(b"\r\n")] if end >= 0 else data
    if len(block) <= limit and end >= 0:
        return block
    cut = min(limit, len(block))
    while (cut := block.rfind(b"\r\n", 0, cut)) >= 0:
        # A line that is continued, or may be, belongs to what follows it.
        if block[cut + 2 : cut + 3] not in (b" ", b"\t", b""):
            return block[: cut + 2]
    return b""


def _reported(ended: Ended, now_ms: int) -> ReportedRecipient:
    """Return one recipient as it stands in the report."""
    recipient, outcome = ended.recipient, ended.outcome
    answered = recipient.destination != LOCAL and outcome.code != 0 and outcome.phase != "dns"
    reply = " ".join(part for part in (str(outcome.code), outcome.status, outcome.text) if part)
    return ReportedRecipient(
        address=recipient.address,
        action=_action(ended),
        status=_status(ended),
        original=recipient.orcpt or (write_orcpt(recipient.original) if recipient.original else ""),
        remote_host=outcome.host if answered else "",
        reply=reply if answered else "",
        explanation=_explanation(ended, answered),
        last_attempt_s=now_ms / 1000,
        will_retry_until_s=ended.expires_ms / 1000 if ended.event == "deferred" else None,
    )


def _action(ended: Ended) -> str:
    """Return the DSN action. Spec: RFC 3464 2.3.3"""
    if ended.event == "delivered":
        return "delivered" if ended.recipient.destination == LOCAL else "relayed"
    return "delayed" if ended.event == "deferred" else "failed"


def _status(ended: Ended) -> str:
    """Return an enhanced status code whose class fits the action. Spec: RFC 3464 2.3.4"""
    given = ended.outcome.status
    if ended.event == "delivered":
        return given if given.startswith("2.") else "2.0.0"
    if ended.event == "deferred":
        return given if given.startswith("4.") else "4.0.0"
    if given.startswith("5."):
        return given
    # Expired: delivery time expired (RFC 3463 3.5), whatever the last temporary reply was.
    return "5.4.7" if ended.event == "expired" else "5.0.0"


def _explanation(ended: Ended, answered: bool) -> str:
    """Say in plain language what happened and what happens next."""
    address, outcome = ended.recipient.address, ended.outcome
    host = f" by the mail server {outcome.host}" if answered and outcome.host else ""
    # A reply is shown by itself; what went wrong on our side must be said here.
    reason = "" if answered else f" The reason: {outcome.text}."
    if ended.event == "delivered":
        if ended.recipient.destination == LOCAL:
            return f"The message was delivered to {address}."
        return f"The message was taken over{host} for {address}, which sends no delivery reports of its own."
    if ended.event == "deferred":
        return (
            f"The message could not yet be delivered to {address}.{reason} "
            "It is tried again; you need not send it again."
        )
    if ended.event == "expired":
        return (
            f"The message could not be delivered to {address} in the time it is tried for.{reason} "
            "It is not tried again."
        )
    if answered:
        return f"The message was refused{host} for {address}. It is not tried again."
    return f"The message cannot be delivered to {address}.{reason} It is not tried again."
