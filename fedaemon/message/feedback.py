"""Reads feedback reports (ARF): what a mailbox provider sends when one of its users complains about a message.

Anybody can send one, so it is read strictly: multipart/report of type feedback-report with three parts, text for
people, fields, and the message complained about or its header; what is not exactly that is no report.

Standards: RFC 5965 2 (structure), 3 (fields; unknown ones are passed over); RFC 6522 (multipart/report);
RFC 2046 5.1.1 (boundaries); RFC 2045 5.1 (parameters), 6.1 (encodings).
Invariants: raises BadSyntax and nothing else; time grows with the length of what is given.
Limits: MAX_OCTETS of a report are looked at, which leaves the end of a large original out; MAX_PARTS,
MAX_FIELDS, MAX_RECIPIENTS.
Known gaps: parts in base64 or quoted-printable are not decoded (RFC 5965 2 wants 7bit for the fields); version
0.1, which some providers still write, is taken for 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fedaemon.errors import BadSyntax
from fedaemon.message.header import Header, split_message

MAX_OCTETS: Final = 262_144
MAX_PARTS: Final = 4
MAX_FIELDS: Final = 500
MAX_RECIPIENTS: Final = 10
MAX_VALUE: Final = 320

VERSIONS: Final = ("1", "0.1")
FIELDS_TYPE: Final = "message/feedback-report"
ORIGINAL_TYPES: Final = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")

_WORD: Final = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]++"
_media_type = re.compile(rf"[ \t]*+({_WORD}/{_WORD})").match
_parameter = re.compile(rf'[ \t]*+;[ \t]*+({_WORD})=(?:({_WORD})|"((?:[^"\\\x00-\x1f]|\\[ -~])*+)")').match
_escaped = re.compile(r"\\(.)").sub
_IDENTITY: Final = (b"", b"7bit", b"8bit", b"binary")


@dataclass(frozen=True, slots=True)
class Feedback:
    """A feedback report.

    *kind* is its Feedback-Type in lower case ("abuse", "not-spam", …), *reporter* its User-Agent, *recipients*
    the values of Original-Rcpt-To without brackets. *header* is that of the message complained about.
    """

    kind: str
    reporter: str
    recipients: tuple[str, ...]
    header: Header


def parse_feedback(data: bytes) -> Feedback:
    """Read a feedback report.

    :param data: a whole message, or its first MAX_OCTETS.
    :raises BadSyntax: it is none, or not as the standard says; the text says what is wrong.

    Spec: RFC 5965 2
    """
    data = data[:MAX_OCTETS]
    block, body = split_message(data)
    kind, parameters = _content_type(_header(block))
    if kind != "multipart/report" or parameters.get("report-type", "").lower() != "feedback-report":
        raise BadSyntax("not a feedback report: its type is not multipart/report of feedback-report")
    parts = _parts(body, parameters.get("boundary", ""))
    if len(parts) < 3:
        raise BadSyntax(f"a feedback report has three parts, this one {len(parts)}")
    fields = _header(_whole_lines(_content(parts[1], (FIELDS_TYPE,))))
    original, _ = split_message(_content(parts[2], ORIGINAL_TYPES))
    version = _one(fields, b"Version")
    if version not in VERSIONS:
        raise BadSyntax(f"a feedback report of version {version[:20]!a}")
    found = [_text(field.value) for field in fields.get_all(b"Original-Rcpt-To")[:MAX_RECIPIENTS]]
    return Feedback(
        kind=_one(fields, b"Feedback-Type").lower(),
        reporter=_one(fields, b"User-Agent"),
        recipients=tuple(each.removeprefix("<").removesuffix(">") for each in found),
        header=_header(_whole_lines(original)),
    )


def _header(block: bytes) -> Header:
    return Header.parse(block, max_octets=MAX_OCTETS, max_fields=MAX_FIELDS)


def _whole_lines(block: bytes) -> bytes:
    """Return a header block that stood alone in a part, without empty lines behind it.

    The line end before a boundary belongs to the boundary. Spec: RFC 2046 5.1.1
    """
    block = block.rstrip(b"\r\n")
    return block + b"\r\n" if block else b""


def _one(fields: Header, name: bytes) -> str:
    """Return the value of a field that a report has exactly once. Spec: RFC 5965 3.1"""
    found = fields.get_all(name)
    if len(found) != 1:
        raise BadSyntax(f"a feedback report has {name.decode()} once, this one {len(found)} times")
    return _text(found[0].value)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")[:MAX_VALUE]


def _content_type(header: Header) -> tuple[str, dict[str, str]]:
    """Return the media type in lower case and its parameters; the first of a name counts. Spec: RFC 2045 5.1"""
    found = header.get_all(b"Content-Type")
    if len(found) > 1:
        raise BadSyntax("there are several Content-Type fields")
    value = found[0].value.decode("latin-1") if found else "text/plain"
    match = _media_type(value)
    if match is None:
        raise BadSyntax("the Content-Type is no media type")
    kind, parameters = match[1].lower(), dict[str, str]()
    while (match := _parameter(value, match.end())) is not None:
        text = match[2] if match[2] is not None else _escaped(r"\1", match[3])
        parameters.setdefault(match[1].lower(), text)
    return kind, parameters


def _parts(body: bytes, boundary: str) -> list[bytes]:
    """Return the parts of a multipart body, at most MAX_PARTS, the last one perhaps cut off."""
    if not 1 <= len(boundary) <= 70:
        raise BadSyntax("a multipart message without a usable boundary")
    delimiter = b"\r\n--" + boundary.encode("latin-1")
    # The first boundary may stand at the very beginning; what is before it is not for programs.
    pieces = (b"\r\n" + body).split(delimiter, MAX_PARTS + 1)[1:]
    parts = []
    for piece in pieces[:MAX_PARTS]:
        if piece.startswith(b"--"):
            break
        rest = piece.lstrip(b" \t")
        if not rest.startswith(b"\r\n"):
            raise BadSyntax("a line begins with the boundary and goes on")
        parts.append(rest[2:])
    return parts


def _content(part: bytes, kinds: tuple[str, ...]) -> bytes:
    """Return what a part of one of these *kinds* holds."""
    if part.startswith(b"\r\n"):
        block, content = b"", part[2:]
    else:
        block, content = split_message(part)
    header = _header(block)
    kind, _ = _content_type(header)
    if kind not in kinds:
        raise BadSyntax(f"a part of type {kind} where {kinds[0]} should be")
    encodings = header.get_all(b"Content-Transfer-Encoding")
    if any(each.value.lower() not in _IDENTITY for each in encodings):
        raise BadSyntax(f"a part of type {kind} that is encoded")
    return content
