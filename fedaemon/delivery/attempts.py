"""One attempt: from a claim and its hosts to the outcomes for its recipients.

Invariants: nobody dials for a recipient that was held or deleted since it was claimed; whatever goes wrong on
our side is temporary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred

from fedaemon.delivery.claiming import Claim
from fedaemon.delivery.owed import notify_to_pass_on
from fedaemon.delivery.records import WAITING, MessageRecord, RecipientRecord, load_recipient
from fedaemon.delivery.transport import (
    Attempt,
    ConnectionLimits,
    Outcome,
    Recipient,
    Result,
    Source,
    Transport,
)
from fedaemon.errors import MailError
from fedaemon.store.content import PrefixedContent
from fedaemon.store.interface import Content, Snapshot, Store

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs


class Signer(Protocol):
    """Signs what we send (``mailauth.signer.Signer``)."""

    def sign(self, content: Content, *, cache_key: str) -> Deferred[bytes]:
        """Fire with the header fields to be put in front, b"" for none; fails with ``Unavailable``."""


def signs(message: MessageRecord) -> bool:
    """Return True for mail that we answer for: of our users, and our own reports."""
    return message.account is not None or message.via.get("service") in ("submission", "report")


class Attempts:
    """Attempts claims through *transport*.

    :param run: the daemon's run that the claims belong to.
    :param signer: signs what our users and we ourselves send; None for nobody.
    """

    def __init__(
        self, store: Store, blobs: Blobs, transport: Transport, run: str, signer: Signer | None
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._transport = transport
        self._run = run
        self._signer = signer

    async def attempt(
        self, claim: Claim, sources: Sequence[Source], limits: ConnectionLimits, now_ms: int
    ) -> list[Outcome]:
        """Attempt *claim*; no outcome for those that nobody wants delivered any more."""
        try:
            content, recipients = await self._store.read(lambda snapshot: self._still_wanted(snapshot, claim))
            if content is None:
                return []
            content = await self._signed(claim, content)
        except MailError as error:
            return failed(claim, Result.TEMPORARY, error.text, error.code, error.status, "local")
        message = claim.message
        return await self._transport.attempt(
            Attempt(
                queue_id=claim.queue_id,
                sender=message.sender,
                recipients=tuple(recipients),
                content=content,
                hosts=claim.hosts,
                body=message.body,
                smtputf8=message.smtputf8,
                require_tls=message.require_tls,
                ret=message.ret,
                envid=message.envid,
                tls_optional=message.tls_optional,
                deliver_by_s=(message.deliver_by_ms - now_ms) // 1000 if message.deliver_by_mode else 0,
                deliver_by_mode=message.deliver_by_mode,
                priority=message.priority,
                sources=tuple(sources),
                limits=limits,
            )
        )

    async def _signed(self, claim: Claim, content: Content) -> Content:
        """Return *content* with our signature in front when it is mail that we answer for."""
        if self._signer is None or not signs(claim.message):
            return content
        signature = await self._signer.sign(content, cache_key=claim.queue_id)
        return PrefixedContent(signature, content) if signature else content

    def _still_wanted(self, snapshot: Snapshot, claim: Claim) -> tuple[Content | None, list[Recipient]]:
        """Return the content, and the recipients that were not held or deleted since they were claimed."""
        wanted: list[tuple[int, RecipientRecord]] = []
        for number, _ in claim.recipients:
            recipient = load_recipient(snapshot, claim.queue_id, number)
            if recipient is not None and recipient.state in WAITING and recipient.claim == self._run:
                wanted.append((number, recipient))
        if not wanted:
            return None, []
        notify = notify_to_pass_on(snapshot, claim.queue_id, wanted)
        recipients = [Recipient(n, each.address, notify[n], each.orcpt) for n, each in wanted]
        return self._blobs.open(snapshot, claim.message.blob), recipients


def failed(claim: Claim, result: Result, text: str, code: int, status: str, phase: str) -> list[Outcome]:
    """Return the same outcome for all recipients of a claim."""
    return [Outcome(number, result, text, code, status, phase) for number, _ in claim.recipients]


def our_fault(claim: Claim) -> list[Outcome]:
    """Return the outcome of a defect of ours."""
    return failed(claim, Result.TEMPORARY, "an internal error of this server", 451, "4.3.0", "local")
