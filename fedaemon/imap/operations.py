"""What a command waits for: plain values that the engine's caller carries out.

A command is a coroutine without I/O; it awaits one of these, and the caller answers when it is done.

Standards: RFC 9051 6.2.
Known gaps: none yet for the store, a turn of the reactor, the client's reading, and changes of a mailbox.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Operation(Generic[T]):
    """Something to wait for; *T* is what comes of it."""

    __slots__ = ()

    def __await__(self) -> Generator[Operation[Any], T, T]:
        return (yield self)


class Verify(Operation[str]):
    """Check *password*; what comes of it is the account that is logged in."""

    __slots__ = ("login", "password")

    def __init__(self, login: str, password: str) -> None:
        self.login = login
        self.password = password


class Start(Operation["bytes | str"]):
    """Begin a SASL exchange: octets are a challenge, text is the account that is logged in."""

    __slots__ = ("initial", "mechanism")

    def __init__(self, mechanism: str, initial: bytes | None) -> None:
        self.mechanism = mechanism
        self.initial = initial


class Respond(Operation["bytes | str"]):
    """Go on with the client's answer to a challenge; as ``Start``."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class StartTls(Operation[None]):
    """Send what is queued, with the command's OK at its end, and make the handshake."""

    __slots__ = ()


class NextLine(Operation[bytes]):
    """Wait for a line of the client as it is; the engine itself answers this one."""

    __slots__ = ()
