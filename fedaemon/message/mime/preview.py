"""The first words of a message, as a list of messages shows them.

While a message is scanned, ``Sample`` keeps the beginning of its first text; ``preview`` makes words of it.

Standards: RFC 8970 3.1 (PREVIEW).
Invariants: nothing is raised; the text has no control characters; the cost is linear.
Limits: MAX_PREVIEW characters; SAMPLE_OCTETS are looked at.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Final

from fedaemon.message.mime.charset import to_text
from fedaemon.message.mime.entity import Entity
from fedaemon.message.mime.parameters import parameter
from fedaemon.message.mime.sections import decoded

MAX_PREVIEW: Final = 200
"""Characters; RFC 8970 3.1 asks for no more."""
SAMPLE_OCTETS: Final = {b"plain": 4_096, b"html": 32_768}
"""Octets of a text that are kept, by subtype: HTML often begins with a long style sheet."""
ENOUGH_HTML: Final = 2_000
"""Characters of HTML without tags that make a preview, though many of them may be entities and blanks."""

_NOT_SHOWN = re.compile(
    r"<(style|script|head|title)\b.*?(?:</\1\s*+>|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*+>?", re.DOTALL | re.IGNORECASE
).finditer
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\u034f\ufeff\ud800-\udfff]+"
).sub


class Sample:
    """The beginning of the first text/plain that is no attachment, or else of the first text/html."""

    __slots__ = ("_entities", "_octets", "_room", "_subtype")

    def __init__(self) -> None:
        self._entities: dict[bytes, Entity] = {}
        self._octets: dict[bytes, list[bytes]] = {}
        self._subtype = b""
        self._room = 0

    def begin(self, entity: Entity) -> bool:
        """Return whether octets of this entity's body are wanted."""
        subtype = entity.content_type[1].lower()
        if b"plain" in self._entities or not entity.is_text or subtype not in SAMPLE_OCTETS:
            return False
        if subtype in self._entities or entity.is_attachment:
            return False
        self._subtype, self._room = subtype, SAMPLE_OCTETS[subtype]
        self._entities[subtype] = entity
        self._octets[subtype] = []
        return True

    def add(self, data: bytes, start: int, end: int) -> bool:
        """Keep octets of the body from *data*; return whether more are wanted."""
        piece = data[start : min(end, start + self._room)]
        self._octets[self._subtype].append(piece)
        self._room -= len(piece)
        return self._room > 0

    def preview(self) -> str:
        """Return at most MAX_PREVIEW characters of text, white space folded; "" when there is no text.

        Spec: RFC 8970 3.1
        """
        for subtype in (b"plain", b"html"):
            if subtype in self._entities:
                text = _decoded(self._entities[subtype], b"".join(self._octets[subtype]))
                if subtype == b"html":
                    text = unescape(_without_tags(text))
                words = " ".join(_CONTROL(" ", text).split())
                if words:
                    return words[:MAX_PREVIEW].rstrip()
        return ""


def _without_tags(text: str) -> str:
    """Return the text between the tags of HTML, until there is enough of it."""
    pieces: list[str] = []
    at = characters = 0
    for match in _NOT_SHOWN(text):
        piece = text[at : match.start()].strip()
        pieces.append(piece)
        characters += len(piece)
        at = match.end()
        if characters >= ENOUGH_HTML:
            return " ".join(pieces)
    return " ".join([*pieces, text[at:]])


def _decoded(entity: Entity, octets: bytes) -> str:
    plain = decoded(octets, entity.encoding.decode("utf-8", "replace"))
    charset = (parameter(entity.content_type[2], b"charset") or b"").decode("utf-8", "replace")
    return to_text(octets if plain is None else plain, charset).rstrip("\ufffd")
