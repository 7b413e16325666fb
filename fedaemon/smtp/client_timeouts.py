"""How long a client waits for what, and the one timer that a connection has for it.

Standards: RFC 5321 4.5.3.2.
Invariants: a connection has at most one entry in the reactor's calendar, however many steps it goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from fedaemon.smtp.client_pipeline import Wait

AWAITED: Final = {
    Wait.GREETING: "the greeting",
    Wait.EHLO: "the reply to EHLO",
    Wait.STARTTLS: "the reply to STARTTLS",
    Wait.HANDSHAKE: "the TLS handshake",
    Wait.AUTH: "the reply to AUTH",
    Wait.RESET: "the reply to RSET",
    Wait.MAIL: "the reply to MAIL",
    Wait.RCPT: "the reply to RCPT",
    Wait.DATA: "the reply to DATA",
    Wait.BLOCK: "the host to take the message",
    Wait.FINAL: "the reply to the end of the message",
    Wait.QUIT: "the reply to QUIT",
    Wait.IDLE: "something to do",
}
"""What is being waited for, in words."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for what, in seconds.

    Spec: RFC 5321 4.5.3.2; connect, tls, quit and session are not in it.
    """

    connect_s: float = 30.0
    greeting_s: float = 300.0
    tls_s: float = 60.0
    command_s: float = 300.0
    data_s: float = 120.0
    block_s: float = 180.0
    final_s: float = 600.0
    quit_s: float = 5.0
    session_s: float = 4 * 3600.0
    """From the connection or the beginning of a transaction: bounds what a server can hold by answering each
    command just in time."""
    of: Mapping[Wait, float] = field(init=False, repr=False, compare=False)
    """The same for each wait."""

    def __post_init__(self) -> None:
        of = dict.fromkeys(Wait, self.command_s)
        of |= {
            Wait.GREETING: self.greeting_s,
            Wait.HANDSHAKE: self.tls_s,
            Wait.DATA: self.data_s,
            Wait.BLOCK: self.block_s,
            Wait.FINAL: self.final_s,
            Wait.QUIT: self.quit_s,
        }
        object.__setattr__(self, "of", of)


_INSTANT_S: Final = 1e-6
"""Less than this is rounding, not time that is left."""


class StepTimer:
    """A timer that is set anew with every step and hardly ever rings.

    Each step has its own time-out, often longer than the one before. Setting it stores a number; the entry in
    the reactor's calendar stays where it is, unless it would ring too late, and when it rings too early it is
    put in again.
    """

    __slots__ = ("_call", "_clock", "_due_s", "_ring")

    def __init__(self, clock: Any, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due_s = inf
        self._call: Any = None  # IDelayedCall

    def set(self, delay_s: float) -> None:
        """Ring in *delay_s*, and not when it was to ring before."""
        self._due_s = self._clock.seconds() + delay_s
        if self._call is None:
            self._call = self._clock.callLater(delay_s, self._rang)
        elif self._due_s < self._call.getTime():
            self._call.reset(delay_s)

    def rest(self) -> None:
        """Do not ring."""
        self._due_s = inf

    def cancel(self) -> None:
        """Do not ring, and leave the calendar."""
        self._due_s = inf
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _rang(self) -> None:
        self._call = None
        if self._due_s == inf:
            return
        left_s = self._due_s - self._clock.seconds()
        if left_s > _INSTANT_S:
            self._call = self._clock.callLater(left_s, self._rang)
        else:
            self._ring()
