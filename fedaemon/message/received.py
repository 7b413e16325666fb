"""The Received field: the trace that each hop leaves in a message.

Standards: RFC 5321 4.4 (form), RFC 3848 (ESMTPS, ESMTPA, ESMTPSA), RFC 6531 3.7.3 and 4.3 (UTF8SMTP…).
Invariants: what the peer said of itself cannot close a comment, begin another clause or end the field.
Limits: MAX_HELO_OCTETS of the peer's name are kept.
"""

from __future__ import annotations

import re
from typing import Final

from fedaemon.message.date import format_date

MAX_HELO_OCTETS: Final = 253
"""As long as a domain can be."""

_NOT_IN_HELO = re.compile(r"[^A-Za-z0-9._:\[\]-]").sub
_NOT_IN_COMMENT = re.compile(r"[^A-Za-z0-9 ._:/,=-]").sub


def protocol_keyword(*, extended: bool, utf8: bool, tls: bool, authenticated: bool) -> str:
    """Return the keyword of the "with" clause.

    :param extended: EHLO was said, not HELO.
    :param utf8: the message was sent with SMTPUTF8.
    :param tls: the session was encrypted.
    :param authenticated: AUTH had succeeded.

    Spec: RFC 3848, RFC 6531 4.3
    """
    if not extended:
        return "SMTP"
    return ("UTF8SMTP" if utf8 else "ESMTP") + ("S" if tls else "") + ("A" if authenticated else "")


def format_received(
    *,
    helo: str,
    protocol: str,
    by: str,
    queue_id: str,
    when_s: float,
    client: str | None,
    tls: str,
    recipient: str | None,
) -> str:
    """Return the value of a Received field.

    :param helo: what the peer called itself; characters no name has become "?".
    :param protocol: a keyword from ``protocol_keyword``.
    :param by: our host name.
    :param queue_id: our name for the message.
    :param when_s: the moment of acceptance, seconds since the epoch.
    :param client: the peer's address as an address literal, or None to keep it out of the message.
    :param tls: TLS version and cipher, "" without TLS.
    :param recipient: the recipient, where there is exactly one; one that is not ASCII is named only in a
        UTF8SMTP message, where the field may be.

    Spec: RFC 5321 4.4
    """
    parts = ["from", _NOT_IN_HELO("?", helo[:MAX_HELO_OCTETS]) or "unknown"]
    if client is not None:
        parts.append(f"({client})")
    parts += ["by", by, "with", protocol]
    if tls:
        parts.append(f"({_NOT_IN_COMMENT('?', tls)})")
    parts += ["id", queue_id]
    if recipient is not None and (recipient.isascii() or protocol.startswith("UTF8")):
        parts.append(f"for <{recipient}>")
    return f"{' '.join(parts)}; {format_date(when_s)}"
