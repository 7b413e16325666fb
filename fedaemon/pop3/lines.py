"""The client's octets waiting to be read, and the one reader of lines.

A line ends with CR LF and nothing else. A line that ends with LF alone, or holds a bare CR or NUL, is never
run, because a proxy in front of us may see other line ends than we do.

Standards: RFC 2449 4 (a command has at most 255 octets).
Invariants: each octet is looked at a bounded number of times however the input is split; what is read does
not depend on the split; each refused line is reported once.
Limits: the caller gives the length of a line; ``MAX_SKIPPED`` octets of one that is too long.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

MAX_SKIPPED: Final = 64 * 1024
"""Octets passed over to find the end of a line that is too long; a client that sends more speaks no POP3."""

TLS_HANDSHAKE: Final = 0x16
"""First octet of a TLS ClientHello: no command begins with it."""


class Fault(Enum):
    """Why a line is not a command."""

    TOO_LONG = "line too long"
    BARE_LF = "bare LF"
    CONTROL = "bare CR or NUL"
    ENDLESS = "no end of line"
    TLS = "TLS handshake"


class Input:
    """What was received and not yet read."""

    __slots__ = ("_buffer", "_searched", "_skipped")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._skipped = -1

    def __len__(self) -> int:
        """Return how many octets wait to be read."""
        return len(self._buffer)

    def receive(self, data: bytes) -> None:
        """Take *data* from the connection."""
        self._buffer += data

    def clear(self) -> None:
        """Forget everything received."""
        self._buffer.clear()
        self._searched = 0

    def line(self, limit: int) -> bytes | Fault | None:
        """Read one line, without its CR LF, of at most *limit* octets with it; None when none has come yet.

        Spec: RFC 1939 3, RFC 2449 4
        """
        buffer = self._buffer
        if self._skipped >= 0 and not self._skip():
            return Fault.ENDLESS if self._skipped > MAX_SKIPPED else None
        if buffer and buffer[0] == TLS_HANDSHAKE:
            return Fault.TLS
        end = buffer.find(b"\n", self._searched, limit)
        if end < 0:
            self._searched = min(len(buffer), limit)
            if len(buffer) < limit:
                return None
            self._skipped = 0
            return Fault.TOO_LONG
        line = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        self._searched = 0
        if not line.endswith(b"\r\n"):
            return Fault.BARE_LF
        line = line[:-2]
        return Fault.CONTROL if b"\r" in line or b"\0" in line else line

    def _skip(self) -> bool:
        """Pass over the rest of a line that is too long; True at its end."""
        buffer = self._buffer
        end = buffer.find(b"\n")
        size = end + 1 or len(buffer)
        del buffer[:size]
        self._searched = 0
        self._skipped += size
        if end < 0 or self._skipped > MAX_SKIPPED:
            return False
        self._skipped = -1
        return True
