"""What delivery asks of a transport: one attempt to hand one message to the hosts of one destination.

delivery defines this interface and never imports smtp; app gives it a transport (the SMTP client, the local
mailbox, the capture of local mode).

Standards: RFC 5321 4.2, RFC 3463, RFC 3461 (the parameters handed on).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from fedaemon.store.interface import Content, Transaction


class TlsPolicy(Enum):
    """How much TLS a connection to the next host must have."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # use it when offered; without it after a failed handshake
    REQUIRED = "required"  # encrypted or not at all; whatever certificate there is will do
    VERIFY = "verify"  # encrypted, and the certificate's chain and name are checked
    DANE = "dane"  # encrypted, and the certificate matches one of the TLSA records


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A usable TLSA record: *usage* 2 (DANE-TA) or 3 (DANE-EE). Spec: RFC 6698 2.1, RFC 7672 3.1"""

    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class HostTls:
    """What TLS a connection to one host must have, and who says so.

    *policy* is shown to people and stored with each delivery: "opportunistic", "dane", "mta-sts enforce",
    "mta-sts testing", "route", "domain", "requiretls" or "tls-required: no". *names* are what the certificate
    may be for (VERIFY, and DANE with usage 2), by default the host's name. A host with a *problem* must not be
    used, unless *testing*: the text says why, and *failure* is the result type of RFC 8460 4.3 that goes with
    it. *testing*: the certificate is checked and the result counted, but the message is delivered whatever it
    is.
    """

    level: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    policy: str = "opportunistic"
    names: tuple[str, ...] = ()
    tlsa: tuple[Tlsa, ...] = ()
    testing: bool = False
    problem: str = ""
    failure: str = ""


OPPORTUNISTIC: Final = HostTls()


@dataclass(frozen=True, slots=True)
class NextHost:
    """One host to try, with its addresses in the order to try them."""

    name: str
    addresses: tuple[str, ...]
    port: int
    tls: HostTls = OPPORTUNISTIC
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Where connections come from: a local *address* of either family, and our name in EHLO there."""

    address: str
    hostname: str


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How a connection to a site may be used: *messages* over its life, *idle_s* between two of them,
    *recipients* in one transaction. One message: connections are not reused.
    """

    messages: int = 100
    idle_s: float = 5.0
    recipients: int = 100


DEFAULT_LIMITS: Final = ConnectionLimits()


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
    "BINARYMIME". *ret* and *envid* are DSN parameters as given ("" when absent). *tls_optional*: the author
    prefers delivery to TLS (``TLS-Required: No``, RFC 8689 5). *deliver_by_s* is what is left of the time that
    DELIVERBY gave (RFC 2852; may be negative), *deliver_by_mode* "R", "N", "RT" or "NT", "" without one.
    *priority* is -9 to 9 (RFC 6710). *sources* are the addresses that may be used, best first; none: the
    system chooses.
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
    tls_optional: bool = False
    deliver_by_s: int = 0
    deliver_by_mode: str = ""
    priority: int = 0
    sources: tuple[Source, ...] = ()
    limits: ConnectionLimits = DEFAULT_LIMITS


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
    *tls* says what protected the connection, such as "TLSv1.3 TLS_AES_256_GCM_SHA384" ("" for none);
    *certificate* what was found about the certificate ("" without TLS, "trusted", "dane", or what is wrong with
    it, such as "self-signed"); *policy* is the ``HostTls.policy`` that held; *tls_failure* the result type of
    RFC 8460 4.3 when TLS or its policy was what failed. *source* is the local address of the connection,
    *reused* says that it had carried messages before. *dsn_passed_on*: the next host takes over the duty to
    report (RFC 3461 5.2.2); *limit_lost*: it does not know of the time that DELIVERBY gave. *effect* is run
    in the transaction that records the outcome (a local delivery appends to the mailbox there). *category*,
    *rule*, *explanation* and *slow_down* (the host wants less mail at a time) are added by the
    classification, *site* by the lane. *again_ms* overrules the schedule: when to try again, 0 for as the
    schedule says.
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
    certificate: str = ""
    policy: str = ""
    tls_failure: str = ""
    source: str = ""
    reused: bool = False
    category: str = ""
    rule: str = ""
    explanation: str = ""
    site: str = ""
    slow_down: bool = False
    again_ms: int = 0
    dsn_passed_on: bool = False
    limit_lost: bool = False
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
