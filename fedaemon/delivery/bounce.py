"""Reports to the sender: what failed, what is late, what arrived.

A report is a message like any other: it is queued with the empty sender in the transaction that records what
it reports, so that a bounce can neither be lost nor be sent twice. Who is owed what says ``owed.py``, what a
report says of a recipient ``report_recipient.py``, what it looks like ``message/report.py``.

Standards: RFC 3461 4.3 (RET), 5.2.8 (several recipients), 6 (envelope and contents); RFC 3464; RFC 5321 4.5.5
(empty reverse-path), 6.1; RFC 3834 (no reports about reports); RFC 8689 5 (reports about REQUIRETLS).
Invariants: never a report about a message with the empty sender; recipients of one message that end together
in the same way are in one report; a report about a message that requires TLS requires it, too, and holds no
more of it than the header.
Limits: ``original.py`` says how much of the original is enclosed, ``strangers.py`` how many reports leave for
senders that are not ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from fedaemon.accounts.directory import expand, is_hosted
from fedaemon.counters import count
from fedaemon.delivery import timeline
from fedaemon.delivery.original import FULL_OCTETS, STRANGER_OCTETS, header_block, read_original
from fedaemon.delivery.owed import Ended, Kind, Notice, Owed, find_owed
from fedaemon.delivery.queue import enqueue
from fedaemon.delivery.records import MessageRecord, NewMessage, NewRecipient
from fedaemon.delivery.report_recipient import reported
from fedaemon.delivery.strangers import count_report
from fedaemon.errors import MailError, Refused
from fedaemon.message.address import Address, parse_address
from fedaemon.message.report import Report, write_report
from fedaemon.store.content import MemoryContent
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Transaction

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

__all__ = ["FULL_OCTETS", "Ended", "Notice", "header_block", "report"]


class ReportTerms(Protocol):
    """What reports need to know: our name in them, and where contents are (``outcomes.Terms``)."""

    @property
    def hostname(self) -> str:
        """Our host name."""

    @property
    def blobs(self) -> Blobs:
        """The contents of the store."""


@dataclass(frozen=True, slots=True)
class _Occasion:
    """The message that is reported on, and when."""

    transaction: Transaction
    terms: ReportTerms
    queue_id: str
    message: MessageRecord
    now_ms: int


def report(
    transaction: Transaction,
    terms: ReportTerms,
    queue_id: str,
    message: MessageRecord,
    ended: Iterable[Ended],
    now_ms: int,
) -> bool:
    """Queue the reports that the sender is owed; return True when there is one."""
    if not message.sender:
        return False
    occasion = _Occasion(transaction, terms, queue_id, message, now_ms)
    groups: dict[Kind, list[Owed]] = {}
    for owed in find_owed(transaction, queue_id, message, list(ended)):
        groups.setdefault(owed.kind, []).append(owed)
    queued = [_queue_report(occasion, kind, group) for kind, group in groups.items()]
    return any(queued)


def _queue_report(occasion: _Occasion, kind: Kind, group: list[Owed]) -> bool:
    """Write one report and queue it for the sender; False when nobody can or may be told."""
    transaction, message, now_ms = occasion.transaction, occasion.message, occasion.now_ms
    try:
        sender = parse_address(message.sender)
        hosted = is_hosted(transaction, sender.domain)
        recipients = _addressees(transaction, sender) if hosted else (_stranger(sender),)
    except MailError as error:
        # Nobody to tell: what happened stays in the timeline.
        return _untold(occasion, kind, group, error.text)
    if not hosted and (why := count_report(transaction, sender, now_ms)):
        return _untold(occasion, kind, group, why)
    octets = write_report(_report(occasion, kind, group, hosted=hosted))
    blobs = occasion.terms.blobs
    blob_id = blobs.add(transaction, blobs.stage(MemoryContent(octets)))
    report_id = new_id(now_ms)
    new = NewMessage(
        queue_id=report_id,
        sender="",
        recipients=recipients,
        account=None,
        accepted_ms=now_ms,
        size=len(octets),
        via={"service": "report", "about": occasion.queue_id},
        body="7BIT" if octets.isascii() else "8BITMIME",
        smtputf8=not message.sender.isascii(),
        require_tls=message.require_tls,
        tls_optional=message.tls_optional,
    )
    enqueue(transaction, new, blob_id, now_ms)
    _note(occasion, kind, group, report=report_id)
    transaction.after_commit(partial(count, "reports_total", kind=kind))
    return True


def _untold(occasion: _Occasion, kind: Kind, group: list[Owed], why: str) -> bool:
    _note(occasion, kind, group, why=f"no report could be sent to {occasion.message.sender}: {why}")
    return False


def _note(occasion: _Occasion, kind: Kind, group: list[Owed], **details: str) -> None:
    numbers = [owed.ended.number for owed in group]
    timeline.add(
        occasion.transaction,
        occasion.queue_id,
        occasion.now_ms,
        "report",
        recipients=numbers,
        kind=kind,
        **details,
    )


def _stranger(sender: Address) -> NewRecipient:
    """Return a sender elsewhere as recipient. Spec: RFC 3461 6.1 (NOTIFY=NEVER: no report about a report)"""
    return NewRecipient(str(sender), local=False, notify="NEVER")


def _addressees(transaction: Transaction, sender: Address) -> tuple[NewRecipient, ...]:
    """Return who gets the mail of a sender here. Spec: RFC 3461 6.1"""
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


def _report(occasion: _Occasion, kind: Kind, group: list[Owed], *, hosted: bool) -> Report:
    message = occasion.message
    full_octets = 0
    # RFC 3461 6.2: what is no failure goes back as its header; RFC 8689 5: so does what requires TLS.
    if message.ret.upper() == "FULL" and kind == "failed" and not message.require_tls:
        full_octets = FULL_OCTETS if hosted else STRANGER_OCTETS
    try:
        content = occasion.terms.blobs.open(occasion.transaction, message.blob)
        header, whole = read_original(content, full_octets=full_octets)
    except MailError:
        # A content that is lost must not keep its sender from hearing of it.
        header, whole = b"", None
    return Report(
        reporting_host=occasion.terms.hostname,
        to=message.sender,
        queue_id=occasion.queue_id,
        arrival_s=message.accepted_ms / 1000,
        envelope_id=message.envid,
        recipients=tuple(reported(owed, message, occasion.now_ms) for owed in group),
        original_header=header,
        original=whole,
        now_s=occasion.now_ms / 1000,
        smtputf8=message.smtputf8,
        deliver_by_s=message.deliver_by_ms / 1000 if message.deliver_by_ms else None,
    )
