"""One entity of a message's tree: a body part, a multipart, or an enclosed message's header and content.

Standards: RFC 2045 2.4 (entity), 5.2 (defaults), RFC 2046 5.1 (multipart), 5.1.5 (digest), 5.2.1
(message/rfc822), RFC 6532 3.7 (message/global).
Invariants: what cannot be taken apart is a leaf: a multipart without a usable boundary is text/plain, so that
its reader sees everything; one nested too deeply is application/octet-stream.
Limits: MAX_DEPTH, MAX_PARTS, BOUNDARY_OCTETS.
"""

from __future__ import annotations

from typing import Final

from fedaemon.message.mime.fields import Fields, first
from fedaemon.message.mime.parameters import (
    TEXT_PLAIN,
    ContentType,
    parameter,
    read_content_type,
    read_disposition,
    read_word,
)

MAX_DEPTH: Final = 50
"""Multiparts and messages within each other; nobody forwards a forward that often."""
MAX_PARTS: Final = 1_000
"""Entities of one message; then no more delimiters are seen."""
BOUNDARY_OCTETS: Final = 80
"""Of a boundary so much is compared: RFC 2046 5.1.1 allows 70."""

_OPAQUE: Final[ContentType] = (b"application", b"octet-stream", ())
_ENCLOSED: Final[ContentType] = (b"message", b"rfc822", ())


class Entity:
    """A node of the tree; offsets are octets from the message's beginning.

    :ivar kind: what its type makes of it: "leaf", "multipart", or "message" (its one child is the content).
    :ivar lines: LFs in the body.
    """

    __slots__ = (
        "body_at",
        "body_octets",
        "children",
        "content_type",
        "depth",
        "fields",
        "header_at",
        "header_octets",
        "kind",
        "lines",
        "parent",
    )

    def __init__(self, parent: Entity | None, header_at: int) -> None:
        self.parent = parent
        self.header_at = header_at
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.children: list[Entity] = []
        self.header_octets = self.body_at = self.body_octets = self.lines = 0
        self.fields: Fields = {}
        self.content_type = TEXT_PLAIN
        self.kind = "leaf"

    def settle(self, fields: Fields, *, may_nest: bool) -> bytes | None:
        """Take what the header says, now that it has been read.

        :param may_nest: False where no more entities are to be made.
        :returns: the boundary, for a multipart.

        Spec: RFC 2045 5.2, RFC 2046 5.1
        """
        self.fields = fields
        value = first(fields, b"content-type")
        if value is not None:
            self.content_type = read_content_type(value)
        elif self.parent is not None and self.parent.is_digest:
            self.content_type = _ENCLOSED
        main = self.content_type[0].lower()
        if main == b"message" and self.content_type[1].lower() in (b"rfc822", b"global"):
            self.kind = "message"
        elif main == b"multipart":
            boundary = parameter(self.content_type[2], b"boundary")
            if not boundary:
                self.content_type = TEXT_PLAIN
                return None
            self.kind = "multipart"
        if self.kind != "leaf" and (self.depth >= MAX_DEPTH or not may_nest):
            self.kind = "leaf"
            self.content_type = _OPAQUE
        return boundary[:BOUNDARY_OCTETS] if self.kind == "multipart" and boundary else None

    @property
    def is_digest(self) -> bool:
        """Whether parts without a type are messages here."""
        return self.kind == "multipart" and self.content_type[1].lower() == b"digest"

    @property
    def is_text(self) -> bool:
        """Whether it is of type text, whose structure has lines and a charset."""
        return self.content_type[0].lower() == b"text"

    @property
    def encoding(self) -> bytes:
        """The transfer encoding as written; 7bit where there is none to be made out."""
        value = first(self.fields, b"content-transfer-encoding")
        return (read_word(value) if value is not None else None) or b"7bit"

    @property
    def is_attachment(self) -> bool:
        """Whether its header says that it is not to be shown with the message."""
        value = first(self.fields, b"content-disposition")
        disposition = read_disposition(value) if value is not None else None
        return disposition is not None and disposition[0].lower() == b"attachment"
