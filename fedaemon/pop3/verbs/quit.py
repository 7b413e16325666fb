"""QUIT: the end of the session, when marked messages are removed.

Standards: RFC 1939 4, 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedaemon.pop3.events import Update

if TYPE_CHECKING:
    from fedaemon.pop3.session import Session


def quit_(session: Session, argument: bytes) -> None:
    """Ask for the removal; say good-bye at once where there is nothing to remove. Spec: RFC 1939 4, 6"""
    uids = session.maildrop.marked_uids()
    if uids:
        session.ask(Update(uids))
    else:
        session.say(b"+OK Bye\r\n")
        session.drop()
