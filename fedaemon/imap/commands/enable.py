"""ENABLE.

Standards: RFC 5161 3.1, 3.2, RFC 9051 6.3.1.
Known gaps: nothing is enabled but UTF8=ACCEPT.
"""

from __future__ import annotations

from typing import Final

from fedaemon.imap import writer
from fedaemon.imap.events import Command
from fedaemon.imap.parse.session import Enable
from fedaemon.imap.session import Done, Session

ENABLED: Final = (b"UTF8=ACCEPT",)


async def run(session: Session, arguments: Enable, command: Command) -> Done:
    """Enable what is known of it; the answer names what was not enabled before. Spec: RFC 5161 3.1, 3.2"""
    new = [name for name in arguments.capabilities if name in ENABLED and name not in session.enabled]
    session.enabled.update(new)
    session.say(writer.untagged(b"ENABLED", *new))
    return Done("Enabled")
