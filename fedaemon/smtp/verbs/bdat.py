"""BDAT: a chunk of the content of announced size, the last one marked.

The octets of a chunk follow their command in any case, so a refused chunk is passed over before it is
answered; a BDAT whose size cannot be read ends the connection, as its chunk would be taken for commands.

Standards: RFC 3030 2, 4.1, 4.2.
Invariants: no octet of a chunk is ever read as a command.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from fedaemon.smtp.events import Abuse, DataStart
from fedaemon.smtp.reply import Reply
from fedaemon.smtp.verbs.verb import ALWAYS, EHLO_FIRST, MAIL_FIRST, RCPT_FIRST, Answers, Order, Phase, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.events import Event
    from fedaemon.smtp.session import Session

ORDER: Order = (EHLO_FIRST, MAIL_FIRST, RCPT_FIRST, None, None)
"""As in ``Verb.order``; applied here, after the chunk was passed over."""

_CHUNK = re.compile(rb"([0-9]{1,20})(?: +(LAST))?", re.IGNORECASE).fullmatch


def bdat(session: Session, argument: bytes) -> Event | None:
    """Read the chunk; ask the caller before the first one of a message."""
    match = _CHUNK(argument)
    if match is None:
        reason = "BDAT without a readable size"
        session.shut(b"501 5.5.4 BDAT takes a size, and LAST for the last chunk\r\n", Abuse(reason), reason)
        return None
    size, last = int(match[1]), match[2] is not None
    if size > session.endurance:
        session.shut_overflowed()
        return None
    refusal = ORDER[session.phase]
    if refusal is not None:
        session.swallow(size, partial(session.fault, refusal))
        return None
    session.chunk = (size, last)
    if session.phase is Phase.RCPT:
        binary = session.params.body == "BINARYMIME"
        return session.ask(DataStart(binary, size if last else session.params.size), ANSWERS)
    return session.read_chunk()


def _accepted(session: Session, reply: Reply | None) -> None:
    session.phase = Phase.CHUNKS
    session.read_content(chunks=True)
    event = session.read_chunk()
    if event is not None:
        session.tell(event)


def _refused(session: Session, reply: Reply) -> None:
    session.end_transaction()
    session.swallow(session.chunk[0], partial(session.reject, reply))


ANSWERS = Answers(_accepted, _refused)

VERB = Verb("BDAT", bdat, ALWAYS)
