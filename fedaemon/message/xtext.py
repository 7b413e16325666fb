"""The encodings in which ENVID and ORCPT carry text through SMTP commands.

Standards: RFC 3461 4 (xtext), RFC 6533 3 (``\\x{HEX}`` in addresses of type utf-8).
Invariants: ``decode_xtext(encode_xtext(text)) == text`` for printable ASCII; a decoded text has no control
characters.
"""

from __future__ import annotations

import re
from contextlib import suppress

from fedaemon.errors import BadSyntax

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*+").fullmatch
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})").sub
_TO_ENCODE = re.compile(r"[^!-*,-<>-~]").sub
_TO_EMBED = re.compile(r"[^!-*,-<>-\[\]-~]").sub  # all but RFC 6533 3 QCHAR
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}").sub
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,40}").fullmatch
_UNPRINTABLE = re.compile("[^ -~]").search


def encode_xtext(text: str) -> str:
    """Return printable ASCII as xtext: "+" and "=" and spaces become "+XX".

    :raises ValueError: for other characters; that is a bug of the caller.

    Spec: RFC 3461 4
    """
    if _UNPRINTABLE(text) is not None:
        raise ValueError(f"not printable ASCII: {text!r}")
    return _TO_ENCODE(lambda match: f"+{ord(match[0]):02X}", text)


def decode_xtext(xtext: str) -> str:
    """Return the text that xtext stands for.

    :raises BadSyntax: 501 5.5.4 for what is no xtext, or stands for anything but printable ASCII.

    Spec: RFC 3461 4
    """
    if _XTEXT(xtext) is None:
        raise BadSyntax("not xtext (RFC 3461): = and + are written +3D and +2B", status="5.5.4")
    text = _HEXCHAR(lambda match: chr(int(match[1], 16)), xtext)
    if _UNPRINTABLE(text) is not None:
        raise BadSyntax("the xtext stands for a character that is not printable ASCII", status="5.5.4")
    return text


def decode_embedded(text: str) -> str:
    """Return *text* with its ``\\x{HEX}`` turned into the characters they name; what names none stays.

    Spec: RFC 6533 3
    """
    return _EMBEDDED(lambda match: _character(int(match[1], 16)) or match[0], text)


def encode_embedded(text: str) -> str:
    """Return *text* in ASCII, with ``\\x{HEX}`` for every other character.

    Spec: RFC 6533 3
    """
    return "".join([char if char.isascii() else f"\\x{{{ord(char):02X}}}" for char in text])


def write_orcpt(address: str) -> str:
    """Return the ORCPT value for *address*, in ASCII: ``rfc822;xtext``, or ``utf-8;`` with ``\\x{HEX}``.

    :raises ValueError: for an ASCII address with control characters; that is a bug of the caller.

    Spec: RFC 3461 4.2, RFC 6533 3
    """
    if address.isascii():
        return f"rfc822;{encode_xtext(address)}"
    return "utf-8;" + _TO_EMBED(lambda match: f"\\x{{{ord(match[0]):02X}}}", address)


def original_recipient(orcpt: str) -> str:
    """Return an ORCPT value with its address decoded: ``rfc822;a+2Bb@c`` is ``rfc822;a+b@c``.

    :returns: "" for what is no ORCPT value.

    Spec: RFC 3461 4.2, RFC 6533 3
    """
    kind, semicolon, encoded = orcpt.partition(";")
    if not semicolon or not encoded or _ADDRESS_TYPE(kind) is None:
        return ""
    if kind.lower() == "utf-8" and not encoded.isascii():
        return f"{kind};{decode_embedded(encoded)}"
    # Some programs write the address as it is; then it stays as it is.
    with suppress(BadSyntax):
        encoded = decode_xtext(encoded)
    return f"{kind};{decode_embedded(encoded) if kind.lower() == 'utf-8' else encoded}"


def _character(code: int) -> str:
    """The character of that number, "" for controls, surrogates and numbers beyond Unicode."""
    if code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        return ""
    return chr(code)
