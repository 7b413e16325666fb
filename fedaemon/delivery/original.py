"""What of a message is kept or sent back when it is over: its header, or all of it when that is small.

Standards: RFC 3461 4.3 (RET), 6.2 (large messages go back as their header).
Invariants: a header is cut between fields only.
Limits: a report encloses ``FULL_OCTETS`` of the original, ``STRANGER_OCTETS`` towards senders elsewhere, and
``HEADER_OCTETS`` of a header.
"""

from __future__ import annotations

from typing import Final

from fedaemon.message.header import end_of_header
from fedaemon.store.interface import Content

FULL_OCTETS: Final = 40_000
"""With RET=FULL a message up to this size is enclosed whole: with base64 the report is still kept inline."""

STRANGER_OCTETS: Final = 10_000
"""The same when the report goes elsewhere, where the sender's address may be forged."""

HEADER_OCTETS: Final = 32_768
"""Of a longer header only whole fields up to here are enclosed."""


def read_original(content: Content, *, full_octets: int) -> tuple[bytes, bytes | None]:
    """Return the message's header block, and all of the message unless it is larger than *full_octets*.

    :param full_octets: 0 for the header in any case.

    Spec: RFC 3461 4.3
    """
    start = read_start(content, max(HEADER_OCTETS, full_octets))
    whole = start if 0 < content.size <= full_octets else None
    return header_block(start, HEADER_OCTETS), whole


def read_start(content: Content, octets: int) -> bytes:
    """Return the first *octets* of a content, and perhaps some more."""
    start = bytearray()
    for chunk in content.chunks():
        start += chunk
        if len(start) >= octets:
            break
    return bytes(start)


def header_block(data: bytes, limit: int) -> bytes:
    """Return the header block of *data* without the empty line, cut to whole fields of at most *limit*."""
    end = end_of_header(data)
    block = data[: end - len(b"\r\n")] if end >= 0 else data
    if len(block) <= limit and end >= 0:
        return block
    cut = min(limit, len(block))
    while (cut := block.rfind(b"\r\n", 0, cut)) >= 0:
        # A line that is continued, or may be, belongs to what follows it.
        if block[cut + 2 : cut + 3] not in (b" ", b"\t", b""):
            return block[: cut + 2]
    return b""
