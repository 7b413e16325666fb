"""What the client engine tells: each step of a connection ends in one of these.

``Failed`` may come in place of any other; the connection is of no use after it.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedaemon.smtp.client_transaction import Answer


@dataclass(frozen=True, slots=True)
class Ready:
    """The server has greeted and told what it offers."""


@dataclass(frozen=True, slots=True)
class TlsGranted:
    """The server waits for the handshake."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The server knows us."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The transaction is over: an answer for each recipient; None for those to be offered in another one."""

    answers: tuple[Answer | None, ...]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The server has answered QUIT."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The connection is of no use: *reason* says what happened (its code is 0 unless a reply did it).

    *answers* holds what recipients of a running transaction were told before. *untouched*: no recipient had
    been accepted and no content sent, so that the same may be begun anew elsewhere as if nothing had been.
    """

    reason: Answer
    answers: tuple[Answer | None, ...] = ()
    untouched: bool = True


Event = Ready | TlsGranted | Authenticated | Ended | Goodbye | Failed
