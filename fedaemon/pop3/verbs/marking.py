"""DELE, RSET and NOOP: marks that count when the session ends with QUIT.

Standards: RFC 1939 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.pop3.verbs.listing import named

if TYPE_CHECKING:
    from fedaemon.pop3.session import Session


def dele(session: Session, argument: bytes) -> None:
    """Mark a message as deleted. Spec: RFC 1939 5"""
    number = named(session, argument)
    if number is not None:
        session.maildrop.mark(number)
        session.say(b"+OK Marked for removal\r\n")


def rset(session: Session, argument: bytes) -> None:
    """Take all marks away. Spec: RFC 1939 5"""
    maildrop = session.maildrop
    maildrop.unmark_all()
    session.say(b"+OK %d messages (%d octets)\r\n" % (maildrop.count(), maildrop.octets()))


def noop(session: Session, argument: bytes) -> None:
    """Do nothing. Spec: RFC 1939 5"""
    session.say(b"+OK\r\n")
