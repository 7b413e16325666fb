"""Reports on delivery: the bounces, delay notices and confirmations that the sender of a message gets.

A report is a complete message of three parts: text for people, fields for programs, and the original
message or its header. It is made so that nothing on its way can refuse or mangle it: 7-bit wherever that is
possible.

Standards: RFC 3461 6 (what a report is), RFC 3464 (message/delivery-status), RFC 6522 (multipart/report),
RFC 6533 (international addresses), RFC 3834 5 (Auto-Submitted), RFC 2045 6.7 and 6.8 (encodings).
Invariants: lines end with CRLF and have at most 998 octets, there is no bare CR or LF and no NUL; the
header is ASCII unless the report goes to an address that is not; the text returned as original is octet for
octet what it was.
Limits: MAX_SHOWN_SUBJECT.
Known gaps: an original that has longer lines than mail may have goes back as its header only, also for
RET=FULL.
"""

from __future__ import annotations

import re
from binascii import b2a_base64, b2a_qp
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Final

from fedaemon.errors import BadSyntax
from fedaemon.message.date import format_date
from fedaemon.message.encoded_word import decode
from fedaemon.message.header import MAX_LINE_OCTETS, Header, split_message, write_field
from fedaemon.message.message_id import is_message_id, new_message_id
from fedaemon.message.report_status import write_status
from fedaemon.message.report_text import write_text
from fedaemon.message.reported import Report, ReportedRecipient

__all__ = ["Report", "ReportedRecipient", "write_report"]

MAX_SHOWN_SUBJECT: Final = 200
"""Of the original's subject, so many characters help to recognise it."""

_SUBJECTS: Final = {"failed": "Failure", "delayed": "Delayed"}
_BARE = re.compile(rb"\0|\r(?!\n)|(?<!\r)\n").search


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of the report, with its content already encoded."""

    media_type: str
    description: str
    encoding: str
    content: bytes

    def to_bytes(self) -> bytes:
        header = write_field("Content-Type", self.media_type)
        header += write_field("Content-Description", self.description)
        header += write_field("Content-Transfer-Encoding", self.encoding)
        return header + b"\r\n" + self.content


def write_report(report: Report) -> bytes:
    """Return the report as a complete message.

    It needs SMTPUTF8 exactly when ``report.to`` is not ASCII, and 8BITMIME exactly when it is not ASCII
    itself.

    :raises ValueError: when there are no recipients or an action is none; that is a bug of the caller.

    Spec: RFC 3461 6, RFC 3464 2, RFC 6522 3
    """
    actions = {recipient.action for recipient in report.recipients}
    if not actions or not actions <= {"failed", "delayed", "delivered", "relayed", "expanded"}:
        raise ValueError(f"not actions of a report: {sorted(actions)}")
    if report.original is not None and not _can_travel(report.original):
        report = replace(report, original=None)
    subject, message_id = _original_identity(report.original_header)
    parts = [_text_part(report, subject), _status_part(report), _original_part(report)]
    boundary = f"report-{token_hex(16)}"
    eight_bit = any(part.encoding == "8bit" for part in parts)
    fields = [
        ("From", f"MAILER-DAEMON (Mail Delivery System) <mailer-daemon@{report.reporting_host}>"),
        ("To", report.to),
        ("Subject", f"Delivery Status Notification ({_kind(actions)})"),
        ("Date", format_date(report.now_s)),
        ("Message-ID", new_message_id(report.reporting_host)),
        ("In-Reply-To", message_id),
        ("References", message_id),
        ("Auto-Submitted", "auto-replied"),
        ("X-Failed-Recipients", _failed(report)),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/report; report-type=delivery-status; boundary="{boundary}"'),
        ("Content-Transfer-Encoding", "8bit" if eight_bit else "7bit"),
    ]
    header = b"".join([write_field(name, value) for name, value in fields if value])
    delimiter = f"--{boundary}\r\n".encode()
    body = b"".join([delimiter + part.to_bytes() + b"\r\n" for part in parts])
    return header + b"\r\n" + body + f"--{boundary}--\r\n".encode()


def _kind(actions: set[str]) -> str:
    return next((subject for action, subject in _SUBJECTS.items() if action in actions), "Success")


def _failed(report: Report) -> str:
    """The addresses that failed; in an ASCII header those that are ASCII."""
    failed = (recipient.address for recipient in report.recipients if recipient.action == "failed")
    return ", ".join(address for address in failed if address.isascii() or not report.to.isascii())


def _original_identity(header: bytes) -> tuple[str, str]:
    """Return the original's subject, decoded, and its Message-ID; "" for what it has not."""
    try:
        parsed = Header.parse(header, max_octets=len(header), max_fields=len(header))
    except BadSyntax:
        return "", ""
    subjects, message_ids = parsed.get_all(b"Subject"), parsed.get_all(b"Message-ID")
    subject = decode(subjects[0].value)[:MAX_SHOWN_SUBJECT] if subjects else ""
    message_id = message_ids[0].value if message_ids else b""
    usable = message_id.isascii() and is_message_id(message_id)
    return subject, message_id.decode("ascii") if usable else ""


def _text_part(report: Report, subject: str) -> _Part:
    text = write_text(report, subject)
    if text.isascii():
        return _Part("text/plain; charset=us-ascii", "Explanation", "7bit", text.encode("ascii"))
    content = _quoted_printable(text.encode("utf-8", "replace"))
    return _Part("text/plain; charset=utf-8", "Explanation", "quoted-printable", content)


def _status_part(report: Report) -> _Part:
    content = write_status(report)
    if report.international:
        encoding = "7bit" if content.isascii() else "8bit"
        return _Part("message/global-delivery-status", "Delivery report", encoding, content)
    return _Part("message/delivery-status", "Delivery report", "7bit", content)


def _original_part(report: Report) -> _Part:
    """Return the third part: the original message, or its header.

    Spec: RFC 3461 6.2, RFC 6533 5
    """
    original = report.original
    if original is None:
        return _header_part(report.original_header, report.international)
    header, _ = split_message(original)
    description = "Original message"
    # Only message/global may have a header that is not ASCII, and may be encoded (RFC 6532 3.7).
    if header.isascii() or not _is_utf8(header):
        return _Part("message/rfc822", description, "7bit" if original.isascii() else "8bit", original)
    if report.international:
        return _Part("message/global", description, "8bit", original)
    return _Part("message/global", description, "base64", _base64(original))


def _header_part(header: bytes, international: bool) -> _Part:
    media_type = (
        "text/rfc822-headers" if header.isascii() or not _is_utf8(header) else "message/global-headers"
    )
    description = "Header of the original message"
    if _can_travel(header):
        if header.isascii():
            return _Part(media_type, description, "7bit", header)
        if international and _is_utf8(header):
            return _Part(media_type, description, "8bit", header)
    # RFC 6522 4 and RFC 6533 5 let both types be encoded where their octets could not travel as they are.
    return _Part(media_type, description, "quoted-printable", _quoted_printable(header))


def _base64(octets: bytes) -> bytes:
    """Encode *octets* in lines of 76 characters. Spec: RFC 2045 6.8"""
    return b"\r\n".join([b2a_base64(octets[at : at + 57], newline=False) for at in range(0, len(octets), 57)])


def _quoted_printable(octets: bytes) -> bytes:
    """Encode *octets* so that every one comes back, also CR and LF that are no line ends."""
    coded = b2a_qp(octets, istext=_BARE(octets) is None)
    # It ends the lines of its own making with LF alone where the content has no line that shows how.
    return coded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _can_travel(octets: bytes) -> bool:
    """Say whether mail can carry *octets* as they are: whole lines, none too long, no NUL."""
    return _BARE(octets) is None and max(map(len, octets.split(b"\r\n"))) <= MAX_LINE_OCTETS


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
