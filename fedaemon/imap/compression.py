"""Both directions of a connection deflated.

Standards: RFC 4978 3, RFC 1951.
Invariants: what is received is inflated BLOCK octets at a time, so that a few octets that stand for gigabytes cost
no memory; what is sent is flushed to an octet, so that the client can read all of it.
Limits: some 150 kB of memory for a connection.
"""

from __future__ import annotations

import zlib
from typing import Final

from fedaemon.errors import BadSyntax

BLOCK: Final = 16 * 1024
_RAW_WINDOW: Final = -15
_LEVEL: Final = 1
_MEMORY: Final = 7
"""A fast level with half the usual memory: headers and text shrink to a third all the same."""


class Deflation:
    """The state of both directions.

    *held* octets were received and are not inflated yet.
    """

    __slots__ = ("_deflate", "_held", "_inflate")

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW_WINDOW, _MEMORY)
        self._inflate = zlib.decompressobj(_RAW_WINDOW)
        self._held = b""

    @property
    def held(self) -> int:
        """Octets that were received and are not inflated yet."""
        return len(self._held)

    def receive(self, data: bytes) -> None:
        """Take *data* from the connection."""
        self._held += data

    def inflated(self) -> bytes:
        """Return the next octets, at most BLOCK; none when all is read.

        :raises BadSyntax: for what is not deflated, or goes on behind its end.
        """
        if not self._held:
            return b""
        if self._inflate.eof:
            raise BadSyntax("octets behind the end of the deflated stream")
        try:
            data = self._inflate.decompress(self._held, BLOCK)
        except zlib.error:
            raise BadSyntax("that is not deflated") from None
        self._held = self._inflate.unconsumed_tail or self._inflate.unused_data
        return data

    def deflated(self, data: bytes, *, alone: bool = False) -> bytes:
        """Return *data* as it is sent.

        :param alone: do not make it shorter by what was sent before. In IDLE, Thunderbird may inflate no more
            octets than the deflated ones are, and look at the rest only when others come (nsMsgCompressIStream):
            news right behind the continuation would lie there unseen.
        """
        start = self._deflate.flush(zlib.Z_FULL_FLUSH) if alone else b""
        return start + self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
