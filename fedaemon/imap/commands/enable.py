"""ENABLE.

Standards: RFC 5161 3.1, 3.2, RFC 9051 6.3.1, RFC 7162 3.1, 3.2.3 (QRESYNC brings CONDSTORE), RFC 6855 3,
RFC 9586 3.1 (UIDONLY).
"""

from __future__ import annotations

from typing import Final

from fedaemon.imap import writer
from fedaemon.imap.condstore import enable_condstore
from fedaemon.imap.events import Command
from fedaemon.imap.parse.session import Enable
from fedaemon.imap.session import Done, Session

KNOWN: Final = (b"UTF8=ACCEPT", b"IMAP4REV2", b"CONDSTORE", b"QRESYNC", b"UIDONLY")
_NUMBERED: Final = frozenset((b"CONDSTORE", b"QRESYNC"))


async def run(session: Session, arguments: Enable, command: Command) -> Done:
    """Enable what is known of it; the answer names what was not enabled before. Spec: RFC 5161 3.1, 3.2"""
    new = [name for name in arguments.capabilities if name in KNOWN and name not in session.enabled]
    session.say(writer.untagged(b"ENABLED", *new))
    if not _NUMBERED.isdisjoint(new):
        enable_condstore(session)
    session.enabled.update(new)
    return Done("Enabled")
