"""The hash of a message body in relaxed canonical form, taken as the body streams by.

A body may be 50 MB in a file: it is neither held whole nor copied whole, and whatever is in it, hashing takes
a time proportional to its length (a regular expression for "white space before a line end" does not, when
there is much white space and no line end). All the work is in whole-block operations on bytes.

Theory of operation: in a block, tabs become spaces, runs of spaces become one, and a space before CRLF goes.
What cannot be judged before more has come is held back: a space or CR at the end of the block (at most two
octets), and CRLFs at its end, of which only the number is kept, because empty lines at the end of the body do
not count.

Standards: RFC 6376 3.4.4 (relaxed body), 3.7 (the hash).
Invariants: the same octets give the same hash however they are cut into blocks; a last line without CRLF
counts as if it had one, white space before it included, as it does after a transfer with DATA.
Limits: two octets and a number are held, whatever the body is.
"""

from __future__ import annotations

import hashlib
from typing import Final

CRLF: Final = b"\r\n"
_EMPTY_LINES: Final = CRLF * 4096
"""Empty lines in the middle of a body are hashed in pieces of this size."""


class BodyHash:
    """SHA-256 over a body in relaxed form: ``feed`` it, then ``finish``."""

    __slots__ = ("_begun", "_hash", "_held", "_lines")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._held = b""
        self._lines = 0
        self._begun = False

    def feed(self, block: bytes) -> None:
        """Take the next octets of the body. Spec: RFC 6376 3.4.4"""
        data = (self._held + block if self._held else block).replace(b"\t", b" ")
        # Each round halves the longest run, and shrinks what it looks at: linear in all.
        while b"  " in data:
            data = data.replace(b"  ", b" ")
        keep = _undecided(data)
        self._held = data[len(data) - keep :] if keep else b""
        if keep:
            data = data[:-keep]
        data = data.replace(b" \r\n", CRLF)
        lines = _lines_at_end(data)
        if 2 * lines < len(data):
            self._hash_lines()
            self._hash.update(data[: len(data) - 2 * lines] if lines else data)
            self._begun = True
        self._lines += lines

    def finish(self) -> bytes:
        """Return the digest; nothing may be fed any more."""
        if self._held:
            self.feed(CRLF)
        if self._begun:
            self._hash.update(CRLF)
        return self._hash.digest()

    def _hash_lines(self) -> None:
        """Hash the line ends that were held back: they are not the end of the body."""
        whole, rest = divmod(self._lines * 2, len(_EMPTY_LINES))
        for _ in range(whole):
            self._hash.update(_EMPTY_LINES)
        self._hash.update(_EMPTY_LINES[:rest])
        self._lines = 0


def _undecided(data: bytes) -> int:
    """Return how many octets at the end may be the beginning of a line end, or white space before one."""
    if data.endswith(b"\r"):
        return 2 if data.endswith(b" \r") else 1
    return 1 if data.endswith(b" ") else 0


def _lines_at_end(data: bytes) -> int:
    """Return with how many CRLFs *data* ends."""
    if not data.endswith(CRLF):
        return 0
    tail = data[len(data.rstrip(CRLF)) :]
    # A bare CR or LF among them (no mail has one, but the hash must be defined) ends the row of CRLFs.
    return (len(tail) - max(tail.rfind(b"\r\r"), tail.rfind(b"\n\n")) - 1) // 2
