"""The state of a POP3 session, and what the commands may do with it.

``ServerEngine`` extends it with what its caller uses; the commands see only this half.

Standards: RFC 1939 3 to 6.
Limits: ``errors_per_session``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from fedaemon.pop3.events import Abuse, Event, Question
from fedaemon.pop3.lines import Input
from fedaemon.pop3.maildrop import Maildrop

TOO_MANY_ERRORS = b"-ERR Too many errors, closing the connection\r\n"


class State(IntEnum):
    """The states in which a client gives commands (RFC 1939 3)."""

    AUTHORIZATION = 0
    TRANSACTION = 1


class Mode(IntEnum):
    """What the next octets of the client are."""

    COMMANDS = 0
    SASL = 1  # the answer to a challenge
    TLS = 2  # a handshake that the engine does not see


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What is the same for all sessions of a listener.

    :param hostname: our name in the greeting.
    :param tls_available: whether STLS can be offered.
    :param auth_mechanisms: SASL names, offered under TLS only.
    :param errors_per_session: how many refused commands a session may have.
    """

    hostname: str
    tls_available: bool = False
    auth_mechanisms: tuple[str, ...] = ()
    errors_per_session: int = 20


class Session:
    """One client's session. *user* is the argument of USER; *utf8* says that the client understands UTF-8."""

    __slots__ = (
        "_errors",
        "_events",
        "_input",
        "_mode",
        "_output",
        "_question",
        "_sending",
        "closed",
        "maildrop",
        "queued",
        "settings",
        "state",
        "tls_active",
        "user",
        "utf8",
    )

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.closed = False
        self.state = State.AUTHORIZATION
        self.tls_active = False
        self.user = ""
        self.utf8 = False
        self.maildrop = Maildrop()
        self.queued = 0
        self._input = Input()
        self._output: list[bytes] = []
        self._events: deque[Event] = deque()
        self._question: Question | None = None
        self._sending: Iterator[bytes] | None = None
        self._mode = Mode.COMMANDS
        self._errors = 0

    @property
    def buffered(self) -> int:
        """Octets received and not read yet."""
        return len(self._input)

    def say(self, reply: bytes) -> None:
        """Queue octets for the client."""
        self._output.append(reply)
        self.queued += len(reply)

    def fault(self, refusal: bytes) -> None:
        """Queue an -ERR, or end the session instead if it is one too many."""
        self._errors += 1
        if self._errors > self.settings.errors_per_session:
            self.shut(TOO_MANY_ERRORS, "too many errors")
        else:
            self.say(refusal)

    def ask(self, question: Question) -> None:
        """Hand *question* up; nothing is read before it is answered."""
        self._question = question
        self._events.append(question)

    def tell(self, event: Event) -> None:
        """Hand *event* up."""
        self._events.append(event)

    def transmit(self, blocks: Iterator[bytes]) -> None:
        """Send *blocks*, one at a time, before anything else is read."""
        self._sending = blocks

    def await_tls(self) -> None:
        """Read nothing before TLS has started."""
        self._mode = Mode.TLS

    def shut(self, reply: bytes, reason: str) -> None:
        """End the session of a client that is none; *reason* is for the log."""
        self.say(reply)
        self.drop()
        self._events.append(Abuse(reason))

    def drop(self) -> None:
        """Read nothing any more."""
        self.closed = True
        self._question = None
        self._sending = None
        self._input.clear()
