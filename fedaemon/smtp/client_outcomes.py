"""The book of one attempt: who has an outcome, and what was noted for those who have none yet.

Invariants: every recipient gets exactly one outcome; what is only noted gives way to a better answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fedaemon.delivery.transport import Attempt, Outcome, Recipient, Result
from fedaemon.smtp.client_transaction import Answer


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer was had: on a connection or on the way to one. The fields are those of ``Outcome``.

    *dsn* and *deliver_by*: the host offers these extensions.
    """

    host: str = ""
    address: str = ""
    tls: str = ""
    certificate: str = ""
    policy: str = ""
    tls_failure: str = ""
    source: str = ""
    reused: bool = False
    dsn: bool = False
    deliver_by: bool = False


class OutcomeBook:
    """The outcomes of *attempt*; *clock* tells how long it took."""

    def __init__(self, attempt: Attempt, clock: Any) -> None:
        self._clock = clock
        self._started_s = clock.seconds()
        self._notify_late = attempt.deliver_by_mode.startswith("N")
        self._outcomes: list[Outcome] = []
        self._noted: dict[int, Outcome] = {}
        self.remaining: dict[int, Recipient] = {each.number: each for each in attempt.recipients}
        """Those without an outcome, by number."""

    @property
    def elapsed_s(self) -> float:
        """How long the attempt has taken so far."""
        return float(self._clock.seconds() - self._started_s)

    def decide(self, number: int, result: Result, answer: Answer, place: Place) -> None:
        """Give a recipient its outcome."""
        del self.remaining[number]
        self._outcomes.append(self._outcome(number, result, answer, place))

    def note(self, number: int, result: Result, answer: Answer, place: Place) -> None:
        """Remember an outcome for the case that no other host does better.

        That a host may take it later outweighs that another never will, and what a server said tells more
        than that another could not be reached.
        """
        outcome = self._outcome(number, result, answer, place)
        earlier = self._noted.get(number)
        if earlier is None or _weight(outcome) >= _weight(earlier):
            self._noted[number] = outcome

    def note_all(self, result: Result, answer: Answer, place: Place) -> None:
        """Remember the same outcome for all that have none."""
        for number in self.remaining:
            self.note(number, result, answer, place)

    def finish(self, text: str, status: str) -> list[Outcome]:
        """Return the outcomes; who has none yet gets what was noted on the way, or else *text*."""
        last = next(reversed(self._noted.values()), None)
        for number in self.remaining:
            outcome = self._noted.get(number) or last
            if outcome is None:
                answer = Answer("connect", 0, status, text)
                outcome = self._outcome(number, Result.TEMPORARY, answer, Place())
            self._outcomes.append(replace(outcome, number=number))
        self.remaining = {}
        return self._outcomes

    def _outcome(self, number: int, result: Result, answer: Answer, place: Place) -> Outcome:
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
            duration_ms=round(self.elapsed_s * 1000),
            certificate=place.certificate,
            policy=place.policy,
            tls_failure=place.tls_failure,
            source=place.source,
            reused=place.reused,
            dsn_passed_on=place.dsn and result is Result.DELIVERED,
            limit_lost=self._notify_late and not place.deliver_by and result is Result.DELIVERED,
        )


def _weight(outcome: Outcome) -> int:
    return (2 if outcome.result is Result.TEMPORARY else 0) + (1 if outcome.code else 0)
