"""NAMESPACE.

Standards: RFC 9051 6.3.10.
"""

from __future__ import annotations

from fedaemon.imap import writer
from fedaemon.imap.events import Command
from fedaemon.imap.parse.session import NoArguments
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: NoArguments, command: Command) -> Done:
    """There is one namespace, the user's own. Spec: RFC 9051 6.3.10"""
    session.say(writer.untagged(b'NAMESPACE (("" "/")) NIL NIL'))
    return Done("That is all")
