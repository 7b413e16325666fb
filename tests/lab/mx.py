"""A mail exchanger that can be as difficult as those out there: what it offers, how it behaves, what it got.

A host has behaviours, which may be replaced at any time. At each moment of a session they are asked in turn
what to do; the first that has an opinion decides, and where none has, the host answers as it should. What they
may say is a reply, ``Silence``, ``HangUp``, or ``Late``, which only costs time and lets the others decide.

The session itself is in ``dialogue.py``; it runs on real sockets (``listening.py``) and on a clock that a test
turns (``virtual.py``).

Standards: RFC 5321 3 and 4, RFC 2920, RFC 3030, RFC 3207.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

PHASES = ("connect", "ehlo", "starttls", "mail", "rcpt", "data", "content")

EXTENSIONS = ("PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "ENHANCEDSTATUSCODES")
"""What a good host offers before anything is said of TLS."""

GARBAGE = b"\x00this is not TLS\r\n" * 4


@dataclass(frozen=True)
class Silence:
    """Nothing more is said, and the connection stays."""


@dataclass(frozen=True)
class HangUp:
    """The connection ends without a word; at the end of a message, *keep* says whether the host has it."""

    keep: bool = False


@dataclass(frozen=True)
class Late:
    """What is said comes *seconds* later."""

    seconds: float


Action = str | Silence | HangUp | Late


@dataclass
class Message:
    """A message as the host got it: parameters of MAIL and of each RCPT are in capitals, "" without value."""

    sender: str
    parameters: dict[str, str]
    recipients: dict[str, dict[str, str]] = field(default_factory=dict)
    content: bytes = b""
    peer: str = ""
    connection: int = 0
    tls: bool = False
    at_s: float = 0.0


@dataclass(frozen=True)
class Moment:
    """Where a session is: *argument* is the name in EHLO, the sender or the recipient.

    *peer* is the client's address, *carried* how many messages the connection brought, *connection* its number
    (from 1), *message* what is in the making.
    """

    host: MxHost
    phase: str
    argument: str
    peer: str
    connection: int
    carried: int
    tls: bool
    message: Message | None
    now_s: float


Behaviour = Callable[[Moment], Action | None]


class MxHost:
    """One mail exchanger: *name* is what it calls itself.

    *tls* is a context, "broken" (says "go ahead" and talks nonsense), or None: STARTTLS is not offered.
    *under_tls* are extensions that are offered there only. Everything may be changed at any time, by any thread.
    """

    def __init__(
        self,
        name: str,
        address: str,
        *behaviours: Behaviour,
        extensions: Iterable[str] = EXTENSIONS,
        under_tls: Iterable[str] = (),
        tls: ssl.SSLContext | str | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.behaviours: tuple[Behaviour, ...] = behaviours
        self.extensions = tuple(extensions)
        self.under_tls = tuple(under_tls)
        self.tls = tls
        self.messages: list[Message] = []
        self.peers: list[str] = []
        """Where each connection came from, in order."""
        self.names: list[str] = []
        """What clients called themselves in EHLO."""
        self.offered: list[str] = []
        """The recipients of all RCPT commands."""
        self.turned_away = 0
        """Connections ended with 421."""
        self.open = 0
        self.most_open = 0
        self._lock = threading.Lock()

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self.peers)

    def behave(self, *behaviours: Behaviour) -> None:
        """Behave like this from now on."""
        self.behaviours = behaviours

    def decide(self, moment: Moment) -> tuple[float, Action | None]:
        """Return how much later the host acts, and what it does; None is what it should."""
        delay_s = 0.0
        for behaviour in self.behaviours:
            action = behaviour(moment)
            if isinstance(action, Late):
                delay_s += action.seconds
            elif action is not None:
                return delay_s, action
        return delay_s, None

    def connected(self, peer: str) -> int:
        """Count a connection and return its number."""
        with self._lock:
            self.peers.append(peer)
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            return len(self.peers)

    def disconnected(self) -> None:
        """A connection is gone."""
        with self._lock:
            self.open -= 1

    def carried(self) -> dict[int, int]:
        """Return how many messages each connection brought that brought any."""
        counts: dict[int, int] = {}
        for message in list(self.messages):
            counts[message.connection] = counts.get(message.connection, 0) + 1
        return counts

    def got(self, *recipients: str) -> list[Message]:
        """Return the messages to any of *recipients*."""
        return [each for each in list(self.messages) if set(recipients) & set(each.recipients)]
