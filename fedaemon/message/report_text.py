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
    "relayed": "Your message was handed on to the next mail server, for:",
    "expanded": "Your message reached a list or alias and was passed on to its members, for:",
}
_NEXT: Final = {
    "delivered": "nothing; this is the confirmation that was asked for.",
    "relayed": "the other server delivers it; you will hear no more unless that fails.",
    "expanded": "the members get it; you will hear no more unless that fails.",
}
_FAILED: Final = "nothing more is tried for this recipient."
_ADVICE: Final = {
    "recipient": "Check the address for mistakes; if it is right, ask the recipient in another way.",
    "capacity": "The recipient has to make room first; then send the message again.",
    "message": "Send it again in a form that the other server takes: the reason above says what it minds.",
    "spam": "The other server takes it for unwanted mail. If it is not, ask your mail administrator for help.",
    "virus": "The other server found something dangerous in it. Check your attachments and your computer.",
    "network": "The fault lies between the servers or at the other one. Ask the recipient in another way, or"
    " send the message again later.",
    "config": "The other side is not set up as it should be. Ask the recipient in another way.",
    "rate": "The other server takes no more mail for now. Send the message again later.",
}
"""By category of failure: what the sender can do."""
_SENDERS_SIDE: Final = frozenset(
    {"auth", "block", "blocklist", "dmarc", "envelope", "policy", "protocol", "sender"}
)
_ASK: Final = "This is for your mail administrator to solve: show this report."
_OTHERWISE: Final = (
    "If the address is wrong, send the message again to the right one; if not, the reason above says whom to"
    " ask."
)
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
    enclosed = "the original message" if report.original is not None else "its header"
    lines += _wrapped(f"The next part repeats this for mail programs; after it comes {enclosed}.", "")
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
    return [*lines, *_wrapped(f"What happens next: {_next(recipient)}", "    ")]


def _next(recipient: ReportedRecipient) -> str:
    """Say what the server does next, and what its user can do."""
    if recipient.action == "failed":
        ask = _ASK if recipient.category in _SENDERS_SIDE else _OTHERWISE
        return f"{_FAILED} {_ADVICE.get(recipient.category, ask)}"
    if recipient.action != "delayed":
        return _NEXT[recipient.action]
    until_s = recipient.will_retry_until_s
    until = "" if until_s is None else f" until {format_date(until_s)}"
    return f"delivery is tried again{until}. You need not send the message again; you will hear if it fails."


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
