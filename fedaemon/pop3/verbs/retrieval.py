"""RETR and TOP: the messages themselves.

Standards: RFC 1939 5, 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.pop3.events import Retrieve
from fedaemon.pop3.maildrop import read_number
from fedaemon.pop3.verbs.listing import named

if TYPE_CHECKING:
    from fedaemon.pop3.session import Session


def retr(session: Session, argument: bytes) -> None:
    """Ask for a message. Spec: RFC 1939 5"""
    number = named(session, argument)
    if number is not None:
        session.ask(Retrieve(session.maildrop.uid(number), None))


def top(session: Session, argument: bytes) -> None:
    """Ask for the header of a message and some lines. Spec: RFC 1939 7"""
    message, _, lines = argument.partition(b" ")
    body_lines = read_number(lines)
    if body_lines is None:
        session.fault(b"-ERR After TOP stand a message number and how many lines\r\n")
        return
    number = named(session, message)
    if number is not None:
        session.ask(Retrieve(session.maildrop.uid(number), body_lines))
