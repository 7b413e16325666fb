"""EHLO: the greeting, answered with the list of extensions.

Real clients name themselves by address literals without care, bare host names, names with underscores or
"localhost", and a server that refuses these refuses mail (RFC 5321 4.1.4 forbids it, too); so only what could
not be written into a header field or a log line is refused.

Standards: RFC 5321 4.1.1.1, 4.1.4; the extensions: RFC 1870 SIZE, RFC 2034, RFC 2920, RFC 3030, RFC 3207, RFC
3461 DSN, RFC 4954, RFC 6152, RFC 6531, RFC 8689, RFC 9422; RFC 2852, RFC 4865, RFC 6710.
Invariants: AUTH and REQUIRETLS are listed only under TLS, STARTTLS only before it; FUTURERELEASE, DELIVERBY and
MT-PRIORITY only to whom they were offered.
Limits: ``MAX_NAME`` octets of the client's name.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fedaemon.smtp.engine_settings import EngineSettings
from fedaemon.smtp.events import Hello
from fedaemon.smtp.reply import Reply
from fedaemon.smtp.verbs.verb import ALWAYS, Phase, Verb
from fedaemon.submission.wishes import Offer

if TYPE_CHECKING:
    from fedaemon.smtp.session import Session

MAX_NAME = 255
"""Octets of a domain (RFC 5321 4.5.3.1.2)."""


def ehlo(session: Session, argument: bytes) -> None:
    """Answer with our name and what we can do now."""
    greeted(session, argument, extended=True)


def greeted(session: Session, argument: bytes, *, extended: bool) -> None:
    """Begin the session anew, as both greetings do.

    Spec: RFC 5321 4.1.1.1, 4.1.4
    """
    name = _printable_word(argument)
    if not name:
        session.fault(b"501 5.5.4 That is not a host name\r\n")
        return
    session.abandon("EHLO or HELO before the content was complete")
    session.hello = name
    session.extended = extended
    session.phase = Phase.IDLE
    settings = session.settings
    session.say(
        _extensions(settings, session.tls_active, session.offer) if extended else _name_only(settings)
    )
    session.tell(Hello(name, extended))


def _printable_word(argument: bytes) -> str:
    """Return the first word of *argument* in ASCII, or "" when it is too long or has control characters.

    What stands behind a space is dropped: in a header field it could pass for something that we wrote.
    """
    word = argument.split(b" ", 1)[0]
    if len(word) > MAX_NAME:
        return ""
    text = word.decode("ascii", "replace").replace("\ufffd", "?")
    return text if text.isprintable() else ""


@lru_cache(maxsize=64)
def _extensions(settings: EngineSettings, tls_active: bool, offer: Offer | None) -> bytes:
    lines = [
        settings.hostname,
        "PIPELINING",
        f"SIZE {settings.max_message_size}",
        "8BITMIME",
        "BINARYMIME",
        "CHUNKING",
        "SMTPUTF8",
        "DSN",
        "ENHANCEDSTATUSCODES",
        f"LIMITS RCPTMAX={settings.max_recipients}",
    ]
    if tls_active:
        lines.append("REQUIRETLS")
        if settings.auth_mechanisms:
            lines.append("AUTH " + " ".join(settings.auth_mechanisms))
    elif settings.tls_available:
        lines.append("STARTTLS")
    if offer is not None:
        lines += _offered(offer)
    lines.append("HELP")
    return Reply(250, "", tuple(lines)).to_bytes()


def _offered(offer: Offer) -> list[str]:
    """Return the lines for what may be said about when a message is to go.

    The three priorities of the MIXER policy are what the queue tells apart.

    Spec: RFC 4865 3, RFC 2852 2, RFC 6710 3, 9.2
    """
    lines = [f"FUTURERELEASE {offer.max_hold_s} {offer.latest}"] if offer.max_hold_s else []
    if offer.deliver_by:
        lines.append("DELIVERBY")
    lines.append("MT-PRIORITY MIXER")
    return lines


@lru_cache(maxsize=64)
def _name_only(settings: EngineSettings) -> bytes:
    return Reply(250, "", settings.hostname).to_bytes()


VERB = Verb("EHLO", ehlo, ALWAYS, argument=True)
