"""One attempt: a message on its way through the hosts of a destination until each recipient has an answer.

It exists apart from the transport because this is where the rules are: which answer is final, which sends the
rest to the next host, when a connection that had waited is replaced, and what is said when no host took the
message.

Standards: RFC 5321 5.1 (hosts in order), 4.5.4.1 (one copy for recipients that share a host), RFC 7504 (521),
RFC 8689 4.2.1 (REQUIRETLS), RFC 9422 (LIMITS), RFC 2852 4 (DELIVERBY).
Invariants: every recipient gets exactly one outcome, temporary unless a server (or what it offers) said that
it is permanent; a message whose end was sent is not sent again, whatever becomes of the reply; the trouble of
a connection that had waited is never held against the host, unless it had taken a recipient.
Limits: ``MAX_ADDRESSES`` tried in one attempt.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol

from fedaemon.delivery.transport import (
    Attempt,
    ConnectionLimits,
    NextHost,
    Outcome,
    Recipient,
    Result,
)
from fedaemon.smtp.client_envelope import Envelope, find_obstacle
from fedaemon.smtp.client_failure import ConnectionFailed
from fedaemon.smtp.client_outcomes import OutcomeBook, Place
from fedaemon.smtp.client_protocol import ClientConnection
from fedaemon.smtp.client_target import Target, choose_source, target_of
from fedaemon.smtp.client_transaction import Answer

MAX_ADDRESSES: Final = 10
"""Addresses tried in one attempt: with a connect timeout of 30 s the dead ones cost five minutes at most."""


class Connections(Protocol):
    """Where connections come from, and where they go when they are not needed."""

    @property
    def closing(self) -> bool:
        """True when no further host is to be tried."""

    def take(self, target: Target) -> ClientConnection | None:
        """Return a connection that has waited for a message to *target*, or None."""

    def open(self, target: Target, domain: str) -> Coroutine[Any, Any, ClientConnection]:
        """Return a new connection that can take messages for *domain*; raise ``ConnectionFailed``."""

    def has_room(self, connection: ClientConnection, limits: ConnectionLimits) -> bool:
        """True when the connection can carry one message more."""

    def give_back(self, connection: ClientConnection, limits: ConnectionLimits) -> None:
        """Take a connection of which the attempt has no more need."""

    def is_unreachable(self, address: str, port: int) -> bool:
        """True when the last attempt to connect there failed, not long ago."""

    def refuse(self, host: NextHost, domain: str) -> None:
        """Tell that *host* was not even dialled for *domain*, because of ``host.tls.problem``."""


class AttemptRun:
    """Runs *attempt* on connections from *connections*; one use."""

    def __init__(self, attempt: Attempt, connections: Connections, clock: Any) -> None:
        self._attempt = attempt
        self._connections = connections
        self._book = OutcomeBook(attempt, clock)
        # Recipients of an attempt share their destination.
        self._domain = attempt.recipients[0].address.rpartition("@")[2] if attempt.recipients else ""

    async def run(self) -> list[Outcome]:
        """Try the hosts in order and return an outcome for each recipient."""
        attempt, book = self._attempt, self._book
        tried = 0
        refused: set[str] = set()
        text = "the destination has no address that could be tried"
        for host, address in self._places():
            if self._connections.closing:
                return self.finish("the server is shutting down")
            if host.name in refused:
                continue
            source = choose_source(attempt.sources, address)
            if attempt.sources and source is None:
                text = "the destination has no address of a family for which there is a source address"
                continue
            target = target_of(attempt, host, address, source)
            if target.tls.problem and not target.tls.testing:
                refused.add(host.name)
                self._refused(host, target)
                continue
            await self._try(target)
            tried += 1
            if not book.remaining or tried == MAX_ADDRESSES:
                break
        return self.finish(text)

    def _places(self) -> list[tuple[NextHost, str]]:
        """Return the addresses in the order to try them: those that could not be reached just now are last.

        Spec: RFC 5321 4.5.4.1 (a client remembers hosts that are down)
        """
        places = [(host, address) for host in self._attempt.hosts for address in host.addresses]
        if len(places) > 1:
            unreachable = self._connections.is_unreachable
            places.sort(key=lambda place: unreachable(place[1], place[0].port))
        return places

    def finish(self, text: str, status: str = "4.4.4") -> list[Outcome]:
        """Return the outcomes; who has none yet gets what was noted on the way, or else *text*."""
        return self._book.finish(text, status)

    def _refused(self, host: NextHost, target: Target) -> None:
        """The policy forbids the host."""
        tls = target.tls
        place = Place(host.name, policy=tls.policy, tls_failure=tls.failure)
        self._book.note_all(Result.TEMPORARY, Answer("tls", 0, "4.7.5", tls.problem), place)
        self._connections.refuse(host, self._domain)

    async def _try(self, target: Target) -> None:
        """Give all remaining recipients to one address, in as many transactions as it takes."""
        connections, limits, book = self._connections, self._attempt.limits, self._book
        connection: ClientConnection | None = None
        batch: tuple[Recipient, ...] = ()
        waited = fresh = False
        try:
            while book.remaining:
                batch = ()
                if connection is not None and not connections.has_room(connection, limits):
                    connections.give_back(connection, limits)
                    connection = None
                if connection is None:
                    connection = None if fresh else connections.take(target)
                    waited = connection is not None
                    connection = connection or await connections.open(target, self._domain)
                most = connection.capabilities.max_recipients or limits.recipients
                batch = tuple(book.remaining.values())[: min(most, limits.recipients)]
                waited = waited or connection.carried > 0
                try:
                    if not await self._transact(connection, batch):
                        break
                except ConnectionFailed as failure:
                    if not (waited and failure.untouched) or connections.closing:
                        raise
                    # It had ended while it waited, or its server had had enough of it: that is no answer.
                    connections.give_back(connection, limits)
                    connection, fresh = None, True
        except ConnectionFailed as failure:
            self._failed(failure, batch, target, connection)
        finally:
            if connection is not None:
                connections.give_back(connection, limits)

    async def _transact(self, connection: ClientConnection, batch: tuple[Recipient, ...]) -> bool:
        """Run one transaction for *batch*; False when the next host is to be tried for the rest."""
        attempt, book = self._attempt, self._book
        capabilities = connection.capabilities
        place = _place_of(connection, dsn="DSN" in capabilities, deliver_by="DELIVERBY" in capabilities)
        envelope = Envelope(
            sender=attempt.sender,
            recipients=batch,
            size=attempt.content.size,
            body=attempt.body,
            smtputf8=attempt.smtputf8,
            require_tls=attempt.require_tls,
            ret=attempt.ret,
            envid=attempt.envid,
            by_s=attempt.deliver_by_s - int(book.elapsed_s) if attempt.deliver_by_mode else 0,
            by_mode=attempt.deliver_by_mode,
            priority=attempt.priority,
        )
        if (obstacle := find_obstacle(envelope, capabilities)) is not None:
            answer = Answer("mail", 0, obstacle.status, obstacle.text)
            if obstacle.host_only:
                book.note_all(Result.PERMANENT, answer, place)
                return False
            for recipient in batch:
                book.decide(recipient.number, Result.PERMANENT, answer, place)
            return True
        answers = await connection.send(envelope, attempt.content)
        accepted = any(answer is None or answer.phase in ("data", "content") for answer in answers)
        return self._record(batch, answers, place, accepted=accepted)

    def _failed(
        self,
        failure: ConnectionFailed,
        batch: Sequence[Recipient],
        target: Target,
        connection: ClientConnection | None,
    ) -> None:
        """Take the failure of a connection: what recipients were told before stands, the rest goes on."""
        reason = failure.reason
        if connection is not None:
            place = _place_of(connection)
        else:
            place = Place(
                target.host,
                target.address,
                failure.tls,
                certificate=failure.certificate,
                policy=target.tls.policy,
                tls_failure=failure.tls_failure,
                source=target.source.address if target.source is not None else "",
            )
        accepted = any(answer is not None and answer.phase == "content" for answer in failure.answers)
        self._record(batch, failure.answers, place, accepted=accepted)
        permanent = reason.code == 521 and reason.phase == "greeting"
        self._book.note_all(Result.PERMANENT if permanent else Result.TEMPORARY, reason, place)

    def _record(
        self, batch: Sequence[Recipient], answers: Sequence[Answer | None], place: Place, *, accepted: bool
    ) -> bool:
        """Take the answers of a transaction; *accepted*: a recipient had been accepted when they came.

        Return False when a temporary answer sends the rest to the next host.
        """
        book = self._book
        go_on = True
        for recipient, answer in zip(batch, answers, strict=False):  # no answers: it did not come to that
            if answer is None:
                continue
            if answer.delivered:
                book.decide(recipient.number, Result.DELIVERED, answer, place)
            elif answer.permanent:
                book.decide(recipient.number, Result.PERMANENT, answer, place)
            elif accepted:
                book.decide(recipient.number, Result.TEMPORARY, answer, place)
            else:
                book.note(recipient.number, Result.TEMPORARY, answer, place)
                go_on = False
        return go_on


def _place_of(connection: ClientConnection, *, dsn: bool = False, deliver_by: bool = False) -> Place:
    """Return where an answer on *connection* comes from; before the transaction is over."""
    target = connection.target
    return Place(
        target.host,
        target.address,
        connection.tls,
        connection.certificate,
        target.tls.policy,
        connection.tls_failure,
        connection.source,
        connection.carried > 0,
        dsn,
        deliver_by,
    )
