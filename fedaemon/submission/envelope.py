"""Who is at the other end, and the envelope that it gives.

Standards: RFC 5321 2.3.1 (envelope), RFC 1870 6 (size), RFC 3461 4 (DSN parameters), RFC 6531 3.4, RFC 8689 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fedaemon.accounts.records import Account
from fedaemon.message.address import Address
from fedaemon.submission.wishes import NO_TERMS, Terms


@dataclass(slots=True)
class Peer:
    """The other end of a connection, as far as the rules need to know it.

    *address* is its IP address in text form; *helo* what it called itself; *tls* describes the protection of
    the connection, "" for none; *account* is who logged in; *trusted* says that its network needs no login.
    """

    address: str
    helo: str = ""
    extended: bool = False
    tls: str = ""
    account: Account | None = None
    trusted: bool = False

    @property
    def login(self) -> str:
        """The account's address, or "" without a login."""
        return self.account.address if self.account is not None else ""


@dataclass(frozen=True, slots=True)
class EnvelopeRecipient:
    """A forward-path with its DSN parameters as given, "" when absent."""

    address: Address
    notify: str = ""
    orcpt: str = ""


@dataclass(slots=True)
class Envelope:
    """One mail transaction's envelope; *sender* is None for the empty reverse-path.

    *body* is "7BIT", "8BITMIME" or "BINARYMIME"; *ret* and *envid* are DSN parameters as given, "" when
    absent. *smtputf8* is what the client said; whether the message needs it is found out later. *terms*: when
    it is to go. *size*: octets as declared, None when nothing was (RFC 1870).
    """

    sender: Address | None
    body: str = "7BIT"
    smtputf8: bool = False
    require_tls: bool = False
    ret: str = ""
    envid: str = ""
    terms: Terms = NO_TERMS
    size: int | None = None
    recipients: dict[str, EnvelopeRecipient] = field(default_factory=dict)

    def add(self, recipient: EnvelopeRecipient) -> None:
        """Add a recipient; one that is there already is merged into it."""
        self.recipients.setdefault(recipient.address.key, recipient)
