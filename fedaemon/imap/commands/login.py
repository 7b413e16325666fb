"""LOGIN.

Standards: RFC 9051 6.2.3, RFC 5530 3 (PRIVACYREQUIRED).
Invariants: no credentials are taken before TLS.
"""

from __future__ import annotations

from fedaemon.errors import BadSyntax, Refused
from fedaemon.imap.capabilities import capabilities
from fedaemon.imap.events import Command
from fedaemon.imap.operations import Verify
from fedaemon.imap.parse.session import Login
from fedaemon.imap.session import Done, Session


class PrivacyRequired(Refused):
    """Credentials are taken under TLS only."""

    imap_code = b"PRIVACYREQUIRED"


def need_tls(session: Session) -> None:
    """Take no credentials before TLS; raises PrivacyRequired. Spec: RFC 5530 3"""
    if not session.tls_active:
        raise PrivacyRequired("TLS first: say STARTTLS, or use the port for implicit TLS")


def logged_in(session: Session, account: str) -> Done:
    """The client is *account* now; what the server can do has changed by that. Spec: RFC 9051 6.2.2"""
    session.log_in(account)
    return Done("Logged in", capabilities(session))


async def run(session: Session, arguments: Login, command: Command) -> Done:
    """Log in with a password. Spec: RFC 9051 6.2.3"""
    need_tls(session)
    try:
        user, password = arguments.user.decode("utf-8"), arguments.password.decode("utf-8")
    except UnicodeDecodeError:
        raise BadSyntax("The name and the password must be UTF-8") from None
    return logged_in(session, await Verify(user, password))
