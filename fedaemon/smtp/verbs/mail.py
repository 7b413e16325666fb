"""MAIL: a transaction begins with its sender.

Standards: RFC 5321 4.1.1.2, RFC 1870 6 (SIZE), RFC 6152 and RFC 3030 3 (BODY), RFC 6531 3.4 (SMTPUTF8),
RFC 3461 4.3, 4.4 (RET, ENVID), RFC 8689 3 (REQUIRETLS), RFC 4954 5 (AUTH), RFC 3207 4 and RFC 4954 6 (530);
``wishes`` has those that say when the message is to go.
Limits: ``MAX_ENVID``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fedaemon.errors import BadSyntax, Refused
from fedaemon.message.address import parse_address, parse_reverse_path
from fedaemon.smtp.events import MailFrom, MailParams
from fedaemon.smtp.reply import Reply
from fedaemon.smtp.verbs.params import (
    bad_param,
    decode_xtext,
    is_xtext,
    needs_ehlo,
    parse_params,
    unknown_param,
)
from fedaemon.smtp.verbs.verb import EHLO_FIRST, IN_CHUNKS, IN_TRANSACTION, Answers, Phase, Verb
from fedaemon.smtp.verbs.wishes import WISHES
from fedaemon.submission.wishes import Wishes

if TYPE_CHECKING:
    from fedaemon.smtp.events import Event
    from fedaemon.smtp.session import Session

MAX_ENVID = 100
"""Characters of ENVID (RFC 3461 4.4)."""

STARTTLS_FIRST = b"530 5.7.0 Say STARTTLS first: this service needs TLS\r\n"
NO_TLS_HERE = b"530 5.7.0 Only trusted hosts may send here; others use a port with TLS\r\n"
AUTH_FIRST = b"530 5.7.0 Log in first (AUTH): this service needs it\r\n"

NO_PARAMS = MailParams()

_BODIES = {b"7BIT": "7BIT", b"8BITMIME": "8BITMIME", b"BINARYMIME": "BINARYMIME"}
_RETS = {b"FULL": "FULL", b"HDRS": "HDRS"}
_SAYS_SMTPUTF8 = re.compile(rb"(?i) SMTPUTF8(?: |\Z)").search


def mail(session: Session, argument: bytes) -> Event | None:
    """Ask the caller about the sender."""
    settings = session.settings
    if not session.trusted:
        if settings.require_tls and not session.tls_active:
            session.fault(STARTTLS_FIRST if settings.tls_available else NO_TLS_HERE)
            return None
        if settings.require_auth and not session.authenticated:
            session.fault(AUTH_FIRST)
            return None
    if argument[:5].upper() != b"FROM:":
        raise BadSyntax("After MAIL stands FROM:<address>", status="5.5.4")
    utf8 = not argument.isascii() and session.extended and _SAYS_SMTPUTF8(argument) is not None
    sender, rest = parse_reverse_path(argument[5:].lstrip(b" "), utf8=utf8)
    params = _read_params(session, rest) if rest else NO_PARAMS
    if utf8 and not params.smtputf8:  # what looked like the parameter stood inside the address
        raise BadSyntax("The address is not ASCII; it needs SMTPUTF8", code=553, status="5.6.7")
    session.params = params
    return session.ask(MailFrom(sender, params), ANSWERS)


def _accepted(session: Session, reply: Reply | None) -> None:
    session.phase = Phase.MAIL
    session.recipients = 0
    session.answer(b"250 2.1.0 Ok\r\n", reply)


def _refused(session: Session, reply: Reply) -> None:
    session.reject(reply)
    session.params = NO_PARAMS


ANSWERS = Answers(_accepted, _refused)


def _read_params(session: Session, text: bytes) -> MailParams:
    if not session.extended:
        raise needs_ehlo()
    values: dict[str, Any] = {}
    wishes: dict[str, Any] = {}
    for name, value in parse_params(text).items():
        param = PARAMS.get(name)
        if param is not None:
            field, read = param
            values[field] = read(session, name, value)
        elif session.offer is not None and name in WISHES:
            field, read_wish = WISHES[name]
            wishes[field] = read_wish(name, value)
        else:
            raise unknown_param(name)
    if wishes:
        values["wishes"] = Wishes(**wishes)
    return MailParams(**values)


def _size(session: Session, name: bytes, value: bytes | None) -> int | None:
    if value is None or not value.isdigit() or len(value) > 20:
        raise bad_param(name, "takes a number of octets")
    size = int(value)
    if size > session.settings.max_message_size:
        raise Refused(
            f"{size} octets are too many: a message may have {session.settings.max_message_size}",
            code=552,
            status="5.3.4",
        )
    return size or None


def _body(session: Session, name: bytes, value: bytes | None) -> str:
    body = _BODIES.get((value or b"").upper())
    if body is None:
        raise bad_param(name, "takes 7BIT, 8BITMIME or BINARYMIME")
    return body


def _smtputf8(session: Session, name: bytes, value: bytes | None) -> bool:
    if value is not None:
        raise bad_param(name, "takes no value")
    return True


def _ret(session: Session, name: bytes, value: bytes | None) -> str:
    ret = _RETS.get((value or b"").upper())
    if ret is None:
        raise bad_param(name, "takes FULL or HDRS")
    return ret


def _envid(session: Session, name: bytes, value: bytes | None) -> str:
    if value is None or len(value) > MAX_ENVID or not is_xtext(value):
        raise bad_param(name, f"takes at most {MAX_ENVID} characters of xtext")
    return value.decode("ascii")


def _require_tls(session: Session, name: bytes, value: bytes | None) -> bool:
    if value is not None:
        raise bad_param(name, "takes no value")
    if not session.tls_active:
        raise Refused("REQUIRETLS needs a connection under TLS", code=530, status="5.7.10")
    return True


def _auth(session: Session, name: bytes, value: bytes | None) -> str:
    if not session.settings.auth_mechanisms:
        raise unknown_param(name)
    if value is None or not is_xtext(value):
        raise bad_param(name, "takes an address in xtext, or <>")
    mailbox = decode_xtext(value)
    if mailbox == b"<>":
        return ""
    try:
        return str(parse_address(mailbox.decode("utf-8")))
    except (BadSyntax, UnicodeDecodeError):
        raise bad_param(name, "takes an address in xtext, or <>") from None


PARAMS: dict[bytes, tuple[str, Callable[[Session, bytes, bytes | None], Any]]] = {
    b"SIZE": ("size", _size),
    b"BODY": ("body", _body),
    b"SMTPUTF8": ("smtputf8", _smtputf8),
    b"RET": ("ret", _ret),
    b"ENVID": ("envid", _envid),
    b"REQUIRETLS": ("require_tls", _require_tls),
    b"AUTH": ("auth", _auth),
}

VERB = Verb("MAIL", mail, (EHLO_FIRST, None, IN_TRANSACTION, IN_TRANSACTION, IN_CHUNKS), argument=True)
