"""STARTTLS.

Standards: RFC 9051 6.2.1.
"""

from __future__ import annotations

from fedaemon.errors import BadSyntax
from fedaemon.imap.events import Command
from fedaemon.imap.operations import StartTls
from fedaemon.imap.parse.session import NoArguments
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: NoArguments, command: Command) -> Done:
    """Begin TLS. Spec: RFC 9051 6.2.1"""
    if session.tls_active or not session.settings.tls_available:
        raise BadSyntax("TLS is not to be had here, or active already")
    await StartTls()
    return Done("TLS is active")
