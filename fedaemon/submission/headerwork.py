"""The work on a message's header, the only change that fedaemon makes to a message.

Submission: Bcc and Return-Path removed, Date and Message-ID added or repaired, Received added. Everything
else keeps its order, folding and bytes, so that signatures made by the application stay valid.

Standards: RFC 6409 8 (what a submission server may add), RFC 5321 4.4 (Received, Return-Path) and 6.3
(loops), RFC 5322 3.6 (fields), RFC 3848 (protocol keyword), RFC 8689 3 (TLS-Required).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fedaemon.errors import Refused
from fedaemon.message.date import format_date, parse_date
from fedaemon.message.header import Header
from fedaemon.message.message_id import is_message_id, new_message_id
from fedaemon.message.received import format_received, protocol_keyword
from fedaemon.submission.envelope import Envelope, Peer

_RECEIVED = re.compile(rb"(?mi)^received[ \t]*:")
_RETURN_PATH = re.compile(rb"(?mi)^return-path[ \t]*:")
_TLS_REQUIRED = re.compile(rb"(?mi)^tls-required[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)")
_MESSAGE_ID = re.compile(rb"(?mi)^message-id[ \t]*:\s*([^\s]+)")
MAX_LOGGED = 256
"""Octets of a Message-ID in the log; honest ones are shorter."""
HIDDEN_CLIENT = "client"
"""What Received calls a submitting client: its own name and address are nobody's business (RFC 5321 7.6)."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What our Received field says besides the peer and the envelope."""

    hostname: str
    queue_id: str
    now_s: float
    show_client: bool

    def field(self, peer: Peer, envelope: Envelope) -> str:
        """Return the value of the Received field for this message."""
        recipient = None
        if len(envelope.recipients) == 1:
            recipient = str(next(iter(envelope.recipients.values())).address)
        return format_received(
            helo=peer.helo if self.show_client else HIDDEN_CLIENT,
            protocol=protocol_keyword(
                extended=peer.extended,
                utf8=envelope.smtputf8,
                tls=bool(peer.tls),
                authenticated=peer.account is not None,
            ),
            by=self.hostname,
            queue_id=self.queue_id,
            when_s=self.now_s,
            client=address_literal(peer.address) if self.show_client else None,
            tls=peer.tls,
            recipient=recipient,
        )


@dataclass(frozen=True, slots=True)
class SubmittedHeader:
    """A header after the work, and the identification its sender gave it (both usable, or both empty)."""

    octets: bytes
    message_id: bytes
    date: bytes


def address_literal(address: str) -> str:
    """Return an IP address as Received has it. Spec: RFC 5321 4.1.3"""
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def check_loop(received: int, limit: int) -> None:
    """Raise ``Refused`` when a message has passed through more than *limit* servers (RFC 5321 6.3)."""
    if received > limit:
        raise Refused(
            f"the message has {received} Received fields, more than {limit}: it runs in a loop",
            code=554,
            status="5.4.6",
        )


def tls_is_optional(fields: list[bytes]) -> bool:
    """Return whether the values of the TLS-Required fields say that delivery matters more than TLS.

    "No" is the only value that there is, and there must be only one field: several say nothing.

    Spec: RFC 8689 3
    """
    return len(fields) == 1 and fields[0].strip(b" \t\r\n").lower() == b"no"


def find_tls_required(header: bytes) -> list[bytes]:
    """Return the values of the TLS-Required fields of a header that may be malformed."""
    # Nearly no message has the field: what costs least is looked at first.
    if b"tls-required" not in header.lower():
        return []
    return _TLS_REQUIRED.findall(header)


def find_message_id(header: bytes) -> str:
    """Return what stands in the first Message-ID field of a header that may be malformed, for the log."""
    found = _MESSAGE_ID.search(header)
    return found[1][:MAX_LOGGED].decode("utf-8", "replace") if found is not None else ""


def complete(header: Header, trace: Trace, peer: Peer, envelope: Envelope, domain: str) -> SubmittedHeader:
    """Do the header work of submission.

    :param header: the parsed header, changed in place.
    :param domain: the right-hand side of a Message-ID that has to be made.
    """
    header.remove(b"bcc", b"resent-bcc", b"return-path")
    dates = header.get_all(b"date")
    given_date = dates[0].value if len(dates) == 1 and parse_date(dates[0].value) is not None else b""
    if not given_date:
        header.replace("Date", format_date(trace.now_s))
    ids = header.get_all(b"message-id")
    given_id = ids[0].value if len(ids) == 1 and is_message_id(ids[0].value) else b""
    if not given_id:
        header.replace("Message-ID", new_message_id(domain))
    header.prepend("Received", trace.field(peer, envelope))
    known = bool(given_id and given_date)
    return SubmittedHeader(header.to_bytes(), given_id if known else b"", given_date if known else b"")


def stamp(header: bytes, trace: Trace, peer: Peer, envelope: Envelope, max_received: int) -> bytes:
    """Do the header work for mail from other servers: Received added, Return-Path removed, nothing judged.

    *header* may be malformed: such mail exists, and what it looks like is for filters to weigh.
    """
    check_loop(len(_RECEIVED.findall(header)), max_received)
    new = Header.parse(b"", max_octets=0, max_fields=0)
    new.prepend("Received", trace.field(peer, envelope))
    if _RETURN_PATH.search(header):
        header = _without_return_path(header)
    return new.to_bytes() + header


def _without_return_path(header: bytes) -> bytes:
    """Drop Return-Path fields with their continuation lines; the final server writes the only true one."""
    kept: list[bytes] = []
    dropping = False
    for line in header.splitlines(keepends=True):
        if not line.startswith((b" ", b"\t")):
            dropping = _RETURN_PATH.match(line) is not None
        if not dropping:
            kept.append(line)
    return b"".join(kept)
