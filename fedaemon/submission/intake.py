"""A service's way in: asks the policy about sender and recipients, and opens the message.

Theory of operation: ``Intake`` is shared by all connections of a service. For each message the connection
asks ``sender`` and ``recipient``, then opens an ``IncomingMessage`` (``incoming.py``) and writes the content to
it as it arrives.

Standards: RFC 7505 (null MX).
Invariants: promise 2 (a failure of ours is ``Unavailable``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from twisted.internet.defer import Deferred, succeed

from fedaemon.errors import Refused
from fedaemon.message.address import Address
from fedaemon.store.blobs import Blobs
from fedaemon.store.interface import Content, Snapshot, Store
from fedaemon.submission.envelope import Envelope, EnvelopeRecipient, Peer
from fedaemon.submission.incoming import IncomingMessage
from fedaemon.submission.policy import Policy
from fedaemon.submission.wishes import NO_TERMS, Offer, Terms, Wishes, offer, settle


class Spool(Protocol):
    """Where content is collected (``store/spool.py``)."""

    def write(self, data: bytes) -> Deferred[None] | None:
        """Take *data*; a Deferred asks the caller to wait for it."""

    def finish(self) -> Deferred[Content]:
        """Fire with all that was written."""

    def discard(self) -> None:
        """Throw away what was written."""


class Intake:
    """One service's way in.

    :param new_spool: makes the place where a message's content is collected.
    :param check_space: raises ``StoreError`` (452 4.3.1) when the disk is too full for new mail.
    :param clock: returns the time in seconds since the epoch.
    :param wake: told after each commit that there is new work.
    :param refuses_mail: fires with True when a domain of other servers says that it takes no mail (RFC 7505).
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        policy: Policy,
        *,
        new_spool: Callable[[], Spool],
        check_space: Callable[[], None],
        clock: Callable[[], float],
        wake: Callable[[], None],
        refuses_mail: Callable[[str], Deferred[bool]],
    ) -> None:
        self.store = store
        self.blobs = blobs
        self.policy = policy
        self.new_spool = new_spool
        self.check_space = check_space
        self.clock = clock
        self.wake = wake
        self.refuses_mail = refuses_mail

    def offer(self, peer: Peer) -> Offer | None:
        """Return what *peer* may ask for now, None where nobody is offered anything."""
        rights = self.policy.rights(peer)
        return None if rights is None else offer(rights, self.policy.rules.max_hold_s, self.clock())

    def sender(self, peer: Peer, sender: Address | None, wishes: Wishes | None = None) -> Deferred[Terms]:
        """Fire with what is granted of *wishes* when *peer* may send with this reverse-path; fail with what to
        answer."""
        now_ms = int(self.clock() * 1000)

        def check(snapshot: Snapshot) -> Terms:
            self.check_space()
            self.policy.check_sender(snapshot, peer, sender, now_ms)
            if wishes is None:
                return NO_TERMS
            rights = self.policy.rights(peer) or frozenset()
            return settle(wishes, rights, peer.login, self.policy.rules.max_hold_s, now_ms)

        return self.store.read(check)

    def recipient(self, peer: Peer, envelope: Envelope, recipient: EnvelopeRecipient) -> Deferred[None]:
        """Fire when the recipient has been added to the envelope; fail with what to answer."""
        rules = self.policy.rules
        now_ms = int(self.clock() * 1000)

        def check(snapshot: Snapshot) -> bool:
            nonlocal recipient
            address = rules.reached(snapshot, recipient.address)
            if address is not recipient.address:
                recipient = replace(recipient, address=address)
            return self.policy.check_recipient(snapshot, peer, address, envelope.size, now_ms)

        def add(remote: bool) -> Deferred[None] | None:
            if remote:
                return self.refuses_mail(recipient.address.domain).addCallback(add_remote)
            envelope.add(recipient)
            return None

        def add_remote(refuses: bool) -> None:
            if refuses:
                address = recipient.address
                raise Refused(
                    f"<{address}>: the domain {address.domain} takes no mail (null MX)", status="5.1.10"
                )
            envelope.add(recipient)

        return self.store.read(check).addCallback(add)

    def message(self, peer: Peer, envelope: Envelope) -> IncomingMessage:
        """Open a message whose content is about to arrive."""
        return IncomingMessage(self, peer, envelope)


def never_refuses(domain: str) -> Deferred[bool]:
    """Stand for the null-MX question where mail does not go by MX (a route, local mode)."""
    return succeed(False)
