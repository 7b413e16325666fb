"""The envelope as commands: MAIL and RCPT with the parameters a server offered, and what it cannot carry.

Standards: RFC 5321 4.1.1.2 and 4.1.1.3, RFC 1870 (SIZE), RFC 6152 (BODY), RFC 3030 (BINARYMIME), RFC 6531
(SMTPUTF8), RFC 3461 (DSN), RFC 8689 (REQUIRETLS), RFC 2852 (DELIVERBY), RFC 6710 (MT-PRIORITY).
Invariants: a command line holds no control characters and a parameter no space, whatever an address or
parameter holds (ValueError: it is our own fault when one gets here); no parameter is sent that was not
offered.
Known gaps: 8-bit content goes as it is to a server that does not offer 8BITMIME (no conversion to
quoted-printable).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from fedaemon.smtp.client_capabilities import Capabilities

MOST_BY_S = 999_999_999
"""The largest value that DELIVERBY can express (RFC 2852 4: nine digits)."""

_UNSAFE_PATH = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE_VALUE = re.compile(r"[\x00-\x20\x7f]")


class EnvelopeRecipient(Protocol):
    """One recipient: the forward-path without brackets, and the DSN values as given ("" when absent)."""

    @property
    def address(self) -> str: ...
    @property
    def notify(self) -> str: ...
    @property
    def orcpt(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """One transaction: *sender* is the reverse-path without brackets, *size* the content's octets.

    *body* is "7BIT", "8BITMIME" or "BINARYMIME"; *ret* and *envid* are DSN values as given ("" when absent).
    *by_s* is the time left for delivery (may be negative), *by_mode* "R", "N", "RT" or "NT", "" for no limit.
    *priority* is -9 to 9.
    """

    sender: str
    recipients: Sequence[EnvelopeRecipient]
    size: int
    body: str = "8BITMIME"
    smtputf8: bool = False
    require_tls: bool = False
    ret: str = ""
    envid: str = ""
    by_s: int = 0
    by_mode: str = ""
    priority: int = 0

    @property
    def needs_utf8(self) -> bool:
        """True when only a server with SMTPUTF8 can take it."""
        return (
            self.smtputf8
            or not self.sender.isascii()
            or not all(recipient.address.isascii() for recipient in self.recipients)
        )


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a server cannot be given a message; *host_only*: another host of the destination may be able to."""

    status: str
    text: str
    host_only: bool = False


def find_obstacle(envelope: Envelope, capabilities: Capabilities) -> Obstacle | None:
    """Return what keeps a server with *capabilities* from taking *envelope*, or None.

    Spec: RFC 1870 6, RFC 6531 3.2, RFC 3030 3, RFC 8689 4.2, RFC 2852 4
    """
    # A report (empty sender) goes on without it rather than getting lost: RFC 8689 5.
    if envelope.require_tls and envelope.sender and "REQUIRETLS" not in capabilities:
        return Obstacle(
            "5.7.30", "the message asks for REQUIRETLS, which the host does not offer", host_only=True
        )
    if envelope.by_mode.startswith("R") and (obstacle := _lateness(envelope.by_s, capabilities)) is not None:
        return obstacle
    limit = capabilities.size_limit
    if limit and envelope.size > limit:
        return Obstacle("5.3.4", f"the message has {envelope.size} octets, the host takes at most {limit}")
    if "SMTPUTF8" not in capabilities and envelope.needs_utf8:
        return Obstacle(
            "5.6.7", "the message needs SMTPUTF8 (non-ASCII addresses), which the host does not offer"
        )
    if envelope.body == "BINARYMIME" and not ("BINARYMIME" in capabilities and "CHUNKING" in capabilities):
        return Obstacle("5.6.3", "the message is binary (BINARYMIME), which the host does not offer to take")
    return None


def _lateness(by_s: int, capabilities: Capabilities) -> Obstacle | None:
    """Return what keeps a message that must be returned after *by_s* from being relayed: then it must stay.

    Spec: RFC 2852 4
    """
    if by_s <= 0:
        return Obstacle("5.4.7", "the time within which the message was to be delivered is over")
    least_s = capabilities.least_deliver_by_s
    if least_s is None:
        return Obstacle(
            "5.3.3",
            "the message is to be returned when it is late (DELIVERBY), which the host does not offer",
            host_only=True,
        )
    if by_s < least_s:
        text = f"the message has {by_s} s left for delivery, the host takes none with less than {least_s} s"
        return Obstacle("5.4.7", text, host_only=True)
    return None


def mail_command(envelope: Envelope, capabilities: Capabilities) -> bytes:
    """Return the MAIL command.

    Spec: RFC 5321 4.1.1.2
    """
    parts = [f"MAIL FROM:<{_path(envelope.sender)}>"]
    if "SIZE" in capabilities:
        parts.append(f"SIZE={envelope.size}")
    if envelope.body == "BINARYMIME" or (envelope.body == "8BITMIME" and "8BITMIME" in capabilities):
        parts.append(f"BODY={envelope.body}")
    if envelope.needs_utf8:
        parts.append("SMTPUTF8")
    if envelope.require_tls and "REQUIRETLS" in capabilities:
        parts.append("REQUIRETLS")
    if "DSN" in capabilities:
        if envelope.ret:
            parts.append(f"RET={_value(envelope.ret)}")
        if envelope.envid:
            parts.append(f"ENVID={_value(envelope.envid)}")
    if envelope.by_mode and "DELIVERBY" in capabilities:
        by_s = max(-MOST_BY_S, min(envelope.by_s, MOST_BY_S))
        parts.append(f"BY={by_s};{_value(envelope.by_mode)}")
    if envelope.priority and "MT-PRIORITY" in capabilities:
        parts.append(f"MT-PRIORITY={envelope.priority}")
    return (" ".join(parts) + "\r\n").encode()


def rcpt_command(recipient: EnvelopeRecipient, capabilities: Capabilities) -> bytes:
    """Return the RCPT command.

    Spec: RFC 5321 4.1.1.3
    """
    command = f"RCPT TO:<{_path(recipient.address)}>"
    if "DSN" in capabilities:
        if recipient.notify:
            command += f" NOTIFY={_value(recipient.notify)}"
        if recipient.orcpt:
            command += f" ORCPT={_value(recipient.orcpt)}"
    return (command + "\r\n").encode()


def _path(address: str) -> str:
    if _UNSAFE_PATH.search(address):
        raise ValueError(f"control character in the address {address!r}")
    return address


def _value(value: str) -> str:
    if _UNSAFE_VALUE.search(value):
        raise ValueError(f"space or control character in the parameter {value!r}")
    return value
