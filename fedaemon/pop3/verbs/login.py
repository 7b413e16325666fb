"""USER, PASS and APOP: a client logs in with a password.

Standards: RFC 1939 7, RFC 2595 2.3 (no password in the clear), RFC 6856 2.2 (UTF-8 in both).
Invariants: no credentials are taken before TLS; USER answers the same for everybody.
Known gaps: APOP is refused, because it needs the password itself in the store, and MD5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.pop3.events import Login

if TYPE_CHECKING:
    from fedaemon.pop3.session import Session

TLS_FIRST = b"-ERR Log in under TLS only: say STLS first, or use the port for implicit TLS\r\n"
NOT_UTF8 = b"-ERR User name and password must be UTF-8\r\n"


def user(session: Session, argument: bytes) -> None:
    """Keep the name for PASS. Spec: RFC 1939 7"""
    if not session.tls_active:
        session.fault(TLS_FIRST)
        return
    try:
        session.user = argument.decode("utf-8").strip()
    except UnicodeDecodeError:
        session.user = ""
    if session.user:
        session.say(b"+OK Now the password\r\n")
    else:
        session.fault(NOT_UTF8)


def pass_(session: Session, argument: bytes) -> None:
    """Ask whether the password is right; all of *argument* is the password, spaces included.

    Spec: RFC 1939 7
    """
    if not session.tls_active:
        session.fault(TLS_FIRST)
        return
    name, session.user = session.user, ""
    if not name:
        session.fault(b"-ERR Say USER first\r\n")
        return
    try:
        password = argument.decode("utf-8")
    except UnicodeDecodeError:
        session.fault(NOT_UTF8)
        return
    session.ask(Login(name, password))


def apop(session: Session, argument: bytes) -> None:
    """Refuse. Spec: RFC 1939 7"""
    session.fault(b"-ERR APOP is not offered; use AUTH, or USER and PASS, under TLS\r\n")
