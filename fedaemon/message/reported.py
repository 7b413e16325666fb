"""What a report says, before it is written: one message, and what became of it for some of its recipients.

Standards: RFC 3464 2.2 (per-message fields), 2.3 (per-recipient fields), RFC 2852 (Deliver-By-Date).
"""

from __future__ import annotations

from dataclasses import dataclass

from fedaemon.message.xtext import original_recipient


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """What became of the message for one recipient.

    :ivar address: the recipient as delivery was tried, without brackets.
    :ivar action: "failed", "delayed", "delivered", "relayed" or "expanded" (RFC 3464 2.3.3).
    :ivar status: enhanced status code; "" for the general one of the action.
    :ivar original: the ORCPT value as it was given (``rfc822;xtext``), "" without.
    :ivar remote_host: the host that was tried, "" when it did not come to that.
    :ivar reply: the whole reply of that host, "" when there was none.
    :ivar failure: without a reply, what went wrong in a few words, for programs; "" for nothing.
    :ivar explanation: what happened, one or more plain sentences.
    :ivar category: what kind of failure it was, as the classification of replies calls it, "" for unknown.
    :ivar last_attempt_s: when delivery was last tried, seconds since the epoch.
    :ivar will_retry_until_s: until when it will be tried, for "delayed".
    """

    address: str
    action: str
    status: str
    original: str = ""
    remote_host: str = ""
    reply: str = ""
    failure: str = ""
    explanation: str = ""
    category: str = ""
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
    :ivar smtputf8: the sender is known to take international mail; it is if *to* is not ASCII.
    :ivar deliver_by_s: until when delivery was asked for (DELIVERBY), None when it was not.
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
    smtputf8: bool = False
    deliver_by_s: float | None = None

    @property
    def international(self) -> bool:
        """True when non-ASCII addresses are concerned and whoever gets the report can read them.

        Spec: RFC 6533 3
        """
        if not self.to.isascii():
            return True
        concerned = (text for each in self.recipients for text in (each.address, each.original))
        return self.smtputf8 and not all(map(_plain, concerned))


def _plain(address: str) -> bool:
    """True for an address, or an ORCPT value with one, that ASCII can write."""
    return original_recipient(address).isascii() and address.isascii()
