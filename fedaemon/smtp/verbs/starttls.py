"""STARTTLS: the connection is to be protected.

Octets that came with the STARTTLS line would be read after the handshake as if they had been sent under TLS;
an attacker on the way puts commands there (CVE-2011-0411 and its many successors). So nothing may follow it.

Standards: RFC 3207 4, 4.2 (everything learned before is forgotten), RFC 2920 3.1 (last in a group).
Invariants: nothing that came before the handshake is a command after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.smtp.events import Abuse, StartTls
from fedaemon.smtp.verbs.verb import EHLO_FIRST, IN_CHUNKS, IN_TRANSACTION, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.events import Event
    from fedaemon.smtp.session import Session


def starttls(session: Session, argument: bytes) -> Event | None:
    """Let the handshake begin, unless something has come already that would be behind it."""
    if session.tls_active:
        session.fault(b"503 5.5.1 TLS is active already\r\n")
        return None
    if not session.settings.tls_available:
        session.fault(b"502 5.5.1 STARTTLS is not available here\r\n")
        return None
    if session.buffered:
        reason = "octets after STARTTLS, before the handshake"
        session.shut(
            b"554 5.5.1 Nothing may follow STARTTLS before the TLS handshake\r\n", Abuse(reason), reason
        )
        return None
    session.say(b"220 2.0.0 Ready to start TLS\r\n")
    session.await_tls()
    return StartTls()


VERB = Verb(
    "STARTTLS",
    starttls,
    (EHLO_FIRST, None, IN_TRANSACTION, IN_TRANSACTION, IN_CHUNKS),
    argument=False,
)
