"""What the engine tells its caller.

Some events are questions: after one of them the engine reads nothing further until it is answered. The
others are statements.

Standards: RFC 1939, RFC 2595 4, RFC 5034.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """Replies were queued; there may be more to do."""


PROGRESS = Progress()


@dataclass(frozen=True, slots=True)
class StartTls:
    """Send the output, start TLS on the transport, then call ``tls_started``."""


@dataclass(frozen=True, slots=True)
class Login:
    """Question: USER and PASS. Answered with ``logged_in`` or ``refuse``."""

    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthStart:
    """Question: a SASL exchange begins; *initial* is None when the client sent no initial response.

    Answered with ``auth_challenge``, ``logged_in`` or ``refuse``.
    """

    mechanism: str
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """Question: the client's answer to a challenge, decoded. Answered like ``AuthStart``."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuthCancel:
    """The client gave the exchange up ("*") or broke it; the engine has answered."""


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Question: the content of a message. Answered with ``found``, ``gone`` or ``refuse``.

    *body_lines* is None for the whole message.
    """

    uid: int
    body_lines: int | None


@dataclass(frozen=True, slots=True)
class Update:
    """Question: the client took its leave, and *uids* are to be removed. Answered with ``accept`` or
    ``refuse``."""

    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Abuse:
    """The client does what no mail client does (*reason*, for the log); the engine is closed."""

    reason: str


Question = Login | AuthStart | AuthResponse | Retrieve | Update
Event = Progress | StartTls | AuthCancel | Abuse | Question
