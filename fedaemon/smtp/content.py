"""Message content as it comes in: the end of DATA, dot-stuffing, BDAT chunks, and what it must not hold.

Servers that disagree on where a message ends can be made to see commands in a message (SMTP smuggling). Here
only CR LF "." CR LF ends DATA; a message with a bare CR, a bare LF or NUL is read up to its real end and then
refused as a whole, so nothing that we pass on can be read in two ways.

Theory of operation: each block is decoded at once and handed on. Only what cannot be decided yet is held
back: a CR at the end of a block, and a dot (or dot and CR) that begins a line. Blocks are searched with bytes
methods; the place of a fault is looked for only in a block whose counts of CR, LF and CR LF differ.

Standards: RFC 5321 2.3.8, 4.1.1.4, 4.5.2 (transparency), 4.5.3.1.6 (line length), RFC 3030 2.
Invariants: the result does not depend on how the input is split; each octet is copied a bounded number of
times.
Limits: ``MAX_CONTENT_LINE``; size limits are the engine's.
Known gaps: under ``normalise`` a line that ends in a bare LF is not dot-unstuffed after it: "LF .." stays as
it is.
"""

from __future__ import annotations

import re
from enum import Enum

MAX_CONTENT_LINE = 1024 * 1024
"""Octets of one line. Real HTML mail has lines far above the 998 of RFC 5322 2.1.1, up to whole pages of some
hundred kB; above this lies only what would make line-oriented software further on hold a whole message as one
line."""

_END = b"\r\n.\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")
_STUFFED_UNLESS_BARE_LF = re.compile(rb"\r\n\.(?!\n)")


class Malformed(Enum):
    """What makes a content unacceptable, in the order in which it is reported."""

    NUL = "a NUL octet, which mail must not have"
    BARE_CR = "a carriage return without line feed (bare CR); lines end with CR LF"
    BARE_LF = "a line feed without carriage return (bare LF); lines end with CR LF"
    LONG_LINE = f"more than {MAX_CONTENT_LINE} octets; put line ends into it or encode it"


_PATTERNS = {
    Malformed.NUL: re.compile(rb"\0"),
    Malformed.BARE_CR: re.compile(rb"\r(?!\n)"),
    Malformed.BARE_LF: _BARE_LF,
}


class Inspection:
    """What is known of one message's content so far: its size, whether it is 8-bit, what is wrong with it.

    ``faults`` holds the line number of the first fault of each kind.

    :param normalise: turn bare LF into CR LF instead of noting it.
    """

    __slots__ = ("_lines", "_normalise", "_unended", "eight_bit", "faults", "size")

    def __init__(self, normalise: bool) -> None:
        self.size = 0
        self.eight_bit = False
        self.faults: dict[Malformed, int] = {}
        self._normalise = normalise
        self._lines = 0
        self._unended = 0

    def check(self, raw: bytes) -> bool:
        """Look at the next block as received; return whether it has bare LFs to be normalised.

        :param raw: a block that does not end between CR and LF.
        """
        lines = raw.count(b"\r\n")
        feeds = raw.count(b"\n")
        if raw.count(b"\r") != lines:
            self._note(Malformed.BARE_CR, raw)
        if b"\0" in raw:
            self._note(Malformed.NUL, raw)
        if feeds != lines and not self._normalise:
            self._note(Malformed.BARE_LF, raw)
        self._lines += feeds
        return feeds != lines and self._normalise

    def _note(self, kind: Malformed, raw: bytes) -> None:
        if kind not in self.faults:
            found = _PATTERNS[kind].search(raw)
            assert found is not None
            self.faults[kind] = self._lines + raw.count(b"\n", 0, found.start()) + 1

    def measure(self, content: bytes) -> None:
        """Count the next block of decoded content, and note a line that is too long."""
        size = len(content)
        self.size += size
        if not self.eight_bit:
            self.eight_bit = not content.isascii()
        if self._unended + size > MAX_CONTENT_LINE:
            self._find_long_line(content)
        last = content.rfind(b"\r\n")
        self._unended = self._unended + size if last < 0 else size - last - 2

    def _find_long_line(self, content: bytes) -> None:
        """Walk over *content* in steps as long as a line may be, each to the last line end within it."""
        if Malformed.LONG_LINE in self.faults:
            return
        start = -self._unended
        while len(content) - start > MAX_CONTENT_LINE:
            last = content.rfind(b"\r\n", max(start, 0), start + MAX_CONTENT_LINE + 2)
            if last < 0:
                following = content.count(b"\n", max(start, 0))
                self.faults[Malformed.LONG_LINE] = self._lines - following + 1
                return
            start = last + 2


class DataDecoder:
    """Reads the content after DATA, up to and including the line that holds only a dot.

    Spec: RFC 5321 4.1.1.4, 4.5.2
    """

    __slots__ = ("_held", "_inspection", "_line_start")

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self._held = b""
        self._line_start = True

    def decode(self, buffer: bytes, start: int) -> tuple[bytes, int, bool]:
        """Read *buffer* from *start*; return content, where reading stopped, and whether the end was read."""
        held = self._held
        if held or self._line_start:
            head = held + buffer[start : start + 5 - len(held)]
            if self._line_start and head.startswith(b".\r\n"):
                return b"", start + 3 - len(held), True
            if held and head == _END:
                return self._decoded(b"\r\n", False), start + 5 - len(held), True
        dot = buffer.find(b"\r\n.", start)
        if dot < 0:
            raw = held + buffer[start:] if held else buffer[start:]
            return self._decoded(self._hold_back(raw), bool(held)), len(buffer), False
        end = dot if buffer.startswith(_END, dot) else buffer.find(_END, dot + 2)
        if end >= 0:
            return self._decoded(held + buffer[start : end + 2], end != dot or bool(held)), end + 5, True
        return self._decoded(self._hold_back(held + buffer[start:]), True), len(buffer), False

    def _hold_back(self, raw: bytes) -> bytes:
        """Return *raw* up to the octets whose meaning depends on what follows, and keep these."""
        keep = 0
        if raw.endswith(b"\r"):
            keep = 2 if raw.endswith(b"\r\n.\r") or (self._line_start and raw == b".\r") else 1
        elif raw.endswith(b"\r\n.") or (self._line_start and raw == b"."):
            keep = 1
        if not keep:
            self._held = b""
            return raw
        self._held = raw[-keep:]
        return raw[:-keep]

    def _decoded(self, raw: bytes, dots: bool) -> bytes:
        """Check *raw* and return it without dot-stuffing; *dots*: a line in it may begin with a dot."""
        if not raw:
            return raw
        inspection = self._inspection
        if inspection.check(raw):
            content = self._normalised(raw)
        else:
            content = raw[1:] if self._line_start and raw.startswith(b".") else raw
            if dots:
                content = content.replace(b"\r\n.", b"\r\n")
        self._line_start = raw.endswith(b"\r\n")
        inspection.measure(content)
        return content

    def _normalised(self, raw: bytes) -> bytes:
        """Return *raw* decoded, bare LF made CR LF; a dot alone on a line that a bare LF ends is content."""
        content = raw
        if self._line_start and raw.startswith(b".") and not raw.startswith(b".\n"):
            content = raw[1:]
        content = _STUFFED_UNLESS_BARE_LF.sub(b"\r\n", content)
        return _BARE_LF.sub(b"\r\n", content)


class ChunkDecoder:
    """Reads the chunks of BDAT one after the other, as octets that only have to be well formed as a whole.

    Spec: RFC 3030 2
    """

    __slots__ = ("_held", "_inspection", "_remaining", "last")

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self._held = b""
        self._remaining = 0
        self.last = False

    def begin(self, size: int, last: bool) -> None:
        """Expect a chunk of *size* octets; *last* when it ends the content."""
        self._remaining = size
        self.last = last

    def decode(self, buffer: bytes, start: int) -> tuple[bytes, int, bool]:
        """Read *buffer* from *start*; return content, where reading stopped, and whether the chunk ended."""
        stop = min(len(buffer), start + self._remaining)
        self._remaining -= stop - start
        raw = self._held + buffer[start:stop]
        ended = not self._remaining
        if raw.endswith(b"\r") and not (ended and self.last):
            self._held = b"\r"
            raw = raw[:-1]
        else:
            self._held = b""
        if raw:
            if self._inspection.check(raw):
                raw = _BARE_LF.sub(b"\r\n", raw)
            self._inspection.measure(raw)
        return raw, stop, ended
