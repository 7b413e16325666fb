"""The client's octets waiting to be read, and the one reader of command lines.

A line ends with CR LF and nothing else. Other servers in front of us may see other line ends, and every
difference is a way to smuggle a command past one of them, so a line with a bare CR, a bare LF or NUL is never
run. It is still one line up to its CR LF and gets one answer; for a bare LF at once, so that a person who
types into nc is told why.

Standards: RFC 5321 2.3.8 (line ends), 4.5.3.1.4 (length).
Invariants: each octet is looked at a bounded number of times however the input is split; what is read does
not depend on the split.
Limits: the caller gives the length of a line; ``MAX_SKIPPED`` octets of a refused line.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

MAX_SKIPPED = 1024 * 1024
"""Octets passed over to find the end of a refused line; a client that sends more does not speak SMTP."""

TLS_HANDSHAKE = 0x16
"""First octet of a TLS ClientHello: no command begins with it."""


class Fault(Enum):
    """Why a line is not a command."""

    TOO_LONG = "line too long"
    BARE_LF = "bare LF"
    CONTROL = "bare CR or NUL"
    ENDLESS = "no end of line"
    TLS = "TLS handshake"


class LineFault:
    """A line that is not a command. *start* is what was read of it until the fault showed."""

    __slots__ = ("fault", "start")

    def __init__(self, fault: Fault, start: bytes) -> None:
        self.fault = fault
        self.start = start


class Input:
    """What was received and not yet read, in the pieces in which it came.

    ``buffer`` is the piece being read, ``position`` the first octet of it that was not read yet.
    """

    __slots__ = ("_after_cr", "_later", "_later_size", "_partial", "_skipped", "buffer", "position")

    def __init__(self) -> None:
        self.buffer = b""
        self.position = 0
        self._later: deque[bytes] = deque()
        self._later_size = 0
        self._partial = bytearray()
        self._skipped = -1
        self._after_cr = False

    def receive(self, data: bytes) -> None:
        """Take *data* from the connection."""
        if self.position < len(self.buffer):
            self._later.append(data)
            self._later_size += len(data)
        else:
            self.buffer = data
            self.position = 0

    def ready(self) -> bool:
        """Go on to the next piece if ``buffer`` was read; return whether it has an octet at ``position``."""
        while self.position >= len(self.buffer):
            if not self._later:
                return False
            self.buffer = self._later.popleft()
            self._later_size -= len(self.buffer)
            self.position = 0
        return True

    def pending(self) -> int:
        """Return how many octets wait to be read."""
        return len(self.buffer) - self.position + self._later_size + len(self._partial)

    def clear(self) -> None:
        """Forget everything received."""
        self.buffer = b""
        self.position = 0
        self._later.clear()
        self._later_size = 0
        self._partial.clear()

    def line(self, limit: int) -> bytes | LineFault | None:
        """Read one line, without its CR LF, of at most *limit* octets with it.

        Reads at most to the end of ``buffer``; returns None when no line ends there. A refused line is
        returned once as a ``LineFault``, and the rest of it is passed over.

        Spec: RFC 5321 2.3.8
        """
        buffer = self.buffer
        start = self.position
        if self._skipped < 0 and not self._partial:
            end = buffer.find(b"\r\n", start, start + limit)
            if end >= 0:
                line = buffer[start:end]
                if b"\n" not in line and b"\r" not in line and b"\0" not in line:
                    self.position = end + 2
                    return line
        elif self._skipped >= 0:
            return self._skip()
        return self._hard_line(limit)

    def _hard_line(self, limit: int) -> bytes | LineFault | None:
        """Read a line that comes in several pieces, is too long or is broken."""
        partial = self._partial
        start = self.position
        most = start + limit - len(partial)
        stop = self.buffer.find(b"\n", start, most) + 1 or min(most, len(self.buffer))
        partial += self.buffer[start:stop]
        self.position = stop
        if partial.endswith(b"\r\n"):
            line = bytes(partial[:-2])
            partial.clear()
            if b"\r" in line or b"\0" in line:
                return LineFault(Fault.CONTROL, line)
            return line
        if partial.endswith(b"\n"):
            return self._refuse(Fault.BARE_LF)
        if partial[0] == TLS_HANDSHAKE:
            return self._refuse(Fault.TLS)
        if len(partial) >= limit:
            return self._refuse(Fault.TOO_LONG)
        return None

    def _refuse(self, fault: Fault) -> LineFault:
        line = bytes(self._partial)
        self._partial.clear()
        self._skipped = 0
        self._after_cr = line.endswith(b"\r")
        return LineFault(fault, line)

    def _skip(self) -> LineFault | None:
        """Pass over the rest of a refused line."""
        buffer = self.buffer
        start = self.position
        found = buffer.find(b"\r\n", start)
        ended = found >= 0
        self.position = found + 2 if ended else len(buffer)
        if self._after_cr and buffer[start] == 0x0A:
            ended = True
            self.position = start + 1
        self._skipped += self.position - start
        self._after_cr = buffer.endswith(b"\r")
        if self._skipped > MAX_SKIPPED:
            return LineFault(Fault.ENDLESS, b"")
        if ended:
            self._skipped = -1
        return None
