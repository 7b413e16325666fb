"""What FETCH cuts out of a message: the octets of a section, some fields of a header, a body decoded.

Standards: RFC 9051 6.4.5.1 (sections), RFC 3516 4.3 (BINARY), RFC 2045 6.7, 6.8 (transfer encodings).
Invariants: nothing is raised; ranges lie within the content. Parts count from the beginning of the stored
content; the lines that a delivery puts before it belong to the header of the whole message.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final

from fedaemon.message.mime.part import Part

_FIELDS = re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+\n?").findall
_EMPTY: Final = (b"", b"\n", b"\r\n")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+").sub


def find_part(parts: Sequence[Part], section: tuple[int, ...]) -> Part | None:
    """Return the part of that number, () being the whole message; None where there is none.

    Spec: RFC 9051 6.4.5.1
    """
    for part in parts:
        if part.section == section:
            return part
    return None


def section_range(
    parts: Sequence[Part], section: tuple[int, ...], text: str, prefix_octets: int = 0
) -> tuple[int, int] | None:
    """Return where a section begins and ends in the whole content, prefix included.

    :param text: "" for all of a message or the body of a part, or "HEADER", "TEXT", "MIME". HEADER.FIELDS is cut
        out of HEADER.
    :param prefix_octets: how long the prefix is.
    :returns: the first octet and the one after the last; None where the message has no such section.

    Spec: RFC 9051 6.4.5.1
    """
    part = find_part(parts, section)
    if part is None:
        return None
    body_at = prefix_octets + part.body_at
    end = body_at + part.body_octets
    if not section:
        return message_range(body_at, end, text)
    if text == "MIME":
        return header_range(part, prefix_octets)
    if not text:
        return body_at, end
    if text not in ("HEADER", "TEXT") or part.message_header_octets is None:
        return None
    text_at = body_at + part.message_header_octets
    return (body_at, text_at) if text == "HEADER" else (text_at, end)


def message_range(body_at: int, octets: int, text: str) -> tuple[int, int] | None:
    """Return where a section of the whole message begins and ends; None for MIME, which only parts have.

    :param body_at: where its body begins, behind the prefix, of so many *octets* in all.

    Spec: RFC 9051 6.4.5.1
    """
    match text:
        case "":
            return 0, octets
        case "HEADER":
            return 0, body_at
        case "TEXT":
            return body_at, octets
    return None


def header_range(part: Part, prefix_octets: int = 0) -> tuple[int, int]:
    """Return where the MIME header of *part* begins and ends in the whole content.

    Part 1 of a message without multipart has the message's own header, and so the prefix.

    Spec: RFC 9051 6.4.5.1
    """
    return (prefix_octets + part.header_at if part.header_at else 0), prefix_octets + part.body_at


def header_fields(header: bytes, names: Collection[bytes], *, exclude: bool) -> bytes:
    """Return some fields of a header as they stand there, in their order, and its empty line if it has one.

    :param header: CRLF or LF end lines, the empty one among them.
    :param names: of the fields, in any case.
    :param exclude: True for all fields but those (HEADER.FIELDS.NOT), lines that are no field among them.

    Spec: RFC 9051 6.4.5.1
    """
    wanted = _in_lower_case(tuple(names))
    kept: list[bytes] = []
    end = b""
    for field in _FIELDS(header):
        name, colon, _ = field.partition(b":")
        if not colon and field in _EMPTY:
            end = field and b"\r\n"
            break
        if (bool(colon) and name.rstrip(b" \t").lower() in wanted) is not exclude:
            kept.append(field)
    return b"".join(kept) + end


@lru_cache(maxsize=64)
def _in_lower_case(names: tuple[bytes, ...]) -> frozenset[bytes]:
    """Return *names* to compare with; a client asks for the same of thousands of messages."""
    return frozenset(map(bytes.lower, names))


def decoded(data: bytes, encoding: str) -> bytes | None:
    """Return a body without its transfer encoding, as much of it as can be made out.

    :param encoding: in any case; of an unknown one None is returned, which BINARY answers with UNKNOWN-CTE.

    Spec: RFC 3516 4.3, RFC 2045 6
    """
    match encoding.lower():
        case "7bit" | "8bit" | "binary":
            return data
        case "base64":
            return _from_base64(data)
        case "quoted-printable":
            return a2b_qp(data)
    return None


def _from_base64(octets: bytes) -> bytes:
    clean = _NOT_BASE64(b"", octets.partition(b"=")[0])
    try:
        return a2b_base64(clean + b"=" * (-len(clean) % 4))
    except Base64Error:
        return a2b_base64(clean[:-1])
