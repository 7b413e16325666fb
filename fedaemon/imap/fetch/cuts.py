"""What a message's content gives for BODY[...] and BINARY[...]: where it lies, found without reading it.

Standards: RFC 9051 6.4.5, 6.4.5.1, 7.5.2, RFC 3516 4.2, 4.3, RFC 5530 3 (UNKNOWN-CTE).
Invariants: a cut lies within its content; what does not exist is an empty string, as Dovecot answers it; a literal
never has NUL (RFC 9051 9, CHAR8) but where it is a literal8.
Limits: of a header HEADER_OCTETS are looked at for fields.
Known gaps: BINARY of a multipart, an enclosed message or the whole is sent as it is stored: the encodings of what
is in it stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from fedaemon.errors import Refused
from fedaemon.imap.fetch.decoding import DECODERS, IDENTITY, Decoder, decoded_pieces
from fedaemon.imap.fetch.plan import Body
from fedaemon.imap.parse.fetch import BinarySize, BodySection
from fedaemon.imap.session import BLOCK
from fedaemon.imap.writer import literal_header
from fedaemon.mailbox.rows import Mail
from fedaemon.message.mime.part import Part
from fedaemon.message.mime.sections import find_part, header_fields, message_range, section_range
from fedaemon.message.mime.stored_shape import StoredShape
from fedaemon.store.content import MemoryContent
from fedaemon.store.interface import Content

HEADER_OCTETS: Final = 2 * BLOCK
"""Headers of 10 KiB are long; without a limit their lines would be looked through for more than a turn."""

_TEXTS: Final = {
    b"": "",
    b"HEADER": "HEADER",
    b"HEADER.FIELDS": "HEADER",
    b"HEADER.FIELDS.NOT": "HEADER",
    b"TEXT": "TEXT",
    b"MIME": "MIME",
}
"""What the texts of sections are cut out of."""

Partial = tuple[int, int] | None
"""The first octet that is asked for, and how many."""


class UnknownEncoding(Refused):
    """A part's transfer encoding is not known. Spec: RFC 3516 4.3"""

    imap_code = b"UNKNOWN-CTE"


class Octets(NamedTuple):
    """Octets of the content as they are, from *start* to *stop*."""

    name: bytes
    content: Content
    start: int
    stop: int
    binary: bool

    @property
    def octets(self) -> int:
        """How much is to be read."""
        return self.stop - self.start

    def head(self) -> bytes:
        """Return what announces them."""
        return self.name + b" " + literal_header(self.octets, binary=self.binary)

    def read(self, at: int) -> bytes:
        """Return the block that begins with the octet *at* of the content; raises StoreError."""
        data = _read(self.content, at, min(at + BLOCK, self.stop))
        return data if self.binary or b"\0" not in data else data.replace(b"\0", b"\x80")

    def whole(self) -> bytes:
        """Return item and octets; raises StoreError."""
        return self.head() + b"".join(map(self.read, range(self.start, self.stop, BLOCK)))


class Fields(NamedTuple):
    """Some fields of the header from *start* to *stop*; *is_cut* when that is not all of it."""

    name: bytes
    content: Content
    start: int
    stop: int
    fields: tuple[bytes, ...]
    exclude: bool
    is_cut: bool
    partial: Partial

    @property
    def octets(self) -> int:
        """How much is to be read."""
        return self.stop - self.start

    def whole(self) -> bytes:
        """Return item and fields; raises StoreError."""
        header = _read(self.content, self.start, self.stop)
        if self.is_cut:
            header = header.rstrip(b"\r\n") + b"\r\n\r\n"
        text = header_fields(header, self.fields, exclude=self.exclude).replace(b"\0", b"\x80")
        first, last = window(0, len(text), self.partial)
        return self.name + b" " + literal_header(last - first) + text[first:last]


class Decoded(NamedTuple):
    """The octets from *start* to *stop* without their transfer encoding, or only how many that are."""

    name: bytes
    content: Content
    start: int
    stop: int
    encoding: str
    partial: Partial
    only_size: bool

    @property
    def octets(self) -> int:
        """How much is to be read."""
        return self.stop - self.start

    def decoder(self) -> Decoder:
        """Return what takes the encoding off."""
        return DECODERS[self.encoding]()

    def read(self, at: int) -> bytes:
        """Return the encoded block that begins with the octet *at* of the content; raises StoreError."""
        return _read(self.content, at, min(at + BLOCK, self.stop))

    def whole(self) -> bytes:
        """Return item and octets; raises StoreError."""
        blocks: Iterator[bytes] = map(self.read, range(self.start, self.stop, BLOCK))
        data = b"".join(decoded_pieces(self.decoder(), blocks))
        first, last = window(0, len(data), self.partial)
        return self.head(last - first) + (b"" if self.only_size else data[first:last])

    def head(self, size: int) -> bytes:
        """Return what announces so many octets, or says how many there are."""
        if self.only_size:
            return self.name + b" %d" % size
        return self.name + b" " + literal_header(size, binary=True)


Cut = Octets | Fields | Decoded


class Opened:
    """A message that is being cut: its *content* and, where they are asked for, its parts.

    :param shape: as ``Shape.to_record`` made it.
    """

    __slots__ = ("_parts", "_shape", "content", "prefix_octets")

    def __init__(self, mail: Mail, shape: bytes, content: Content) -> None:
        self.content = content
        self.prefix_octets = len(mail.prefix)
        self._shape = shape
        self._parts: tuple[Part, ...] | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts; raises ValueError when they are damaged."""
        if self._parts is None:
            self._parts = StoredShape(self._shape).parts()
        return self._parts

    def cut(self, body: Body) -> Cut | bytes:
        """Return where *body* lies, or the answer itself where nothing has to be read for it.

        :raises UnknownEncoding: it is in one.
        :raises ValueError: the parts are damaged.

        Spec: RFC 9051 6.4.5, RFC 3516 4.2
        """
        if isinstance(body.item, BodySection):
            return self._section(body.name, body.item)
        item = body.item
        partial = None if isinstance(item, BinarySize) else item.partial
        only_size = isinstance(item, BinarySize)
        if body.is_whole:
            return self._plain(body.name, (0, self.content.size), partial, only_size=only_size)
        part = find_part(self.parts, item.part)
        if part is None:
            return body.name + (b" 0" if only_size else b" {0}\r\n")
        start = self.prefix_octets + part.body_at
        stop = start + part.body_octets
        is_leaf = part.main_type != "multipart" and part.message_header_octets is None
        if part.encoding in IDENTITY or not is_leaf:
            return self._plain(body.name, (start, stop), partial, only_size=only_size)
        if part.encoding not in DECODERS:
            raise UnknownEncoding("A transfer encoding that is not known")
        return Decoded(body.name, self.content, start, stop, part.encoding, partial, only_size)

    def _plain(
        self, name: bytes, place: tuple[int, int], partial: Partial, *, only_size: bool
    ) -> Cut | bytes:
        """Return what has no encoding to be taken off."""
        start, stop = place
        if only_size:
            return name + b" %d" % (stop - start)
        return Octets(name, self.content, *window(start, stop, partial), binary=True)

    def _section(self, name: bytes, item: BodySection) -> Cut | bytes:
        section = item.section
        text = _TEXTS[section.text]
        place: tuple[int, int] | None
        if section.part:
            place = section_range(self.parts, section.part, text, self.prefix_octets)
        else:
            place = self._of_whole(text)
        if place is None:
            return name + b" {0}\r\n"
        start, stop = place
        if section.fields:
            end = min(stop, start + HEADER_OCTETS)
            exclude = section.text.endswith(b"NOT")
            return Fields(name, self.content, start, end, section.fields, exclude, end < stop, item.partial)
        return Octets(name, self.content, *window(start, stop, item.partial), binary=False)

    def _of_whole(self, text: str) -> tuple[int, int] | None:
        """Return a section of the whole message; where its header ends is known without the parts."""
        octets = self.content.size
        body_at = 0
        if text:
            body_at = min(self.prefix_octets + StoredShape(self._shape).header_octets, octets)
        return message_range(body_at, octets, text)


def _read(content: Content, start: int, stop: int) -> bytes:
    """Return octets of *content*, BLOCK of them from a file at a time; raises StoreError."""
    if type(content) is MemoryContent:
        return content.data[start:stop]
    return b"".join(content.chunks(BLOCK, start, stop))


def window(start: int, stop: int, partial: Partial) -> tuple[int, int]:
    """Return what *partial* leaves of a range; beyond its end that is empty. Spec: RFC 9051 6.4.5"""
    if partial is None:
        return start, stop
    first = min(start + partial[0], stop)
    return first, min(first + partial[1], stop)
