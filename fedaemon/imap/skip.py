"""The end of a refused command, found as its client sees it.

Standards: RFC 7888 4 (octets of a literal that does not wait are swallowed), RFC 3516 4.4 (literal8).
Invariants: each octet is looked at a bounded number of times; what is passed over does not depend on the split.
Limits: TAIL_OCTETS are kept of what is passed over; the caller limits how much that is.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

TAIL_OCTETS: Final = 32
"""More than the longest announcement of a literal with its CR LF."""

# RFC 9051 9 stops at 19 digits; a larger number is a literal all the same, and what follows it is no command.
_LITERAL = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z").search


def announced(line: bytes) -> re.Match[bytes] | None:
    """Return the announcement of a literal that ends *line* (without CR LF): ``~`` or not, size, ``+`` or not.

    Spec: RFC 9051 4.3, RFC 7888 8
    """
    return _LITERAL(line[-TAIL_OCTETS:]) if line.endswith(b"}") else None


class Progress(Enum):
    """How far passing over has come."""

    MORE = auto()
    ENDED = auto()
    ENDLESS = auto()


class Skip:
    """Passes over the rest of a command.

    :param limit: octets that are passed over at most.
    :param line: what was read of the line before; its literal counts when it ends with CR LF.
    :param literal: octets of a literal that follow in any case.
    :param raw: the line is none of a command, so no literal can end it.
    :param ended: nothing is left.
    """

    __slots__ = ("_ended", "_limit", "_literal", "_raw", "_tail")

    def __init__(
        self, limit: int, line: bytes = b"", *, literal: int = 0, raw: bool = False, ended: bool = False
    ) -> None:
        self._limit = limit
        self._tail = line[-TAIL_OCTETS:]
        self._literal = literal
        self._raw = raw
        self._ended = ended
        self._line_ended()

    def run(self, buffer: bytearray) -> Progress:
        """Take from *buffer* what belongs to the command, and tell whether its end was found."""
        while not self._ended:
            if self._literal > self._limit:
                return Progress.ENDLESS
            if not buffer:
                return Progress.MORE
            if self._literal:
                stop = min(self._literal, len(buffer))
                self._literal -= stop
            else:
                stop = buffer.find(b"\n", 0, self._limit) + 1 or min(len(buffer), self._limit)
                if not stop:
                    return Progress.ENDLESS
                self._tail = (self._tail + buffer[max(0, stop - TAIL_OCTETS) : stop])[-TAIL_OCTETS:]
                self._line_ended()
            self._limit -= stop
            del buffer[:stop]
        return Progress.ENDED

    def _line_ended(self) -> None:
        """Look whether the tail is the end of a line, and whether the command goes on after it."""
        if not self._tail.endswith(b"\r\n"):
            return
        literal = None if self._raw else announced(self._tail[:-2])
        self._tail = b""
        # At a literal that waits the client reads the refusal instead, and begins a new command.
        self._ended = literal is None or not literal[3]
        self._literal = int(literal[2]) if literal is not None and literal[3] else 0
