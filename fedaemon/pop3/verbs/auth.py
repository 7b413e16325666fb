"""AUTH: a client logs in by SASL.

The engine knows nothing of mechanisms: it carries their messages, in strict base64, between the client and
the caller.

Standards: RFC 5034 4, 5, RFC 4648 4 (base64), RFC 4422 3.
Invariants: no credentials are taken before TLS.
Limits: an initial response fits into a command line; what is longer is the answer to a challenge, as RFC
5034 4 asks.
"""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64
from typing import TYPE_CHECKING

from fedaemon.pop3.events import AuthCancel, AuthResponse, AuthStart
from fedaemon.pop3.verbs.login import TLS_FIRST

if TYPE_CHECKING:
    from fedaemon.pop3.session import Session

BAD_BASE64 = b"-ERR That is not base64\r\n"


def auth(session: Session, argument: bytes) -> None:
    """Hand the beginning of an exchange to the caller. Spec: RFC 5034 4"""
    if not session.tls_active:
        session.fault(TLS_FIRST)
        return
    mechanism, _, initial = argument.partition(b" ")
    name = mechanism.upper().decode("ascii", "replace")
    if name not in session.settings.auth_mechanisms:
        session.fault(b"-ERR This mechanism is not offered; CAPA lists those that are\r\n")
        return
    if not initial:
        session.ask(AuthStart(name, None))
        return
    # "=" is how an empty initial response is written, where nothing would mean that there is none.
    data = b"" if initial == b"=" else _decoded(initial)
    if data is None:
        session.fault(BAD_BASE64)
    else:
        session.ask(AuthStart(name, data))


def response(session: Session, line: bytes) -> None:
    """Hand the answer to a challenge to the caller. Spec: RFC 5034 4"""
    data = _decoded(line)
    if line == b"*":
        cancel(session, b"-ERR Log-in cancelled\r\n")
    elif data is None:
        cancel(session, BAD_BASE64)
    else:
        session.ask(AuthResponse(data))


def cancel(session: Session, refusal: bytes) -> None:
    """End an exchange that the client gave up or broke."""
    session.tell(AuthCancel())
    session.fault(refusal)


def _decoded(text: bytes) -> bytes | None:
    """Return what *text* encodes; None unless it is exactly what an encoder writes (RFC 4648 3.5)."""
    try:
        data = a2b_base64(text)
    except Error:
        return None
    return data if b2a_base64(data, newline=False) == text else None
