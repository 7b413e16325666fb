"""DATA: the content follows, up to a line with a single dot.

Standards: RFC 5321 4.1.1.4, 3.3, RFC 3030 3 (BINARYMIME only with BDAT).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.smtp.events import DataStart
from fedaemon.smtp.reply import Reply
from fedaemon.smtp.verbs.verb import EHLO_FIRST, IN_CHUNKS, MAIL_FIRST, RCPT_FIRST, Answers, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.events import Event
    from fedaemon.smtp.session import Session


def data(session: Session, argument: bytes) -> Event | None:
    """Ask the caller whether the content may come."""
    if session.params.body == "BINARYMIME":
        session.fault(b"503 5.6.1 BODY=BINARYMIME can only be sent with BDAT\r\n")
        return None
    return session.ask(DataStart(False, session.params.size), ANSWERS)


def _accepted(session: Session, reply: Reply | None) -> None:
    session.answer(b"354 End the message with <CR><LF>.<CR><LF>\r\n", reply)
    session.read_content(chunks=False)


def _refused(session: Session, reply: Reply) -> None:
    session.end_transaction()
    session.reject(reply)


ANSWERS = Answers(_accepted, _refused)

VERB = Verb("DATA", data, (EHLO_FIRST, MAIL_FIRST, RCPT_FIRST, None, IN_CHUNKS), argument=False)
