"""Parameters of MAIL and RCPT.

Standards: RFC 5321 4.1.2 (esmtp-param), 4.1.1.11 (555), RFC 6531 3.3 (UTF-8 in values), RFC 3461 4 (xtext).
Limits: the length of a command line.
"""

from __future__ import annotations

import re

from fedaemon.errors import BadSyntax

_PARAM = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\x80-\xff]+))?").fullmatch
_XTEXT = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*+").fullmatch
_XTEXT_CODE = re.compile(rb"\+([0-9A-F]{2})").sub


def parse_params(text: bytes) -> dict[bytes, bytes | None]:
    """Return the parameters of a command by upper-case name, None for one without a value.

    :raises BadSyntax: 501 5.5.4 for what is no parameter and for one given twice.

    Spec: RFC 5321 4.1.2
    """
    params: dict[bytes, bytes | None] = {}
    for word in text.split():
        match = _PARAM(word)
        if match is None:
            raise BadSyntax("after the address stand parameters NAME or NAME=VALUE", status="5.5.4")
        name = match[1].upper()
        if name in params:
            raise bad_param(name, "is given twice")
        params[name] = match[2]
    return params


def bad_param(name: bytes, problem: str) -> BadSyntax:
    """Return the error for a parameter whose value is wrong."""
    return BadSyntax(f"The parameter {name.decode('ascii')} {problem}", status="5.5.4")


def unknown_param(name: bytes) -> BadSyntax:
    """Return the error for a parameter that is not understood here."""
    return BadSyntax(f"The parameter {name.decode('ascii')} is not offered here", code=555, status="5.5.4")


def needs_ehlo() -> BadSyntax:
    """Return the error for parameters after HELO, where the client cannot know any."""
    return BadSyntax("Parameters need EHLO instead of HELO", code=555, status="5.5.4")


def is_xtext(value: bytes) -> bool:
    """Return whether *value* is xtext (RFC 3461 4)."""
    return _XTEXT(value) is not None


def decode_xtext(value: bytes) -> bytes:
    """Return the octets that xtext stands for.

    Spec: RFC 3461 4
    """
    return _XTEXT_CODE(lambda match: bytes.fromhex(match[1].decode("ascii")), value)
