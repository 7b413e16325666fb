"""What a verb is: its function, the phases of a session in which it is in order, and its refusals in the
others.

Standards: RFC 5321 4.1.4 (order of commands), RFC 2034.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from fedaemon.smtp.reply import Reply

if TYPE_CHECKING:
    from fedaemon.smtp.events import Event
    from fedaemon.smtp.session import Session


class Phase(IntEnum):
    """How far a session has come; also the column of a verb's ``order``."""

    START = 0  # no EHLO or HELO yet, or TLS has just begun
    IDLE = 1  # greeted, no transaction
    MAIL = 2  # a sender, no recipient yet
    RCPT = 3  # at least one recipient
    CHUNKS = 4  # at least one chunk of content came with BDAT


Order = tuple[bytes | None, bytes | None, bytes | None, bytes | None, bytes | None]
"""For each phase None where the verb is in order, else the refusal."""

ALWAYS: Order = (None, None, None, None, None)

EHLO_FIRST = b"503 5.5.1 Say EHLO first\r\n"
MAIL_FIRST = b"503 5.5.1 Say MAIL first\r\n"
RCPT_FIRST = b"503 5.5.1 Say RCPT first: there is no accepted recipient\r\n"
IN_TRANSACTION = b"503 5.5.1 Not during a mail transaction; finish it or say RSET\r\n"
IN_CHUNKS = b"503 5.5.1 The content is coming with BDAT; go on with BDAT or say RSET\r\n"


@dataclass(frozen=True, slots=True)
class Verb:
    """A command of the protocol.

    :param run: called with the session and the argument, without spaces around it, when the verb is in order.
    :param order: see ``Order``.
    :param argument: True when there must be one, False when there must be none, None when it does not matter.
    """

    name: str
    run: Callable[[Session, bytes], Event | None]
    order: Order
    argument: bool | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What the session does with the caller's answer to a verb's question."""

    accepted: Callable[[Session, Reply | None], None]
    refused: Callable[[Session, Reply], None]
