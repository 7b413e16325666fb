"""STLS: the connection is to be protected.

Octets that came with the STLS line would be read after the handshake as if they had been sent under TLS; an
attacker on the way puts commands there (CVE-2011-0411 and its many successors). So nothing may follow it.

Standards: RFC 2595 4.
Invariants: nothing that came before the handshake is a command after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.pop3.events import StartTls

if TYPE_CHECKING:
    from fedaemon.pop3.session import Session


def stls(session: Session, argument: bytes) -> None:
    """Let the handshake begin, unless something has come already that would be behind it. Spec: RFC 2595 4"""
    if session.tls_active:
        session.fault(b"-ERR TLS is active already\r\n")
    elif not session.settings.tls_available:
        session.fault(b"-ERR STLS is not available here\r\n")
    elif session.buffered:
        session.shut(
            b"-ERR Nothing may follow STLS before the TLS handshake\r\n",
            "octets after STLS, before the handshake",
        )
    else:
        session.say(b"+OK Begin TLS\r\n")
        session.await_tls()
        session.tell(StartTls())
