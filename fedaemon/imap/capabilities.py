"""What the server announces, by the state of the session.

Standards: RFC 9051 6.1.1, 7.2.2, RFC 4959 3, RFC 7888 5, RFC 2971 3, RFC 5161 3.
Invariants: only what is built is announced; no mechanism without TLS.
"""

from __future__ import annotations

from typing import Final

from fedaemon.imap.session import Session, State

ALWAYS: Final = (b"IMAP4rev1", b"LITERAL-", b"ID", b"ENABLE")


def capabilities(session: Session) -> bytes:
    """Return the words of CAPABILITY, from its name on. Spec: RFC 9051 7.2.2"""
    words = [b"CAPABILITY", *ALWAYS]
    if session.state is State.NOT_AUTHENTICATED:
        words.append(b"SASL-IR")
        if session.tls_active:
            words += [b"AUTH=" + name.encode("ascii") for name in session.settings.auth_mechanisms]
        else:
            words.append(b"LOGINDISABLED")
            if session.settings.tls_available:
                words.append(b"STARTTLS")
    else:
        words += [b"NAMESPACE"]
    return b" ".join(words)
