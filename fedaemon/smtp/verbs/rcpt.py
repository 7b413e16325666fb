"""RCPT: one more recipient.

Standards: RFC 5321 4.1.1.3, 4.5.3.1.8 and 4.5.3.1.10 (too many), RFC 3461 4.1, 4.2 (NOTIFY, ORCPT), RFC 6533
3 (utf-8).
Invariants: refused recipients count as errors of a stranger, never of who logged in or is trusted.
Limits: ``max_recipients`` accepted in a transaction; ``MAX_ORCPT``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fedaemon.errors import BadSyntax
from fedaemon.message.address import parse_forward_path
from fedaemon.smtp.events import RcptParams, RcptTo
from fedaemon.smtp.reply import Reply
from fedaemon.smtp.verbs.params import bad_param, is_xtext, needs_ehlo, parse_params, unknown_param
from fedaemon.smtp.verbs.verb import EHLO_FIRST, IN_CHUNKS, MAIL_FIRST, Answers, Phase, Verb

if TYPE_CHECKING:
    from fedaemon.smtp.events import Event
    from fedaemon.smtp.session import Session

MAX_ORCPT = 500
"""Characters of ORCPT (RFC 3461 4.2)."""

NO_PARAMS = RcptParams()
TOO_MANY = b"452 4.5.3 Too many recipients; send the message to the others in a next transaction\r\n"

_NOTIFY = re.compile(rb"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}").fullmatch
_ADDRESS_TYPE = re.compile(rb"[A-Za-z0-9-]+").fullmatch
# RFC 6533 3 utf-8-addr-unitext and utf-8-addr-xtext: printable, with \x{...} for what cannot stand for
# itself.
_UTF8_ADDRESS = re.compile(
    r"(?:[!-*,-<>-\[\]-~\xa1-\U0010ffff]|\+[0-9A-F]{2}|\\x\{[0-9A-F]{2,6}\})*+"
).fullmatch


def rcpt(session: Session, argument: bytes) -> Event | None:
    """Ask the caller about the recipient."""
    if argument[:3].upper() != b"TO:":
        raise BadSyntax("After RCPT stands TO:<address>", status="5.5.4")
    if session.recipients >= session.settings.max_recipients:
        session.say(TOO_MANY)
        return None
    recipient, rest = parse_forward_path(
        argument[3:].lstrip(b" "), utf8=session.params.smtputf8, local_domain=session.settings.hostname
    )
    params = _read_params(session, rest) if rest else NO_PARAMS
    return session.ask(RcptTo(recipient, params), ANSWERS)


def _accepted(session: Session, reply: Reply | None) -> None:
    session.phase = Phase.RCPT
    session.recipients += 1
    session.answer(b"250 2.1.5 Ok\r\n", reply)


def _refused(session: Session, reply: Reply) -> None:
    if reply.code >= 500 and (session.authenticated or session.trusted):
        # A user's list may hold many dead addresses. Were they errors, the session would end before its message
        # to the others, each time it is tried.
        session.say(reply.to_bytes(session.params.smtputf8))
    else:
        session.reject(reply)


ANSWERS = Answers(_accepted, _refused)


def _read_params(session: Session, text: bytes) -> RcptParams:
    if not session.extended:
        raise needs_ehlo()
    notify = orcpt = ""
    for name, value in parse_params(text).items():
        if name == b"NOTIFY":
            notify = _read_notify(name, value)
        elif name == b"ORCPT":
            orcpt = _read_orcpt(name, value, session.params.smtputf8)
        else:
            raise unknown_param(name)
    return RcptParams(notify, orcpt)


def _read_notify(name: bytes, value: bytes | None) -> str:
    notify = (value or b"").upper()
    if _NOTIFY(notify) is None or len(set(notify.split(b","))) <= notify.count(b","):
        raise bad_param(name, "takes NEVER, or some of SUCCESS,FAILURE,DELAY once each")
    return notify.decode("ascii")


def _read_orcpt(name: bytes, value: bytes | None, utf8: bool) -> str:
    """Check ORCPT=type;address. The address is handed on as it is, so it must be printable text.

    Spec: RFC 3461 4.2, RFC 6533 3
    """
    kind, semicolon, address = (value or b"").partition(b";")
    if _ADDRESS_TYPE(kind) and semicolon and address and len(address) <= MAX_ORCPT:
        if is_xtext(address):
            return f"{kind.decode('ascii')};{address.decode('ascii')}"
        if kind.lower() == b"utf-8":
            text = address.decode("utf-8", "replace")
            if (
                (utf8 or address.isascii())
                and _UTF8_ADDRESS(text)
                and text.isprintable()
                and "\ufffd" not in text
            ):
                return f"{kind.decode('ascii')};{text}"
    raise bad_param(name, "takes type;address with the address in xtext")


VERB = Verb("RCPT", rcpt, (EHLO_FIRST, MAIL_FIRST, None, None, IN_CHUNKS), argument=True)
