"""The part of a report that programs read: message/delivery-status and its international form.

Standards: RFC 3464 2 (fields), RFC 3461 6.3 (which of them, and from what), RFC 3463 (status codes), RFC 6533 3
(addresses of type utf-8), 4 (message/global-delivery-status), RFC 2852 (Deliver-By-Date).
Invariants: every field is well formed whatever the remote server said; the part is ASCII unless the report is
international.
"""

from __future__ import annotations

import re
from typing import Final

from fedaemon.errors import BadSyntax
from fedaemon.message.date import format_date
from fedaemon.message.header import write_field
from fedaemon.message.report_text import MAX_TEXT
from fedaemon.message.reported import Report, ReportedRecipient
from fedaemon.message.xtext import decode_xtext, encode_embedded, original_recipient, write_orcpt

_GENERAL_STATUS: Final = {"failed": "5.0.0", "delayed": "4.0.0"}
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}").fullmatch
_SMTP_REPLY = re.compile(r"[2-5][0-9]{2}(?:[ -]|$)").match


def write_status(report: Report) -> bytes:
    """Return the fields of the report: those of the message, then a block for each recipient.

    An international report is message/global-delivery-status, where non-ASCII text is allowed.

    Spec: RFC 3464 2.1, RFC 6533 4
    """
    utf8 = report.international
    fields = [
        ("Reporting-MTA", f"dns; {report.reporting_host}"),
        ("Original-Envelope-Id", _envelope_id(report.envelope_id)),
        ("X-Queue-ID", report.queue_id),
        ("Arrival-Date", format_date(report.arrival_s)),
        ("Deliver-By-Date", _date(report.deliver_by_s)),
    ]
    blocks = [fields, *(_recipient_fields(recipient, utf8) for recipient in report.recipients)]
    return b"\r\n".join([_block(fields, utf8) for fields in blocks])


def _block(fields: list[tuple[str, str]], utf8: bool) -> bytes:
    return b"".join(
        [write_field(name, value if utf8 else encode_embedded(value)) for name, value in fields if value]
    )


def _recipient_fields(recipient: ReportedRecipient, utf8: bool) -> list[tuple[str, str]]:
    status = recipient.status
    if _STATUS(status) is None:
        status = _GENERAL_STATUS.get(recipient.action, "2.0.0")
    until_s = recipient.will_retry_until_s if recipient.action == "delayed" else None
    return [
        ("Original-Recipient", _typed(original_recipient(recipient.original), utf8)),
        ("Final-Recipient", _final_recipient(recipient.address, utf8)),
        ("Action", recipient.action),
        ("Status", status),
        ("Remote-MTA", f"dns; {recipient.remote_host}" if recipient.remote_host else ""),
        ("Diagnostic-Code", _diagnostic(recipient)),
        ("Last-Attempt-Date", _date(recipient.last_attempt_s)),
        ("Will-Retry-Until", _date(until_s)),
    ]


def _final_recipient(address: str, utf8: bool) -> str:
    kind = "rfc822" if address.isascii() else "utf-8"
    return _typed(f"{kind};{address}", utf8)


def _typed(typed: str, utf8: bool) -> str:
    """Return an address with its type; one that is not ASCII in its encoded form unless *utf8*.

    Spec: RFC 6533 3
    """
    return typed if utf8 or typed.isascii() else write_orcpt(typed.partition(";")[2])


def _diagnostic(recipient: ReportedRecipient) -> str:
    """Return the reply, or what went wrong without one. Spec: RFC 3464 2.3.6, RFC 3461 9.2"""
    said = (recipient.reply or recipient.failure)[:MAX_TEXT]
    # The type smtp promises an SMTP reply code at the beginning.
    kind = "smtp" if recipient.reply and _SMTP_REPLY(said) else "x-fedaemon"
    return f"{kind}; {said}" if said else ""


def _date(at_s: float | None) -> str:
    return "" if at_s is None else format_date(at_s)


def _envelope_id(envid: str) -> str:
    try:
        return decode_xtext(envid)
    except BadSyntax:
        return envid
