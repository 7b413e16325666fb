"""What a user types to log in, and what is answered when it does not fit.

The texts are the same whether the account exists or not; they say where to look instead.

Standards: RFC 4954 6 (535 5.7.8, 454 4.7.0), RFC 5248 (5.7.13).
Limits: a login name has at most 320 characters (a local part of 64, "@", a domain of 255).
"""

from __future__ import annotations

from fedaemon.errors import BadSyntax, LoginRefused
from fedaemon.message.address import parse_address

MAX_LOGIN = 320

WRONG = (
    "Wrong user name or password: log in with your full address (alice@example.org) and a password made by: "
    "fedaemonctl password add ADDRESS --name NAME; see docs/troubleshooting"
)
NOT_AN_ADDRESS = "The user name must be a full address, such as alice@example.org; see docs/troubleshooting"
PLACEHOLDER = (
    "This is the example password of a guide: put your own in its place, made by: "
    "fedaemonctl password add ADDRESS --name NAME; see docs/troubleshooting"
)
DISABLED = "This account is disabled; an administrator can enable it with: fedaemonctl account enable ADDRESS"
REVOKED = "The password of this session has been removed or changed: log in again with one that is valid"
OTHER_USER = "Logging in for somebody else is not possible: leave the authorization identity empty"


class BadCredentials(LoginRefused):
    """The login was refused; the same texts for a wrong password and for nobody by that name."""

    def __init__(self, text: str, *, login: str = "", status: str | None = None) -> None:
        super().__init__(text, status=status)
        self.login = login


def login_key(login: str) -> str | None:
    """Return the account key that *login* means, or None when it is not a full address.

    Upper case, U-labels and space around it (from copying and pasting) do not matter. A tag does:
    "alice+x@…" is not the login of alice@….
    """
    login = login.strip()
    if not 3 <= len(login) <= MAX_LOGIN or "@" not in login:
        return None
    try:
        return parse_address(login).key
    except BadSyntax:
        return None
