"""The event log: one line for each outcome, for people with grep and for programs.

    delivered id=… from=<…> to=<…> account=… host=mx.example.net address=192.0.2.1 tls="TLSv1.3 …" policy=…
    code=250 status=2.0.0 delay_s=1.234 attempts=1 reply="queued as 42"

Events: delivered; deferred (tried again at *next*); bounced (a permanent refusal); expired (given up).
Fields, all text unless said: ``id`` queue id; ``from`` the reverse-path, "" for a report; ``to`` the
recipient; ``account`` who sent it, "" for mail from outside; ``host`` and ``address`` of the next host;
``source`` our address there; ``tls`` version and cipher; ``policy`` the TLS policy that held; ``code`` SMTP
reply code, a number, None without a reply; ``status`` enhanced status code; ``category`` and ``rule`` of the
classification; ``delay_s`` seconds since acceptance, a number; ``attempts`` a number; ``next`` the next
attempt, RFC 3339 in UTC; ``reply`` what the remote server said, or what went wrong.

Standards: RFC 3339 5.6 (times).
Limits: MAX_REPLY characters of a reply.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from fedaemon import counters
from fedaemon.delivery.records import MessageRecord, RecipientRecord
from fedaemon.delivery.transport import Outcome
from fedaemon.logs import Logger

OUTCOMES: Final = ("delivered", "deferred", "bounced", "expired")
"""The events."""

MAX_REPLY: Final = 256

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

    :param event: one of ``OUTCOMES``.
    :param next_attempt_ms: when it is tried again, 0 for never.
    """
    counters.count("delivery_outcomes_total", result=event, category=outcome.category)
    if event == "delivered":
        counters.observe("delivery_duration_seconds", outcome.duration_ms / 1000)
    fields: dict[str, Any] = {
        "id": queue_id,
        "from": message.sender,
        "to": recipient.address,
        "account": message.account or "",
        "host": outcome.host,
        "address": outcome.address,
        "source": outcome.source,
        "tls": outcome.tls,
        "policy": outcome.policy,
        "code": outcome.code or None,
        "status": outcome.status,
        "category": outcome.category,
        "rule": outcome.rule,
        "delay_s": (now_ms - message.accepted_ms) / 1000,
        "attempts": recipient.attempts,
        "next": rfc3339(next_attempt_ms) if next_attempt_ms else "",
        "reply": outcome.text[:MAX_REPLY],
    }
    _log.info(event=event, **fields)


def rfc3339(at_ms: int) -> str:
    """Return a time in milliseconds since the epoch, to the second. Spec: RFC 3339 5.6"""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
