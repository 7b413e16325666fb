"""What SEARCH TEXT, BODY and HEADER look into, of a message that has to be read for it.

Standards: RFC 9051 6.4.4 (SEARCH), RFC 2047 6.2 (encoded words), RFC 2045 6 (transfer encodings).
Invariants: nothing is raised but by *read*; both are case-folded UTF-8; of the header each field is one line, and
what an encoded word spells makes no second one.
Limits: MAX_HEADER_OCTETS, MAX_SEARCHED_OCTETS.
Known gaps: HTML is searched with its tags and entities as they stand; preambles are not searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fedaemon.message.encoded_word import decode_text
from fedaemon.message.mime.charset import folded, to_text
from fedaemon.message.mime.part import Part
from fedaemon.message.mime.sections import decoded, header_range, section_range

MAX_HEADER_OCTETS: Final = 262_144
"""Octets of one header that are looked at, as many as the scanner reads."""
MAX_SEARCHED_OCTETS: Final = 4_194_304
"""Octets of texts and headers of parts, as stored, that are looked at: attached logs are text, too."""

Read = Callable[[int, int], bytes]
"""Returns the octets of the whole content from the first to before the second."""

_FOLDS = re.compile(rb"\n[ \t]++").sub
_NAMES = re.compile(r"^([^\s:]++)[ \t]*+:[ \t]*+", re.MULTILINE).sub
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]").sub


@dataclass(frozen=True, slots=True)
class SearchText:
    """What is searched.

    :ivar header: the message's own header, each field a line "name:value" with LF behind it.
    :ivar body: texts, with LFs between them.
    :ivar part_headers: those of parts and enclosed messages, as *header*; only TEXT looks into them.
    """

    header: bytes
    body: bytes
    part_headers: bytes = b""


def read_search_text(read: Read, parts: Sequence[Part], prefix_octets: int = 0) -> SearchText:
    """Return what is searched of a message.

    :param read: of it; asked for each header and text once.
    :param parts: of its shape, the whole message first.
    :param prefix_octets: how long the prefix before the stored content is.

    Spec: RFC 9051 6.4.4
    """
    header_at, header_end = header_range(parts[0], prefix_octets)
    header = _header_text(read(header_at, min(header_end, header_at + MAX_HEADER_OCTETS)))
    room = MAX_SEARCHED_OCTETS
    # An enclosed message without multipart has one header, which is that of its part 1 as well.
    seen = {(header_at, header_end)}
    texts: list[str] = []
    headers: list[str] = []
    for part in parts[1:]:
        enclosed = section_range((part,), part.section, "HEADER", prefix_octets)
        for place in (header_range(part, prefix_octets), enclosed):
            if place is not None and place not in seen:
                seen.add(place)
                start, end = place
                octets = read(start, min(end, start + min(room, MAX_HEADER_OCTETS))) if end > start else b""
                room -= len(octets)
                headers.append(_header_text(octets))
        if part.main_type == "text" and part.body_octets:
            start = prefix_octets + part.body_at
            octets = read(start, start + min(part.body_octets, room))
            room -= len(octets)
            plain = decoded(octets, part.encoding)
            texts.append(to_text(octets if plain is None else plain, part.charset))
        if room <= 0:
            break
    return SearchText(_folded(header), _folded("\n".join(texts)), _folded("".join(headers)))


def _header_text(header: bytes) -> str:
    """Return the fields of a header, a line each, decoded."""
    octets = header.replace(b"\r\n", b"\n")
    if b"\n " in octets or b"\n\t" in octets:
        octets = _FOLDS(b" ", octets)
    octets = octets.strip(b"\n")
    if not octets:
        return ""
    text = _CONTROL(" ", _NAMES(r"\1:", octets.decode("utf-8", "replace")))
    if "=?" in text:
        text = "\n".join([decode_text(line) if "=?" in line else line for line in text.split("\n")])
    return text + "\n"


def _folded(text: str) -> bytes:
    # Some codecs make lone surrogates, which UTF-8 cannot write, out of garbage.
    return folded(text).encode("utf-8", "replace")
