"""Commands on their way out, and the replies they are owed, in order.

Standards: RFC 5321 4.3.1 (one reply for each command, in order), RFC 2920 (groups of commands).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

from fedaemon.smtp.client_reply import RemoteReply

Answered = Callable[[RemoteReply, int], None]
"""What a reply is given to, with the number that came with the command."""


class Wait(Enum):
    """What is being waited for; each has a timeout of its own."""

    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    HANDSHAKE = "handshake"
    AUTH = "auth"
    RESET = "reset"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BLOCK = "block"  # content is being sent, or a BDAT chunk that is not the last one is unanswered
    FINAL = "final"
    QUIT = "quit"
    IDLE = "idle"


PHASES = {
    Wait.GREETING: "greeting",
    Wait.EHLO: "ehlo",
    Wait.STARTTLS: "tls",
    Wait.HANDSHAKE: "tls",
    Wait.AUTH: "auth",
    Wait.RESET: "mail",
    Wait.MAIL: "mail",
    Wait.RCPT: "rcpt",
    Wait.DATA: "data",
    Wait.BLOCK: "content",
    Wait.FINAL: "content",
    Wait.QUIT: "mail",
    Wait.IDLE: "mail",
}
"""The phase of an attempt (delivery/transport.py) that each belongs to."""


class Pipeline:
    """Collects output, and knows which reply answers what."""

    __slots__ = ("_expected", "_output")

    def __init__(self) -> None:
        self._output: list[bytes] = []
        self._expected: deque[tuple[Wait, Answered, int]] = deque()

    def write(self, data: bytes) -> None:
        """Add *data* to the output."""
        self._output.append(data)

    def expect(self, wait: Wait, answered: Answered, number: int = 0) -> None:
        """Have the next reply that is not owed yet given to ``answered(reply, number)``."""
        self._expected.append((wait, answered, number))

    def take_output(self) -> bytes:
        """Return what is to be sent, once."""
        output = self._output
        if not output:
            return b""
        data = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        return data

    @property
    def awaited(self) -> Wait:
        """What the next reply will answer; ``Wait.IDLE`` when none is owed."""
        return self._expected[0][0] if self._expected else Wait.IDLE

    def __bool__(self) -> bool:
        """True while replies are owed."""
        return bool(self._expected)

    def answer(self, reply: RemoteReply) -> None:
        """Give *reply* to what it answers."""
        _, answered, number = self._expected.popleft()
        answered(reply, number)

    def drop(self) -> None:
        """Forget everything: nothing more is sent or expected."""
        self._output.clear()
        self._expected.clear()
