"""AUTH: a client logs in.

The engine knows nothing of mechanisms: it carries their messages, in strict base64, between the client and
the caller.

Standards: RFC 4954 4, 6, RFC 4648 4 (base64), RFC 4422 3.
Invariants: no credentials are taken before TLS; one log-in in a session; none during a transaction.
Limits: ``engine.AUTH_LINE``.
"""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64
from typing import TYPE_CHECKING

from fedaemon.smtp.events import AuthCancel, AuthResponse, AuthStart
from fedaemon.smtp.reply import Reply
from fedaemon.smtp.verbs.verb import EHLO_FIRST, IN_CHUNKS, IN_TRANSACTION, Answers, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.events import Event
    from fedaemon.smtp.session import Session

BAD_BASE64 = b"501 5.5.2 That is not base64\r\n"


def auth(session: Session, argument: bytes) -> Event | None:
    """Hand the beginning of an exchange to the caller.

    Spec: RFC 4954 4
    """
    refusal = _refusal(session)
    if refusal is not None:
        session.fault(refusal)
        return None
    mechanism, *initial = argument.split()
    name = mechanism.upper().decode("ascii", "replace")
    if name not in session.settings.auth_mechanisms:
        session.fault(b"504 5.5.4 This mechanism is not offered; EHLO lists those that are\r\n")
        return None
    if len(initial) > 1:
        session.fault(b"501 5.5.4 After AUTH stand a mechanism and at most one initial response\r\n")
        return None
    if not initial:
        return session.ask(AuthStart(name, None), ANSWERS)
    # "=" is how an empty initial response is written, where nothing would mean that there is none.
    data = b"" if initial[0] == b"=" else _decoded(initial[0])
    if data is None:
        session.fault(BAD_BASE64)
        return None
    return session.ask(AuthStart(name, data), ANSWERS)


def _refusal(session: Session) -> bytes | None:
    if not session.settings.auth_mechanisms:
        return b"502 5.5.1 AUTH is not available on this port\r\n"
    if not session.tls_active:
        return b"538 5.7.11 Log in under TLS only: say STARTTLS first, or use the port for implicit TLS\r\n"
    if not session.extended:
        return EHLO_FIRST
    if session.authenticated:
        return b"503 5.5.1 You are logged in already\r\n"
    return None


def response(session: Session, line: bytes) -> Event | None:
    """Hand the answer to a challenge to the caller.

    Spec: RFC 4954 4
    """
    if line == b"*":
        cancel(session, b"501 5.7.0 Log-in cancelled\r\n")
        return None
    data = _decoded(line)
    if data is None:
        cancel(session, BAD_BASE64)
        return None
    return session.ask(AuthResponse(data), ANSWERS)


def _decoded(text: bytes) -> bytes | None:
    """Return what *text* encodes; None unless it is exactly what an encoder writes (RFC 4648 3.5)."""
    try:
        data = a2b_base64(text)
    except Error:
        return None
    return data if b2a_base64(data, newline=False) == text else None


def cancel(session: Session, refusal: bytes) -> None:
    """End an exchange that the client gave up or broke."""
    session.tell(AuthCancel())
    session.fault(refusal)


def _accepted(session: Session, reply: Reply | None) -> None:
    session.authenticated = True
    session.answer(b"235 2.7.0 Welcome\r\n", reply)


def _refused(session: Session, reply: Reply) -> None:
    session.reject(reply)


ANSWERS = Answers(_accepted, _refused)

VERB = Verb("AUTH", auth, (EHLO_FIRST, None, IN_TRANSACTION, IN_TRANSACTION, IN_CHUNKS), argument=True)
