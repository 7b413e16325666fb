"""The part of a report that people read: what happened, what the other server said, and what happens next.

Standards: RFC 3461 6.2 (a human-readable part), RFC 3676 is not used (fixed lines).
Invariants: every line is at most MAX_TEXT plus an indent long and ends with CRLF; nothing that a remote
server said can look like a part of the report, because it is always one indented paragraph.
Limits: MAX_TEXT characters of a reply, an explanation or a subject are shown.
"""

from __future__ import annotations

import re
from typing import Final

from fedaemon.message.date import format_date
from fedaemon.message.reported import Report, ReportedRecipient
from fedaemon.message.xtext import original_recipient

LINE_WIDTH: Final = 72
"""Fits every window, also quoted in an answer."""
MAX_TEXT: Final = 900
"""Longer than any reply line (512 octets, RFC 5321 4.5.3.1.5), shorter than a line of mail may be."""

_SECTIONS: Final = {
    "failed": "Your message could not be delivered to:",
    "delayed": "Your message has not been delivered yet to:",
    "delivered": "Your message was delivered to:",
    "relayed": "Your message was handed on to a server that does not report on delivery, for:",
    "expanded": "Your message reached a list or alias and was passed on to its members, for:",
}
_NEXT: Final = {
    "failed": "What happens next: nothing more is tried for this recipient. If the address is wrong, send the"
    " message again to the right one; if not, the reason above says whom to ask.",
    "delivered": "What happens next: nothing; this is the confirmation that was asked for.",
    "relayed": "What happens next: the other server delivers it; you will hear no more unless that fails.",
    "expanded": "What happens next: the members get it; you will hear no more unless that fails.",
}
_CONTROL = re.compile(r"[\x00-\x20\x7f]+").sub


def write_text(report: Report, subject: str) -> str:
    """Return the text, lines with CRLF.

    :param subject: the message's subject, decoded, "" when it has none.

    Spec: RFC 3461 6.2
    """
    lines = [f"This is the mail server {report.reporting_host}.", ""]
    for action, heading in _SECTIONS.items():
        concerned = [recipient for recipient in report.recipients if recipient.action == action]
        if not concerned:
            continue
        lines += [*_wrapped(heading, ""), ""]
        for recipient in concerned:
            lines += [*_about(recipient), ""]
    lines.append("The message this is about:")
    if subject:
        lines += _wrapped(f"Subject: {_clean(subject)}", "  ")
    lines += [f"  Accepted: {format_date(report.arrival_s)}", f"  Queue ID: {report.queue_id}", ""]
    lines += _wrapped(
        "The next part repeats this for mail programs; after it comes the original message.", ""
    )
    return "\r\n".join([*lines, ""])


def _about(recipient: ReportedRecipient) -> list[str]:
    lines = _wrapped(f"<{recipient.address}>", "  ")
    sent_to = original_recipient(recipient.original).partition(";")[2]
    if sent_to and sent_to != recipient.address:
        lines += _wrapped(f"You sent it to: {_clean(sent_to)}", "    ")
    if recipient.explanation:
        lines += _wrapped(f"What happened: {_clean(recipient.explanation)}", "    ")
    if recipient.reply:
        host = f"The server {recipient.remote_host}" if recipient.remote_host else "The other server"
        lines += _wrapped(f"{host} said: {_clean(recipient.reply)}", "    ")
    if recipient.action == "delayed":
        lines += _wrapped(_next_of_delayed(recipient.will_retry_until_s), "    ")
    else:
        lines += _wrapped(_NEXT[recipient.action], "    ")
    return lines


def _next_of_delayed(until_s: float | None) -> str:
    until = "" if until_s is None else f" until {format_date(until_s)}"
    return (
        f"What happens next: delivery is tried again{until}. You need not send the message again;"
        " you will hear if it fails."
    )


def _clean(text: str) -> str:
    return _CONTROL(" ", text).strip()[:MAX_TEXT]


def _wrapped(text: str, indent: str) -> list[str]:
    """Break *text* at spaces into lines of LINE_WIDTH; a longer word, such as an address, stays whole."""
    lines: list[str] = []
    line = indent
    for word in text.split():
        if len(line) + len(word) >= LINE_WIDTH and len(line) > len(indent):
            lines.append(line)
            line = indent
        line += f" {word}" if len(line) > len(indent) else word
    return [*lines, line]
