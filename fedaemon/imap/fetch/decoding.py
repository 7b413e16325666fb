"""Transfer encodings taken off block by block, so that a part of any size costs a block of memory.

Standards: RFC 2045 6.7, 6.8, RFC 3516 4.3.
Invariants: nothing is raised; the same blocks give the same octets; they are those of ``sections.decoded`` on the
whole, except that of a line of quoted-printable longer than a block a damaged ``=`` where it is cut may be lost.
Limits: what is kept between blocks is less than a block.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

IDENTITY: Final = frozenset({"7bit", "8bit", "binary"})
"""Encodings that leave the octets as they are."""

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+").sub


class Decoder(Protocol):
    """Takes the encoding off."""

    def feed(self, data: bytes) -> bytes:
        """Take the next octets; return what they and those before decode to."""

    def finish(self) -> bytes:
        """Return what is left at the end."""


class Base64Decoder:
    """Base64, up to the first ``=``; what is not of the alphabet is passed over. Spec: RFC 2045 6.8"""

    __slots__ = ("_ended", "_kept")

    def __init__(self) -> None:
        self._kept = b""
        self._ended = False

    def feed(self, data: bytes) -> bytes:
        """As ``Decoder.feed``."""
        if self._ended:
            return b""
        data, padding, _ = data.partition(b"=")
        self._ended = bool(padding)
        clean = self._kept + _NOT_BASE64(b"", data)
        whole = len(clean) & ~3
        self._kept = clean[whole:]
        return a2b_base64(clean[:whole])

    def finish(self) -> bytes:
        """As ``Decoder.finish``; a single letter at the end is no octet."""
        return a2b_base64(self._kept + b"=" * (4 - len(self._kept))) if len(self._kept) > 1 else b""


LINE_OCTETS: Final = 76
"""Of a line by RFC 2045 6.7."""


class QuotedPrintableDecoder:
    """Quoted-printable, decoded by whole lines where there are any. Spec: RFC 2045 6.7"""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, data: bytes) -> bytes:
        """As ``Decoder.feed``."""
        data = self._kept + data
        cut = data.rfind(b"\n") + 1
        if not cut:
            # One long line: only what an "=" belongs to must stay together.
            sign = data.rfind(b"=", -2)
            cut = len(data) if sign < 0 else sign
            # Of "==" the second belongs to the first.
            while sign >= 0 and cut > max(0, sign - LINE_OCTETS) and data[cut - 1 : cut] == b"=":
                cut -= 1
        self._kept = data[cut:]
        return a2b_qp(data[:cut])

    def finish(self) -> bytes:
        """As ``Decoder.finish``."""
        return a2b_qp(self._kept)


DECODERS: Final[dict[str, type[Base64Decoder] | type[QuotedPrintableDecoder]]] = {
    "base64": Base64Decoder,
    "quoted-printable": QuotedPrintableDecoder,
}
"""By encoding, in lower case; those of IDENTITY need none."""


def decoded_pieces(decoder: Decoder, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what *blocks* decode to."""
    for block in blocks:
        yield decoder.feed(block)
    yield decoder.finish()
