"""The part of a report that programs read: message/delivery-status and its international form.

Standards: RFC 3464 2 (fields), RFC 3463 (status codes), RFC 6533 3 (addresses of type utf-8), 4
(message/global-delivery-status).
Invariants: every field is well formed whatever the remote server said; without *utf8* the part is ASCII.
"""

from __future__ import annotations

import re
from typing import Final

from fedaemon.errors import BadSyntax
from fedaemon.message.date import format_date
from fedaemon.message.header import write_field
from fedaemon.message.report_text import MAX_TEXT
from fedaemon.message.reported import Report, ReportedRecipient
from fedaemon.message.xtext import decode_xtext, encode_embedded, original_recipient

_GENERAL_STATUS: Final = {"failed": "5.0.0", "delayed": "4.0.0"}
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}").fullmatch
_SMTP_REPLY = re.compile(r"[2-5][0-9]{2}(?:[ -]|$)").match


def write_status(report: Report, *, utf8: bool) -> bytes:
    """Return the fields of the report: those of the message, then a block for each recipient.

    :param utf8: write message/global-delivery-status, where non-ASCII text is allowed.

    Spec: RFC 3464 2.1, RFC 6533 4
    """
    fields = [
        ("Reporting-MTA", f"dns; {report.reporting_host}"),
        ("Original-Envelope-Id", _envelope_id(report.envelope_id)),
        ("X-Queue-ID", report.queue_id),
        ("Arrival-Date", format_date(report.arrival_s)),
    ]
    blocks = [fields, *(_recipient_fields(recipient) for recipient in report.recipients)]
    return b"\r\n".join([_block(fields, utf8) for fields in blocks])


def _block(fields: list[tuple[str, str]], utf8: bool) -> bytes:
    return b"".join(
        [write_field(name, value if utf8 else encode_embedded(value)) for name, value in fields if value]
    )


def _recipient_fields(recipient: ReportedRecipient) -> list[tuple[str, str]]:
    kind = "rfc822" if recipient.address.isascii() else "utf-8"
    status = recipient.status
    if _STATUS(status) is None:
        status = _GENERAL_STATUS.get(recipient.action, "2.0.0")
    reply = recipient.reply[:MAX_TEXT]
    # RFC 3464 2.3.6: the type smtp promises an SMTP reply code at the beginning.
    diagnostic = ("smtp" if _SMTP_REPLY(reply) else "x-fedaemon") + f"; {reply}" if reply else ""
    until_s = recipient.will_retry_until_s if recipient.action == "delayed" else None
    return [
        ("Original-Recipient", original_recipient(recipient.original)),
        ("Final-Recipient", f"{kind};{recipient.address}"),
        ("Action", recipient.action),
        ("Status", status),
        ("Remote-MTA", f"dns; {recipient.remote_host}" if recipient.remote_host else ""),
        ("Diagnostic-Code", diagnostic),
        (
            "Last-Attempt-Date",
            "" if recipient.last_attempt_s is None else format_date(recipient.last_attempt_s),
        ),
        ("Will-Retry-Until", "" if until_s is None else format_date(until_s)),
    ]


def _envelope_id(envid: str) -> str:
    try:
        return decode_xtext(envid)
    except BadSyntax:
        return envid
