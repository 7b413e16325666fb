"""One message's content on its way in: decoded, measured, and at its end either good or refused.

A content that is too big or malformed is still read to its end, because only there the client listens to an
answer; but nothing of it is handed on any more, and not without end.

Standards: RFC 5321 4.5.3.1.7, 4.2 (500, 552), RFC 1870 6.3, RFC 3463 (5.3.4, 5.6.0).
Limits: the maximum size; ``OVERFLOW`` beyond twice that.
"""

from __future__ import annotations

from fedaemon.smtp.content import ChunkDecoder, DataDecoder, Inspection, Malformed
from fedaemon.smtp.engine_settings import EngineSettings
from fedaemon.smtp.reply import Reply

OVERFLOW = 1024 * 1024
"""Octets that are read beyond twice the maximum size so that the client can be told 552; above this the
connection is closed, as few clients get as far as reading the answer and the rest is waste."""


class Reception:
    """The content of one message.

    ``last`` says whether the part being read (the whole of DATA, or a chunk) is the last one.
    """

    __slots__ = ("_chunks", "_decoder", "_inspection", "_max_size", "_taken", "last")

    def __init__(self, settings: EngineSettings, *, chunks: bool) -> None:
        self._inspection = Inspection(settings.bare_lf == "normalise")
        self._chunks = ChunkDecoder(self._inspection) if chunks else None
        self._decoder: ChunkDecoder | DataDecoder = self._chunks or DataDecoder(self._inspection)
        self._max_size = settings.max_message_size
        self._taken = 0
        self.last = not chunks

    def begin_chunk(self, size: int, last: bool) -> None:
        """Expect a chunk of *size* octets."""
        assert self._chunks is not None
        self._chunks.begin(size, last)
        self.last = last

    def decode(self, buffer: bytes, start: int) -> tuple[bytes, int, bool]:
        """Read *buffer* from *start*; return content to hand on, where it stopped, whether the part ended."""
        content, stop, ended = self._decoder.decode(buffer, start)
        self._taken += stop - start
        return content if self.good else b"", stop, ended

    @property
    def good(self) -> bool:
        """Whether all that came so far can be accepted."""
        inspection = self._inspection
        return inspection.size <= self._max_size and not inspection.faults

    @property
    def size(self) -> int:
        """Octets of content so far."""
        return self._inspection.size

    @property
    def eight_bit(self) -> bool:
        """Whether there was an octet outside ASCII."""
        return self._inspection.eight_bit

    @property
    def endurance(self) -> int:
        """How many more octets are read; negative when too many came."""
        return 2 * self._max_size + OVERFLOW - self._taken

    def refusal(self) -> Reply:
        """Return what the client is told about content that is not good."""
        if self.size > self._max_size:
            return Reply(552, "5.3.4", f"The message is too big: it may have {self._max_size} octets")
        faults = self._inspection.faults
        kind = next(kind for kind in Malformed if kind in faults)
        code = 500 if kind is Malformed.LONG_LINE else 550  # RFC 5321 4.5.3.1.9
        return Reply(code, "5.6.0", f"The message is refused: line {faults[kind]} has {kind.value}")
