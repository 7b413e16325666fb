"""CAPA: what this server can do.

Standards: RFC 2449 5, 6, RFC 2595 4 (STLS), RFC 3206 6 (AUTH-RESP-CODE), RFC 5034 3 (SASL), RFC 6856 2.1
(UTF8).
Invariants: nothing is listed that would be refused: no way to log in before TLS, no STLS under it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.pop3.session import State

if TYPE_CHECKING:
    from fedaemon.pop3.session import Session

ALWAYS = (
    b"TOP",
    b"UIDL",
    b"RESP-CODES",
    b"AUTH-RESP-CODE",
    b"PIPELINING",
    b"EXPIRE NEVER",
    b"UTF8 USER",
    b"IMPLEMENTATION fedaemon",
)


def capa(session: Session, argument: bytes) -> None:
    """List the capabilities. Spec: RFC 2449 5"""
    listed = list(ALWAYS)
    if session.tls_active:
        listed.append(b"USER")
        if session.settings.auth_mechanisms:
            listed.append(b"SASL " + " ".join(session.settings.auth_mechanisms).encode("ascii"))
    elif session.settings.tls_available and session.state is State.AUTHORIZATION:
        listed.append(b"STLS")
    session.say(b"\r\n".join((b"+OK Capabilities follow", *listed, b".", b"")))
