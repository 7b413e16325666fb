"""AUTHENTICATE.

Standards: RFC 9051 6.2.2, RFC 4959 3 (initial response).
Invariants: no credentials are taken before TLS.
"""

from __future__ import annotations

from binascii import b2a_base64

from fedaemon.errors import BadSyntax, Refused
from fedaemon.imap import writer
from fedaemon.imap.commands.login import logged_in, need_tls
from fedaemon.imap.events import Command
from fedaemon.imap.operations import NextLine, Respond, Start
from fedaemon.imap.parse.session import Authenticate, read_base64
from fedaemon.imap.session import Done, Session


async def run(session: Session, arguments: Authenticate, command: Command) -> Done:
    """Log in by SASL; "*" ends the exchange. Spec: RFC 9051 6.2.2"""
    need_tls(session)
    if arguments.mechanism not in session.settings.auth_mechanisms:
        raise Refused("This mechanism is not offered; CAPABILITY lists those that are")
    step = await Start(arguments.mechanism, arguments.initial)
    while isinstance(step, bytes):
        session.say(writer.challenge(b2a_base64(step, newline=False)))
        line = await NextLine()
        if line == b"*":
            raise BadSyntax("The exchange was ended")
        step = await Respond(read_base64(line))
    return logged_in(session, step)
