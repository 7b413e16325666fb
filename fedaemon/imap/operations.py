"""What a command waits for: plain values that the engine's caller carries out.

A command is a coroutine without I/O; it awaits one of these, and the caller answers when it is done. Those that
say so are answered by the engine itself.

Standards: RFC 9051 6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fedaemon.imap.events import Command, MessageLiteral
from fedaemon.mailbox.shaping import Shaped
from fedaemon.store.interface import Content, Snapshot, StagedContent, Transaction

T = TypeVar("T")


class Operation(Generic[T]):
    """Something to wait for; *T* is what comes of it."""

    __slots__ = ()

    def __await__(self) -> Generator[Operation[Any], T, T]:
        return (yield self)


# -- who it is


@dataclass(frozen=True, slots=True, eq=False)
class Verify(Operation[str]):
    """Check *password*; what comes of it is the account that is logged in."""

    login: str
    password: str


@dataclass(frozen=True, slots=True, eq=False)
class Start(Operation["bytes | str"]):
    """Begin a SASL exchange: octets are a challenge, text is the account that is logged in."""

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True, eq=False)
class Respond(Operation["bytes | str"]):
    """Go on with the client's answer to a challenge; as ``Start``."""

    data: bytes


class Leave(Operation[None]):
    """The client is nobody any more (UNAUTHENTICATE)."""

    __slots__ = ()


# -- the connection


class StartTls(Operation[None]):
    """Send what is queued, with the command's OK at its end, and make the handshake."""

    __slots__ = ()


class Compress(Operation[None]):
    """Send what is queued, with the command's OK at its end; from then on both directions are deflated."""

    __slots__ = ()


class Room(Operation[None]):
    """Send what is queued; go on in a later turn, when the client takes more."""

    __slots__ = ()


class Turn(Operation[None]):
    """Let others have their turn of the reactor first."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class InThread(Operation[T]):
    """Run *function* in a thread: what takes more than a turn, and uses only what it was given."""

    function: Callable[[], T]


class NextLine(Operation[bytes]):
    """Wait for a line of the client as it is; the engine itself answers this one."""

    __slots__ = ()


class LineOrNotice(Operation["bytes | None"]):
    """Wait for a line of the client, or for a change that the session has been told of (None).

    The engine itself answers this one; what is queued is sent meanwhile.
    """

    __slots__ = ()


# -- contents on their way in


class Receive(Operation[Content]):
    """Take the content that ``MessageLiteral`` announced; what comes of it is all of it."""

    __slots__ = ()


class NextPiece(Operation[MessageLiteral | Command]):
    """Read on behind a content: to the next one, or to the end of the command. The engine answers this one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class Stage(Operation[StagedContent]):
    """Bring *content* to where a transaction can name it."""

    content: Content


@dataclass(frozen=True, slots=True, eq=False)
class Discard(Operation[None]):
    """Remove what was staged and not named by any transaction."""

    staged: StagedContent


@dataclass(frozen=True, slots=True, eq=False)
class MakeShape(Operation[Shaped | None]):
    """Make the shape of *content*, in a thread if it is large; None when that cannot be done."""

    content: Content


# -- the store


@dataclass(frozen=True, slots=True, eq=False)
class Read(Operation[T]):
    """Run *function* on a consistent view."""

    function: Callable[[Snapshot], T]


@dataclass(frozen=True, slots=True, eq=False)
class Write(Operation[T]):
    """Run *function* atomically, perhaps twice; go on when it is durable."""

    function: Callable[[Transaction], T]


@dataclass(frozen=True, slots=True, eq=False)
class WriteLater(Operation[None]):
    """As ``Write``, for what nobody has to wait for and may be lost."""

    function: Callable[[Transaction], object]


# -- what the engine asks of its caller while a content comes in


@dataclass(frozen=True, slots=True, eq=False)
class Block(Operation[None]):
    """Keep the next octets of the content; answer when there is room for more."""

    data: bytes


class Collected(Operation[Content]):
    """The content is complete: give it."""

    __slots__ = ()
