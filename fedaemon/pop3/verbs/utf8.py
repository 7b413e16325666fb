"""UTF8: the client understands UTF-8 in messages and replies.

Standards: RFC 6856 2.1.
Known gaps: a message whose header has UTF-8 is sent as it is to a client that did not say UTF8, where the
standard asks for a downgraded form or a refusal; a refusal would stop fetching programs at such a message for
ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedaemon.pop3.session import Session


def utf8(session: Session, argument: bytes) -> None:
    """Remember it. Spec: RFC 6856 2.1"""
    session.utf8 = True
    session.say(b"+OK UTF-8 it is\r\n")
