"""What a report says, before it is written: one message, and what became of it for some of its recipients.

Standards: RFC 3464 2.2 (per-message fields), 2.3 (per-recipient fields).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """What became of the message for one recipient.

    :ivar address: the recipient as delivery was tried, without brackets.
    :ivar action: "failed", "delayed", "delivered", "relayed" or "expanded" (RFC 3464 2.3.3).
    :ivar status: enhanced status code; "" for the general one of the action.
    :ivar original: the ORCPT value as it was given (``rfc822;xtext``), "" without.
    :ivar remote_host: the host that gave *reply*, "" when there was none.
    :ivar reply: the whole reply of that host, "" when there was none.
    :ivar explanation: what happened, one or more plain sentences.
    :ivar last_attempt_s: when delivery was last tried, seconds since the epoch.
    :ivar will_retry_until_s: until when it will be tried, for "delayed".
    """

    address: str
    action: str
    status: str
    original: str = ""
    remote_host: str = ""
    reply: str = ""
    explanation: str = ""
    last_attempt_s: float | None = None
    will_retry_until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a report is about.

    :ivar reporting_host: our host name, in A-labels.
    :ivar to: the reverse-path of the message, without brackets; the report goes there.
    :ivar queue_id: our name for the message.
    :ivar arrival_s: when we accepted it, seconds since the epoch.
    :ivar envelope_id: the ENVID value as it was given (xtext), "" without.
    :ivar recipients: at least one.
    :ivar original_header: the message's header block.
    :ivar original: the whole message where it is to go back (RET=FULL), else None.
    :ivar now_s: when the report is made.
    """

    reporting_host: str
    to: str
    queue_id: str
    arrival_s: float
    envelope_id: str
    recipients: tuple[ReportedRecipient, ...]
    original_header: bytes
    original: bytes | None
    now_s: float
