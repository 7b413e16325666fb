"""Values with parameters: Content-Type, Content-Disposition, and the single words beside them.

Standards: RFC 2045 5.1 (grammar), 5.2 (an unusable type is text/plain), 6.1 (encodings), RFC 2183 2
(Content-Disposition), RFC 2231 3 (parameters in pieces), RFC 3282 2 (Content-Language).
Invariants: nothing is raised; the cost is linear. Names and values keep their case.
Limits: MAX_PARAMETERS, MAX_VALUE_OCTETS.
Known gaps: values in other charsets (RFC 2231 4) stay encoded, as IMAP sends them.
"""

from __future__ import annotations

import re
from typing import Final

MAX_PARAMETERS: Final = 100
"""Parameters of one field; later ones are passed over."""
MAX_VALUE_OCTETS: Final = 65_536
"""Octets of one field that are looked at."""

_TOKEN = rb'[^\x00-\x20\x7f()<>@,;:\\"/\[\]?=]'
_TYPE = re.compile(rb"[ \t]*+(%b++)[ \t]*+/[ \t]*+(%b++)" % (_TOKEN, _TOKEN)).match
_WORD = re.compile(rb"[ \t]*+(%b++)" % _TOKEN).match
_ONLY_WORD = re.compile(rb"[ \t]*+(%b++)[ \t]*+" % _TOKEN).fullmatch
_QUOTED = rb'"((?:[^"\\]++|\\.)*+)"'
# What has no "=" or a quote that does not end, and what follows a value up to the next semicolon, is passed over.
_PARAMETER = re.compile(
    rb';[ \t]*+(?:(%b++)[ \t]*+=[ \t]*+(?:%b|(?!")(%b*+)))?+(?:[^;"]++|"(?:[^"\\]++|\\.)*+"?)*+'
    % (_TOKEN, _QUOTED, _TOKEN)
).finditer
_BEFORE_COMMENT = re.compile(rb'(?:[^"(]++|"(?:[^"\\]++|\\.)*+"?)*+').match
_IN_COMMENT = re.compile(rb"(?:[^()\\]++|\\.)*+([()])").match
_BACKSLASH = re.compile(rb"\\(.)").sub
_PIECE = re.compile(rb"([^*]++)\*(\d{1,3})(\*?)").fullmatch

Parameters = tuple[tuple[bytes, bytes], ...]
"""Names and values, quoting removed, in their order."""
ContentType = tuple[bytes, bytes, Parameters]
"""Type, subtype, parameters."""

TEXT_PLAIN: Final[ContentType] = (b"text", b"plain", ())


def read_content_type(value: bytes) -> ContentType:
    """Return type, subtype and parameters; text/plain when there is no type to be made out.

    :param value: an unfolded value. What stands between subtype and first semicolon is passed over.

    Spec: RFC 2045 5.1, 5.2
    """
    value = _without_comments(value)
    match = _TYPE(value)
    if match is None:
        return TEXT_PLAIN
    return match[1], match[2], _read_parameters(value, match.end())


def read_disposition(value: bytes) -> tuple[bytes, Parameters] | None:
    """Return the disposition and its parameters, or None when it is not one.

    Spec: RFC 2183 2
    """
    value = _without_comments(value)
    match = _WORD(value)
    return None if match is None else (match[1], _read_parameters(value, match.end()))


def read_word(value: bytes) -> bytes | None:
    """Return the one word that a Content-Transfer-Encoding is, or None when it is more or nothing.

    Spec: RFC 2045 6.1
    """
    match = _ONLY_WORD(_without_comments(value))
    return None if match is None else match[1]


def read_languages(value: bytes) -> list[bytes]:
    """Return the language tags of a Content-Language, those that are words.

    Spec: RFC 3282 2
    """
    words = (_WORD(piece) for piece in _without_comments(value).split(b",", MAX_PARAMETERS)[:MAX_PARAMETERS])
    return [word[1] for word in words if word is not None]


def parameter(parameters: Parameters, name: bytes) -> bytes | None:
    """Return the value of the first parameter of that *name* (in lower case), or None."""
    for key, value in parameters:
        if key.lower() == name:
            return value
    return None


def after_comment(value: bytes, at: int) -> int:
    """Return the offset after the comment whose opening parenthesis stands before *at*.

    One that is not closed goes to the end; each octet is looked at once, however they nest.

    Spec: RFC 5322 3.2.2
    """
    depth = 1
    while depth:
        match = _IN_COMMENT(value, at)
        if match is None:
            return len(value)
        depth += 1 if match[1] == b"(" else -1
        at = match.end()
    return at


def _without_comments(value: bytes) -> bytes:
    value = value[:MAX_VALUE_OCTETS]
    if b"(" not in value:
        return value
    kept: list[bytes] = []
    at = 0
    while at < len(value):
        match = _BEFORE_COMMENT(value, at)
        assert match is not None  # it may be empty
        kept.append(match[0])
        at = after_comment(value, match.end() + 1)
    return b" ".join(kept)


def _read_parameters(value: bytes, at: int) -> Parameters:
    found: list[tuple[bytes, bytes]] = []
    pieces = False
    for match in _PARAMETER(value, at):
        name, quoted, token = match.groups()
        if name is None:
            continue
        if quoted is not None:
            token = unescape(quoted)
        pieces = pieces or b"*" in name
        found.append((name, token))
        if len(found) == MAX_PARAMETERS:
            break
    return tuple(_joined(found) if pieces else found)


def unescape(quoted: bytes) -> bytes:
    """Return the content of a quoted string without its backslashes.

    Spec: RFC 5322 3.2.4
    """
    return _BACKSLASH(rb"\1", quoted) if b"\\" in quoted else quoted


def _joined(found: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the parameters with those sent in pieces put together, each where its first piece stood.

    The name of one with an encoded piece ends in an asterisk; pieces without a first stay as they are.

    Spec: RFC 2231 3, 4.1
    """
    names = {name.lower() for name, _ in found}
    pieces: dict[bytes, dict[int, tuple[bool, bytes]]] = {}
    result: list[tuple[bytes, bytes | None]] = []
    for name, value in found:
        match = _PIECE(name)
        base = match[1].lower() if match is not None else b""
        if match is None or not (base + b"*0" in names or base + b"*0*" in names):
            result.append((name, value))
            continue
        if base not in pieces:
            result.append((match[1], None))
        pieces.setdefault(base, {})[int(match[2])] = (bool(match[3]), value)
    return [
        (name, value) if value is not None else _put_together(name, pieces[name.lower()])
        for name, value in result
    ]


def _put_together(name: bytes, pieces: dict[int, tuple[bool, bytes]]) -> tuple[bytes, bytes]:
    ordered = [pieces[number] for number in sorted(pieces)]
    encoded = any(flag for flag, _ in ordered)
    return name + b"*" * encoded, b"".join([value for _, value in ordered])
