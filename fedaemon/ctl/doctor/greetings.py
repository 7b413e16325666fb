"""What mail servers say of themselves when they are greeted, and the TLS they have.

Standards: RFC 5321 3.1 and 4.1.1.1 (greeting, EHLO), RFC 3207 4 (STARTTLS), RFC 9051 6.1.1 and 6.2.1 (IMAP),
RFC 1939 3, RFC 2449 5 and RFC 2595 4 (POP3, CAPA, STLS).
Invariants: nothing is sent but greetings and farewells.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from fedaemon.ctl.doctor.dialogue import MAX_LINES, Broken, Conversation, NoTls


@dataclass(frozen=True, slots=True)
class Seen:
    """What a server says of itself: *name* in its greeting, *plain* and *secured* what it offers before TLS and
    under it, its TLS version and certificate (DER, b"" without TLS)."""

    name: str
    greeting: str = ""
    plain: frozenset[str] = frozenset()
    secured: frozenset[str] = frozenset()
    tls: str = ""
    certificate: bytes = b""
    connected_s: float = 0.0
    auth: frozenset[str] = frozenset()


def visit_smtp(talk: Conversation, our_name: str, server: str, form: str, context: ssl.SSLContext) -> Seen:
    """Greet an SMTP server, with TLS as *form* says (implicit, starttls, none), and say good-bye.

    :raises Broken: it does not do its part; ``NoTls`` when it is TLS that fails.
    """
    if form == "implicit":
        talk.start_tls(server, context)
    code, lines = talk.smtp()
    if code != 220:
        raise Broken(f"greets with {code} {lines[0][:200]}")
    greeting = lines[0]
    plain, secured = _ehlo(talk, our_name), []
    if form == "implicit":
        plain, secured = [], plain
    elif form == "starttls":
        if "STARTTLS" not in _words(plain):
            raise NoTls("does not offer STARTTLS")
        code, lines = talk.smtp("STARTTLS")
        if code != 220:
            raise NoTls(f"answers STARTTLS with {code} {lines[0][:200]}")
        talk.start_tls(server, context)
        secured = _ehlo(talk, our_name)
    offered = secured or plain
    auth = frozenset(word for line in offered if _first(line) == "AUTH" for word in line.upper().split()[1:])
    seen = Seen(
        greeting.partition(" ")[0],
        greeting,
        _words(plain),
        _words(secured),
        talk.tls,
        talk.certificate,
        talk.connected_s,
        auth,
    )
    talk.say("QUIT")
    return seen


def _ehlo(talk: Conversation, our_name: str) -> list[str]:
    code, lines = talk.smtp(f"EHLO {our_name}")
    if code != 250:
        raise Broken(f"answers EHLO with {code} {lines[0][:200]}")
    return lines[1:]


def _words(lines: list[str]) -> frozenset[str]:
    return frozenset(map(_first, lines))


def _first(line: str) -> str:
    return line.partition(" ")[0].upper()


def visit_imap(talk: Conversation, server: str, form: str, context: ssl.SSLContext) -> Seen:
    """Greet an IMAP server, with TLS as *form* says; raises as ``visit_smtp``."""
    if form == "implicit":
        talk.start_tls(server, context)
    greeting = talk.line()
    if not greeting.startswith("* OK"):
        raise Broken(f"greets with {greeting[:200]!a}")
    offered = _imap_capabilities(talk, "a")
    plain, secured = (frozenset[str](), offered) if form == "implicit" else (offered, frozenset[str]())
    if form == "starttls":
        if "STARTTLS" not in plain:
            raise NoTls("does not offer STARTTLS")
        if not _imap(talk, "b", "STARTTLS")[-1].startswith("b OK"):
            raise NoTls("refuses STARTTLS")
        talk.start_tls(server, context)
        secured = _imap_capabilities(talk, "c")
    talk.say("z LOGOUT")
    return Seen("", greeting, plain, secured, talk.tls, talk.certificate, talk.connected_s)


def _imap(talk: Conversation, tag: str, command: str) -> list[str]:
    talk.say(f"{tag} {command}")
    lines: list[str] = []
    while len(lines) < MAX_LINES:
        lines.append(talk.line())
        if lines[-1].startswith(f"{tag} "):
            return lines
    raise Broken("sends an answer without end")


def _imap_capabilities(talk: Conversation, tag: str) -> frozenset[str]:
    lines = _imap(talk, tag, "CAPABILITY")
    found = next((line for line in lines if line.startswith("* CAPABILITY ")), "")
    return frozenset(found.upper().split()[2:])


def visit_pop3(talk: Conversation, server: str, form: str, context: ssl.SSLContext) -> Seen:
    """Greet a POP3 server, with TLS as *form* says; raises as ``visit_smtp``."""
    if form == "implicit":
        talk.start_tls(server, context)
    greeting = talk.line()
    if not greeting.startswith("+OK"):
        raise Broken(f"greets with {greeting[:200]!a}")
    offered = _pop3_capabilities(talk)
    plain, secured = (frozenset[str](), offered) if form == "implicit" else (offered, frozenset[str]())
    if form == "starttls":
        if "STLS" not in plain:
            raise NoTls("does not offer STLS")
        talk.say("STLS")
        if not talk.line().startswith("+OK"):
            raise NoTls("refuses STLS")
        talk.start_tls(server, context)
        secured = _pop3_capabilities(talk)
    talk.say("QUIT")
    return Seen("", greeting, plain, secured, talk.tls, talk.certificate, talk.connected_s)


def _pop3_capabilities(talk: Conversation) -> frozenset[str]:
    talk.say("CAPA")
    if not talk.line().startswith("+OK"):
        return frozenset()
    found: list[str] = []
    while len(found) < MAX_LINES:
        line = talk.line()
        if line == ".":
            return frozenset(found)
        found.append(_first(line))
    raise Broken("sends an answer without end")
