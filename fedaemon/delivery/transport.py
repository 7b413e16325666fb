"""What delivery asks of a transport: one attempt to hand one message to the hosts of one destination.

delivery defines this interface and never imports smtp; app gives it a transport (the SMTP client, the local
mailbox, the capture of local mode).

Standards: RFC 5321 4.2, RFC 3463, RFC 3461 (the parameters handed on).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred

from fedaemon.store.interface import Content, Transaction


class TlsPolicy(Enum):
    """How much TLS a connection to the next host must have."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # use it when offered; without it after a failed handshake
    REQUIRED = "required"  # encrypted or not at all; the certificate is not looked at
    VERIFY = "verify"  # encrypted, and the certificate's chain and name are checked


@dataclass(frozen=True, slots=True)
class NextHost:
    """One host to try, with its addresses in the order to try them."""

    name: str
    addresses: tuple[str, ...]
    port: int
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of an attempt: *number* is its place in the message's queue records.

    *address* is the forward-path without brackets. *notify* is the DSN NOTIFY value as given ("" when absent,
    e.g. "SUCCESS,FAILURE"), *orcpt* the ORCPT value as given ("" when absent).
    """

    number: int
    address: str
    notify: str = ""
    orcpt: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One message for some recipients that share a destination.

    *sender* is the reverse-path without brackets, "" for a report. *body* is "7BIT", "8BITMIME" or
    "BINARYMIME". *ret* and *envid* are DSN parameters as given ("" when absent).
    """

    queue_id: str
    sender: str
    recipients: tuple[Recipient, ...]
    content: Content
    hosts: tuple[NextHost, ...]
    body: str = "8BITMIME"
    smtputf8: bool = False
    require_tls: bool = False
    ret: str = ""
    envid: str = ""


class Result(Enum):
    """How an attempt ended for one recipient."""

    DELIVERED = "delivered"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one recipient, with everything the timeline and a report need.

    *code* is the SMTP reply code (0 when no reply was had), *status* the enhanced status code ("" when none),
    *text* the reply or a description of the failure without line ends (at most 512 characters). *phase* is
    one of "connect", "tls", "greeting", "ehlo", "auth", "mail", "rcpt", "data", "content", "local", "dns".
    *tls* says what protected the connection, such as "TLSv1.3 TLS_AES_256_GCM_SHA384" ("" for none). *effect*
    is run in the transaction that records the outcome (a local delivery appends to the mailbox there).
    """

    number: int
    result: Result
    text: str
    code: int = 0
    status: str = ""
    phase: str = ""
    host: str = ""
    address: str = ""
    tls: str = ""
    duration_ms: int = 0
    dsn_passed_on: bool = False
    effect: Callable[[Transaction], None] | None = None


class Transport(Protocol):
    """Something that can carry a message one hop further."""

    def attempt(self, attempt: Attempt) -> Deferred[list[Outcome]]:
        """Try to hand the message over; fire with exactly one outcome for each recipient, never fail.

        Hosts are tried in order and each host's addresses in order, until one has given every recipient a
        final answer: a connection, TLS or greeting failure, or a 4yz before any recipient was accepted, goes
        to the next host; a 5yz to a command about the message or a recipient is that recipient's answer.
        """

    def close(self) -> Deferred[None]:
        """Let running attempts end (at most the drain time), then close what is open."""
