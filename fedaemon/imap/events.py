"""What the command reader tells its caller.

``MessageLiteral`` is a question: the reader gives no further event until ``accept`` or ``refuse`` answers it. The
others are statements.

Standards: RFC 9051 2.2.1, 4.3, RFC 7888, RFC 3516 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal that was kept. *binary* says that it was sent as literal8."""

    data: bytes
    binary: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A complete command, or the first part of one up to a ``MessageLiteral``.

    *name* is upper case; *uid* says that it was prefixed with UID. *text* is what follows the name, with its
    leading space; each NUL in it stands for the next of *literals*.
    """

    tag: bytes
    name: bytes
    uid: bool
    text: bytes
    literals: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Continuation:
    """The client waits to send a literal that the reader will take: send a continuation request."""


@dataclass(frozen=True, slots=True)
class MessageLiteral:
    """Question: the content of a message is about to come, *size* octets of it.

    *command* has what came since the last content: all from the start of the command in its first
    ``MessageLiteral``, in the next ones only what follows the content before. When *waiting*, the caller that
    accepts sends a continuation request.
    """

    command: Command
    size: int
    binary: bool
    waiting: bool


@dataclass(frozen=True, slots=True)
class LiteralBlock:
    """A block of the content that was accepted."""

    data: bytes


@dataclass(frozen=True, slots=True)
class LiteralEnd:
    """The content is complete; the command goes on."""


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """A command with contents is complete. *command* has what followed the last content."""

    command: Command


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that is no command: answer BAD, tagged if there is a *tag*. Contents taken for it are void."""

    tag: bytes | None
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """The rest of the command that the caller refused was passed over: now it can be answered."""

    tag: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """The line that was asked for with ``expect_line``, without its CR LF."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Abuse:
    """The client can not be understood any more (*reason*): say BYE and close. Nothing more is read."""

    reason: str


Event = (
    Command
    | Continuation
    | MessageLiteral
    | LiteralBlock
    | LiteralEnd
    | CommandEnd
    | Refusal
    | Skipped
    | Line
    | Abuse
)
