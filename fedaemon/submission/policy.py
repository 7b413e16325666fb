"""The two sets of rules under which mail is taken: submission by our users, and mail from other servers.

Each rule looks at a consistent view of the store and raises ``Refused`` or ``BadSyntax`` with a text that
says what to do; nothing here waits or writes, except ``spend``, which runs in the transaction that accepts
the message.

Standards: RFC 6409 (submission), RFC 5321 3.6.2 and 7.9 (relaying), RFC 7505 (null MX), RFC 3463, RFC 8689 3
(TLS-Required).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fedaemon.accounts import limits
from fedaemon.accounts.directory import check_recipient, current, get_domain, is_hosted, resolve
from fedaemon.accounts.records import DEFAULT_RIGHTS
from fedaemon.delivery import suppression
from fedaemon.errors import Refused
from fedaemon.message.address import Address
from fedaemon.message.header import Header
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.submission import headerwork, identity
from fedaemon.submission.duplicate import fingerprint
from fedaemon.submission.envelope import Envelope, Peer
from fedaemon.submission.room import check_recipient_room

MAX_FIELDS = 2000
"""Header fields of one message: no honest program comes near, and each costs work."""


@dataclass(frozen=True, slots=True)
class AcceptedHeader:
    """The header as it is stored, and the digest that recognises a second copy (None: never one).

    *tls_optional*: it says ``TLS-Required: No``.
    """

    octets: bytes
    digest: bytes | None = None
    tls_optional: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that both policies follow.

    *max_hold_s*: how long a message is held for a later release, at most; 0: none is. *quota_octets*: what an
    account without a limit of its own may keep; None: as much as comes.
    """

    hostname: str
    max_received: int = 100
    header_octets: int = 256 * 1024
    daily_messages_per_account: int = 0
    daily_messages_per_domain: int = 0
    show_client: bool = False
    max_hold_s: int = 30 * 86_400
    postmaster: Address | None = None
    quota_octets: int | None = None

    def reached(self, snapshot: Snapshot, recipient: Address) -> Address:
        """Return whom mail to *recipient* is for: <Postmaster> is somebody everywhere. Spec: RFC 5321 4.5.1"""
        if self.postmaster is None or recipient.local.lower() != "postmaster":
            return recipient
        if recipient.domain == self.hostname.lower() and not is_hosted(snapshot, recipient.domain):
            return self.postmaster
        if is_hosted(snapshot, recipient.domain) and resolve(snapshot, recipient) is None:
            return self.postmaster
        return recipient


class Policy(Protocol):
    """What a service asks before it takes a message."""

    rules: Rules
    service: str

    def check_sender(self, snapshot: Snapshot, peer: Peer, sender: Address | None, now_ms: int) -> None:
        """Raise unless *peer* may send with this reverse-path."""

    def rights(self, peer: Peer) -> frozenset[str] | None:
        """Return what *peer* may ask for (``accounts.records.RIGHTS``); None: nobody may ask here."""

    def check_recipient(
        self, snapshot: Snapshot, peer: Peer, recipient: Address, size: int | None, now_ms: int
    ) -> bool:
        """Raise unless *peer* may send to *recipient*; True when it is in a domain of other servers.

        *size*: octets of the message as declared, None when nothing was.
        """

    def take_header(
        self, snapshot: Snapshot, peer: Peer, envelope: Envelope, header: bytes, queue_id: str, now_s: float
    ) -> AcceptedHeader:
        """Check the header and return it in the form in which it is stored."""

    def spend(self, transaction: Transaction, peer: Peer, envelope: Envelope, now_ms: int) -> None:
        """Count the message against its sender's limits; raise when there is nothing left."""

    def lifetime_ms(self, snapshot: Snapshot, peer: Peer) -> int | None:
        """Return how long delivery of *peer*'s message is tried; None: as long as the settings say."""


class SubmissionPolicy:
    """Our users send to anybody, only as themselves, up to their daily number."""

    service = "submission"

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def check_sender(self, snapshot: Snapshot, peer: Peer, sender: Address | None, now_ms: int) -> None:
        """See ``Policy``. The account is read again: it, or its password, may be gone since it logged in."""
        if peer.account is not None:
            peer.account = current(snapshot, peer.account)
            limits.check(
                snapshot,
                peer.account,
                now_ms,
                per_account=self.rules.daily_messages_per_account,
                per_domain=self.rules.daily_messages_per_domain,
            )
        if sender is not None:
            identity.check_identity(snapshot, peer, sender, "envelope sender")

    def rights(self, peer: Peer) -> frozenset[str] | None:
        """See ``Policy``: the account's, and for trusted networks what accounts have by default."""
        return DEFAULT_RIGHTS if peer.account is None else peer.account.may

    def check_recipient(
        self, snapshot: Snapshot, peer: Peer, recipient: Address, size: int | None, now_ms: int
    ) -> bool:
        """See ``Policy``: any address that can exist, unless the account's mail bounced there or it is full."""
        if not is_hosted(snapshot, recipient.domain):
            if peer.account is not None:
                entry = suppression.find(snapshot, peer.account.address, recipient.key, now_ms)
                if entry is not None:
                    raise _suppressed(recipient, entry)
            return True
        found = check_recipient(snapshot, recipient)
        check_recipient_room(snapshot, found, recipient, size, self.rules.quota_octets)
        return False

    def take_header(
        self, snapshot: Snapshot, peer: Peer, envelope: Envelope, header: bytes, queue_id: str, now_s: float
    ) -> AcceptedHeader:
        """See ``Policy``: the identity rules, then the header work of submission."""
        parsed = Header.parse(header, max_octets=self.rules.header_octets, max_fields=MAX_FIELDS)
        headerwork.check_loop(len(parsed.get_all(b"received")), self.rules.max_received)
        identity.check_header_identities(snapshot, peer, parsed)
        author = identity.single_address(parsed.get_all(b"from")[0].value, "From")
        tls_required = [field.value for field in parsed.get_all(b"tls-required")]
        trace = headerwork.Trace(self.rules.hostname, queue_id, now_s, self.rules.show_client)
        done = headerwork.complete(parsed, trace, peer, envelope, author.domain)
        digest = None
        if done.message_id and peer.account is not None:
            sender = envelope.sender.key if envelope.sender is not None else ""
            digest = fingerprint(peer.login, done.message_id, done.date, sender, envelope.recipients)
        return AcceptedHeader(done.octets, digest, headerwork.tls_is_optional(tls_required))

    def spend(self, transaction: Transaction, peer: Peer, envelope: Envelope, now_ms: int) -> None:
        """See ``Policy``."""
        if peer.account is not None:
            limits.spend(
                transaction,
                peer.account,
                now_ms,
                per_account=self.rules.daily_messages_per_account,
                per_domain=self.rules.daily_messages_per_domain,
            )

    def lifetime_ms(self, snapshot: Snapshot, peer: Peer) -> int | None:
        """See ``Policy``: that of the account's domain."""
        domain = get_domain(snapshot, peer.account.domain) if peer.account is not None else None
        return None if domain is None or domain.lifetime_s is None else domain.lifetime_s * 1000


class MxPolicy:
    """Other servers send to addresses of our domains only: never a relay."""

    service = "mx"

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def check_sender(self, snapshot: Snapshot, peer: Peer, sender: Address | None, now_ms: int) -> None:
        """See ``Policy``: anybody may write to us."""

    def rights(self, peer: Peer) -> frozenset[str] | None:
        """See ``Policy``: RFC 4865 3 wants FUTURERELEASE on submission only, and no host is agreed with."""
        return None

    def check_recipient(
        self, snapshot: Snapshot, peer: Peer, recipient: Address, size: int | None, now_ms: int
    ) -> bool:
        """See ``Policy``: hosted addresses and aliases that have room."""
        if not is_hosted(snapshot, recipient.domain):
            raise Refused(
                f"<{recipient}>: this server does not relay; to send mail as a user, log in on port 465 or 587"
            )
        found = check_recipient(snapshot, recipient)
        check_recipient_room(snapshot, found, recipient, size, self.rules.quota_octets)
        return False

    def take_header(
        self, snapshot: Snapshot, peer: Peer, envelope: Envelope, header: bytes, queue_id: str, now_s: float
    ) -> AcceptedHeader:
        """See ``Policy``: our Received field, and nothing judged yet."""
        trace = headerwork.Trace(self.rules.hostname, queue_id, now_s, show_client=True)
        stamped = headerwork.stamp(header, trace, peer, envelope, self.rules.max_received)
        optional = headerwork.tls_is_optional(headerwork.find_tls_required(header))
        return AcceptedHeader(stamped, None, optional)

    def spend(self, transaction: Transaction, peer: Peer, envelope: Envelope, now_ms: int) -> None:
        """See ``Policy``: mail from outside has no daily number."""

    def lifetime_ms(self, snapshot: Snapshot, peer: Peer) -> int | None:
        """See ``Policy``: nobody set one."""
        return None


def _suppressed(recipient: Address, found: suppression.Suppression) -> Refused:
    """Return the refusal of a suppressed address: why, until when, and who can change it."""
    since, account = suppression.when(found.since_ms), found.account
    said = f" ({found.reply})" if found.reply else ""
    why = {
        suppression.BOUNCED: f"mail of {account} bounced there on {since}{said}",
        suppression.COMPLAINED: f"who reads it complained about mail of {account} on {since}{said}",
    }.get(found.category, f"the administrator suppressed it for {account} on {since}{said}")
    until = f"until {suppression.when(found.until_ms)} " if found.until_ms else ""
    # A status of its own, so that a program can tell this refusal from an address that does not exist here.
    status = "5.1.8" if found.category == suppression.BOUNCED else "5.7.1"
    return Refused(
        f"<{recipient}> is suppressed {until}because {why}. If it takes mail again, ask the administrator for: "
        f"fedaemonctl suppression remove {account} {recipient}",
        status=status,
    )
