"""One attempt: a message on its way through the hosts of a destination until each recipient has an answer.

It exists apart from the transport because this is where the rules are: which answer is final, which sends the
rest to the next host, and what is said when no host took the message.

Standards: RFC 5321 5.1 (hosts in order), 4.5.4.1 (one copy for recipients that share a host), 4.5.3.1.8 (100
recipients), RFC 7504 (521), RFC 8689 4.2.1 (REQUIRETLS), RFC 9422 (LIMITS).
Invariants: every recipient gets exactly one outcome, temporary unless a server (or what it offers) said that
it is permanent; a message whose end was sent is not sent to the next host.
Limits: ``MAX_RECIPIENTS`` a transaction, ``MAX_ADDRESSES`` tried in one attempt.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from fedaemon.delivery.transport import Attempt, NextHost, Outcome, Recipient, Result, TlsPolicy
from fedaemon.smtp.client_envelope import Envelope, find_obstacle
from fedaemon.smtp.client_protocol import ClientConnection, ConnectionFailed
from fedaemon.smtp.client_transaction import Answer

MAX_RECIPIENTS = 100
"""What every server must take in one transaction (RFC 5321 4.5.3.1.8); more is asking for trouble."""

MAX_ADDRESSES = 10
"""Addresses tried in one attempt: with a connect timeout of 30 s the dead ones cost five minutes at most."""


class Connections(Protocol):
    """Where connections come from."""

    @property
    def closing(self) -> bool:
        """True when no further host is to be tried."""

    def open(self, host: NextHost, address: str, tls: TlsPolicy) -> Coroutine[Any, Any, ClientConnection]:
        """Return a connection that can take messages; raise ``ConnectionFailed``."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an answer was had: on a connection or on the way to one."""

    host: str = ""
    address: str = ""
    tls: str = ""
    dsn: bool = False


class AttemptRun:
    """Runs *attempt* on connections from *connections*; one use."""

    def __init__(self, attempt: Attempt, connections: Connections, clock: Any) -> None:
        self._attempt = attempt
        self._connections = connections
        self._clock = clock
        self._started_s = clock.seconds()
        self._remaining = {recipient.number: recipient for recipient in attempt.recipients}
        self._outcomes: list[Outcome] = []
        self._noted: dict[int, Outcome] = {}

    async def run(self) -> list[Outcome]:
        """Try the hosts in order and return an outcome for each recipient."""
        addresses = [(host, address) for host in self._attempt.hosts for address in host.addresses]
        for host, address in addresses[:MAX_ADDRESSES]:
            if self._connections.closing:
                return self.finish("the server is shutting down")
            await self._try(host, address)
            if not self._remaining:
                break
        return self.finish("the destination has no address that could be tried")

    def finish(self, text: str, status: str = "4.4.4") -> list[Outcome]:
        """Return the outcomes; who has none yet gets what was noted on the way, or else *text*."""
        last = next(reversed(self._noted.values()), None)
        for number in self._remaining:
            outcome = self._noted.get(number) or last
            if outcome is None:
                outcome = self._outcome(
                    number, Result.TEMPORARY, Answer("connect", 0, status, text), _Place()
                )
            self._outcomes.append(replace(outcome, number=number))
        self._remaining = {}
        return self._outcomes

    async def _try(self, host: NextHost, address: str) -> None:
        """Give all remaining recipients to one address, in as many transactions as it takes."""
        policy = TlsPolicy.VERIFY if self._attempt.require_tls else host.tls
        connection: ClientConnection | None = None
        batch: tuple[Recipient, ...] = ()
        try:
            while self._remaining:
                batch = ()
                if connection is None or not connection.usable:
                    if connection is not None:
                        connection.quit()
                    connection = await self._connections.open(host, address, policy)
                limit = connection.capabilities.max_recipients or MAX_RECIPIENTS
                batch = tuple(self._remaining.values())[: min(limit, MAX_RECIPIENTS)]
                if not await self._transact(connection, host, address, batch):
                    break
        except ConnectionFailed as failure:
            self._failed(failure, batch, _Place(host.name, address, failure.tls))
        finally:
            if connection is not None:
                connection.quit()

    async def _transact(
        self, connection: ClientConnection, host: NextHost, address: str, batch: tuple[Recipient, ...]
    ) -> bool:
        """Run one transaction for *batch*; False when the next host is to be tried for the rest."""
        attempt = self._attempt
        capabilities = connection.capabilities
        place = _Place(host.name, address, connection.tls, "DSN" in capabilities)
        envelope = Envelope(
            sender=attempt.sender,
            recipients=batch,
            size=attempt.content.size,
            body=attempt.body,
            smtputf8=attempt.smtputf8,
            require_tls=attempt.require_tls,
            ret=attempt.ret,
            envid=attempt.envid,
        )
        if (obstacle := find_obstacle(envelope, capabilities)) is not None:
            answer = Answer("mail", 0, obstacle.status, obstacle.text)
            if obstacle.host_only:
                self._note_all(Result.PERMANENT, answer, place)
                return False
            for recipient in batch:
                self._decide(recipient.number, Result.PERMANENT, answer, place)
            return True
        answers = await connection.send(envelope, attempt.content)
        accepted = any(answer is None or answer.phase in ("data", "content") for answer in answers)
        return self._record(batch, answers, place, accepted=accepted)

    def _failed(self, failure: ConnectionFailed, batch: Sequence[Recipient], place: _Place) -> None:
        """Take the failure of a connection: what recipients were told before stands, the rest goes on."""
        reason = failure.reason
        accepted = any(answer is not None and answer.phase == "content" for answer in failure.answers)
        self._record(batch, failure.answers, place, accepted=accepted)
        permanent = reason.code == 521 and reason.phase == "greeting"
        self._note_all(Result.PERMANENT if permanent else Result.TEMPORARY, reason, place)

    def _record(
        self, batch: Sequence[Recipient], answers: Sequence[Answer | None], place: _Place, *, accepted: bool
    ) -> bool:
        """Take the answers of a transaction; *accepted*: a recipient had been accepted when they came.

        Return False when a temporary answer sends the rest to the next host.
        """
        go_on = True
        for recipient, answer in zip(batch, answers, strict=False):  # no answers: it did not come to that
            if answer is None:
                continue
            if answer.delivered:
                self._decide(recipient.number, Result.DELIVERED, answer, place)
            elif answer.permanent:
                self._decide(recipient.number, Result.PERMANENT, answer, place)
            elif accepted:
                self._decide(recipient.number, Result.TEMPORARY, answer, place)
            else:
                self._note(recipient.number, Result.TEMPORARY, answer, place)
                go_on = False
        return go_on

    def _decide(self, number: int, result: Result, answer: Answer, place: _Place) -> None:
        del self._remaining[number]
        self._outcomes.append(self._outcome(number, result, answer, place))

    def _note_all(self, result: Result, answer: Answer, place: _Place) -> None:
        for number in self._remaining:
            self._note(number, result, answer, place)

    def _note(self, number: int, result: Result, answer: Answer, place: _Place) -> None:
        """Remember an outcome for the case that no other host does better.

        That a host may take it later outweighs that another never will, and what a server said tells more
        than that another could not be reached.
        """
        outcome = self._outcome(number, result, answer, place)
        earlier = self._noted.get(number)
        if earlier is None or _weight(outcome) >= _weight(earlier):
            self._noted[number] = outcome

    def _outcome(self, number: int, result: Result, answer: Answer, place: _Place) -> Outcome:
        return Outcome(
            number=number,
            result=result,
            text=answer.text,
            code=answer.code,
            status=answer.status,
            phase=answer.phase,
            host=place.host,
            address=place.address,
            tls=place.tls,
            duration_ms=round((self._clock.seconds() - self._started_s) * 1000),
            dsn_passed_on=place.dsn and result is Result.DELIVERED,
        )


def _weight(outcome: Outcome) -> int:
    return (2 if outcome.result is Result.TEMPORARY else 0) + (1 if outcome.code else 0)
