"""Turning a message's octets into what DATA and BDAT carry.

It exists apart from the engine because this is where smuggling and broken messages come from: the content
arrives in blocks of any size, and a line end or a leading dot may lie across two of them.

Standards: RFC 5321 4.5.2 (transparency), 2.3.8 (lines), RFC 3030 2 (BDAT).
Invariants: what is sent holds CR and LF only as CRLF, whatever the content is; content that has no other line
ends arrives octet for octet (DATA adds a CRLF when the last line has none).
Limits: holds back one octet (DATA), or one chunk and a block (BDAT).
"""

from __future__ import annotations

import re

CHUNK_OCTETS = 256 * 1024
"""Octets in a BDAT chunk: so large that a reply for each costs little, so small that memory can hold it."""

_LINE_END = re.compile(rb"\r\n|\r|\n")


class LineEnds:
    """Lets CRLF pass and makes CRLF of every other line end.

    The store takes no content with bare CR or LF, so this changes nothing; it makes sure that no defect
    elsewhere can put an end of data into a message that a lax server would obey (SMTP smuggling).
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, block: bytes) -> bytes:
        """Return what can be sent of the content so far after *block*."""
        if self._held:
            block = self._held + block
            self._held = b""
        if block.endswith(b"\r"):
            self._held = b"\r"
            block = block[:-1]
        pairs = block.count(b"\r\n")
        if block.count(b"\n") != pairs or block.count(b"\r") != pairs:
            block = _LINE_END.sub(b"\r\n", block)
        return block

    def finish(self) -> bytes:
        """Return what was held back: the content ended."""
        return b"\r\n" if self._held else b""


class DotStuffer:
    """Encodes content for DATA.

    Spec: RFC 5321 4.5.2
    """

    __slots__ = ("_at_line_start", "_line_ends")

    def __init__(self) -> None:
        self._line_ends = LineEnds()
        self._at_line_start = True

    def feed(self, block: bytes) -> bytes:
        """Return what to send after *block*."""
        return self._stuff(self._line_ends.feed(block))

    def finish(self) -> bytes:
        """Return the rest of the content and the end of data."""
        rest = self._stuff(self._line_ends.finish())
        return rest + (b".\r\n" if self._at_line_start else b"\r\n.\r\n")

    def _stuff(self, lines: bytes) -> bytes:
        if not lines:
            return lines
        leading_dot = self._at_line_start and lines.startswith(b".")
        self._at_line_start = lines.endswith(b"\n")
        lines = lines.replace(b"\n.", b"\n..")
        return b"." + lines if leading_dot else lines


class Chunker:
    """Collects content for BDAT: gives the octets of whole chunks, the command is the caller's to write.

    Spec: RFC 3030 2
    """

    __slots__ = ("_blocks", "_line_ends", "_size")

    def __init__(self) -> None:
        self._line_ends = LineEnds()
        self._blocks: list[bytes] = []
        self._size = 0

    def feed(self, block: bytes) -> bytes | None:
        """Take *block*; return the chunk that it completes, or None.

        A chunk is only given when more content follows it, so that the last one is never empty.
        """
        full = self._size >= CHUNK_OCTETS
        chunk = b"".join(self._blocks) if full else None
        if full:
            self._blocks.clear()
            self._size = 0
        lines = self._line_ends.feed(block)
        self._blocks.append(lines)
        self._size += len(lines)
        return chunk

    def finish(self) -> bytes:
        """Return the last chunk."""
        self._blocks.append(self._line_ends.finish())
        return b"".join(self._blocks)
