"""The event log: one line for each outcome, for people with grep and for programs.

Each line begins with the event and goes on with name=value pairs, always in the same order; what is empty is
left out. The same fields stand in the log event under the same names, for observers that write JSON.

    delivered id=… from=<…> to=<…> account=… host=mx.example.net[192.0.2.1] tls="TLSv1.3 …" policy=… code=250
    status=2.0.0 delay=1.2s attempts=1 reply="queued as 42"

Events: delivered; deferred (tried again at *next*); bounced (a permanent refusal); expired (given up).
Fields, all text unless said: ``event``; ``id`` queue id; ``from`` the reverse-path, "" for a report; ``to`` the
recipient; ``account`` who sent it, "" for mail from outside; ``code`` SMTP reply code, a number, 0 without a
reply; ``status`` enhanced status code; ``category`` and ``rule`` of the classification; ``host`` and ``address``
of the next host (in the line ``host[address]``); ``source`` our address there; ``tls`` version and cipher;
``policy`` the TLS policy that held; ``attempts`` a number; ``delay_s`` seconds since acceptance, a number (in
the line ``delay``); ``next`` the next attempt, RFC 3339 in UTC; ``reply`` what the remote server said, or what
went wrong.

Standards: RFC 3339 5.6 (times).
Invariants: nothing that a peer says can end the line or look like another field: a value with anything but plain
ASCII without space, quote, backslash and equals sign is put in quotes, and what could end these or the line, or
cannot be seen, is escaped as in JSON.
Limits: MAX_REPLY characters of a reply.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, Final

from twisted.logger import Logger

from fedaemon import counters
from fedaemon.delivery.records import MessageRecord, RecipientRecord
from fedaemon.delivery.transport import Outcome

MAX_REPLY: Final = 256

_plain = re.compile(r"[!#-<>-\[\]-~]+").fullmatch

_log = Logger()


def log_outcome(
    queue_id: str,
    message: MessageRecord,
    recipient: RecipientRecord,
    outcome: Outcome,
    event: str,
    now_ms: int,
    next_attempt_ms: int,
) -> None:
    """Write the line for one recipient and count it; to be called once the outcome is recorded.

    :param event: delivered, deferred, bounced or expired.
    :param next_attempt_ms: when it is tried again, 0 for never.
    """
    counters.count("delivery_outcomes_total", result=event, category=outcome.category)
    if event == "delivered":
        counters.observe("delivery_duration_seconds", outcome.duration_ms / 1000)
    fields: dict[str, Any] = {
        "event": event,
        "id": queue_id,
        "from": message.sender,
        "to": recipient.address,
        "account": message.account or "",
        "host": outcome.host,
        "address": outcome.address,
        "source": outcome.source,
        "tls": outcome.tls,
        "policy": outcome.policy,
        "code": outcome.code,
        "status": outcome.status,
        "category": outcome.category,
        "rule": outcome.rule,
        "delay_s": (now_ms - message.accepted_ms) / 1000,
        "attempts": recipient.attempts,
        "next": rfc3339(next_attempt_ms) if next_attempt_ms else "",
        "reply": outcome.text[:MAX_REPLY],
    }
    _log.info("{line}", line=line(fields), **fields)


def line(fields: dict[str, Any]) -> str:
    """Return the line for the fields of an outcome."""
    where = fields["host"]
    if fields["address"]:
        where += f"[{fields['address']}]"
    shown = (
        ("account", fields["account"]),
        ("host", where),
        ("source", fields["source"]),
        ("tls", fields["tls"]),
        ("policy", fields["policy"]),
        ("code", str(fields["code"] or "")),
        ("status", fields["status"]),
        ("category", fields["category"]),
        ("rule", fields["rule"]),
    )
    pairs = "".join([f" {name}={quoted(value)}" for name, value in shown if value])
    rest = "".join([f" {name}={quoted(fields[name])}" for name in ("next", "reply") if fields[name]])
    sender, to = quoted(f"<{fields['from']}>"), quoted(f"<{fields['to']}>")
    return (
        f"{fields['event']} id={fields['id']} from={sender} to={to}{pairs}"
        f" delay={fields['delay_s']:.1f}s attempts={fields['attempts']}{rest}"
    )


def quoted(value: str) -> str:
    """Return *value* so that it is one value whatever it says."""
    if _plain(value) is not None:
        return value
    if value.isprintable():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return json.dumps(value)


def rfc3339(at_ms: int) -> str:
    """Return a time in milliseconds since the epoch, to the second. Spec: RFC 3339 5.6"""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
