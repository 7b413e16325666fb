"""Reads the messages of an mbox file: what ``ctl/mbox.py`` writes, and what other programs have written.

A message begins at a From_ line, with a date, at the beginning of the file or after an empty line. Its quoted
lines (mboxrd) are undone. A Content-Length that ends at such a line, or at the end of the file, is believed
(mboxcl2): lines within that look like From_ lines are then text, and nothing is undone.

Standards: RFC 4155 appendix A (the From_ line).
Invariants: what ``write_mbox_message`` wrote of a message with CRLF is read octet for octet. Content-Length
never makes a boundary, and never hides one that a header field follows: a sender's field cannot swallow the
mail behind his.
Limits: memory for a piece or two of a message and for HEADER_OCTETS of its header; MAX_FROM_OCTETS.
Known gaps: no lock is taken, so nothing may write to the file meanwhile; mboxo cannot be told from mboxrd,
so its ">>From " loses a ">"; with Content-Length, lines that a program quoted all the same stay quoted; a zone
with a name that is not American is taken for UTC.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from fedaemon.ctl.maildir import CHUNK, Found, Skipped, keyword, read_again, with_crlf
from fedaemon.errors import BadSyntax, Refused
from fedaemon.message.date import parse_date

HEADER_OCTETS: Final = 262_144
"""Fields that begin after so much of a header are not looked at."""
MAX_FROM_OCTETS: Final = 1024
"""A longer line is no From_ line: a path has 256 octets, a date under 50."""

_FROM_LINE = re.compile(
    rb"From (?:[^\n]*? )??(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) +"
    rb"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +([0-9]{1,2}) +([0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)"
    rb"(?: +([A-Z]{1,5}|[+-][0-9]{4}))? +([0-9]{4})(?: +([A-Z]{1,5}|[+-][0-9]{4}))?"
    rb"(?: remote from [^\n]*)?[ \t]*\r?\n"
).match
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:").match
_FIELDS = re.compile(
    rb"^(status|x-status|x-keywords|content-length|date|subject|x-imap)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)",
    re.MULTILINE | re.IGNORECASE,
).findall
_QUOTED = re.compile(rb"^>(?=>*From )", re.MULTILINE)
_EMPTY: Final = (b"\n", b"\r\n")
_STATUS: Final = {b"R": b"\\Seen"}
_X_STATUS: Final = {b"A": b"\\Answered", b"F": b"\\Flagged", b"D": b"\\Deleted", b"T": b"\\Draft"}


@dataclass(slots=True)
class _Span:
    """Where one message lies.

    :ivar offset: of its From_ line.
    :ivar start: of its content; *stop* is the end of it, *following* the next From_ line or the end of all.
    :ivar verbatim: whether Content-Length was believed.
    """

    offset: int
    from_line: bytes
    start: int
    stop: int
    following: int
    fields: list[tuple[bytes, bytes]]
    verbatim: bool


def read_mbox(path: Path, folder: str = "INBOX") -> Iterator[Found | Skipped]:
    """Yield the messages of an mbox file in their order; ``Found.name`` is the offset in octets.

    :param folder: the mailbox that they are for.
    :raises BadSyntax: when the file does not begin with a From_ line; nothing is yielded before.
    :raises Refused: when it is no file, or cannot be read.

    Spec: RFC 4155 appendix A
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Refused(f"{path} is no file")
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            offset = _first(file, path)
            while offset < about.st_size:
                span = _span(file, offset, about.st_size)
                if offset == 0 and _is_internal(span):
                    yield Skipped(path, "octet 0: data that an IMAP server keeps, no mail")
                else:
                    yield _found(path, folder, span, int(about.st_mtime))
                offset = span.following
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None


def _first(file: BinaryIO, path: Path) -> int:
    """Return where the first From_ line begins; in a file of empty lines, its end."""
    offset = 0
    while line := file.readline(MAX_FROM_OCTETS):
        if line not in _EMPTY:
            if _FROM_LINE(line) is None:
                raise BadSyntax(f"{path}, octet {offset}: no From_ line with a date, so this is no mbox")
            break
        offset += len(line)
    return offset


def _lines(file: BinaryIO, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its offset; of a line longer than a piece, its first and its last piece."""
    file.seek(offset)
    while line := file.readline(CHUNK):
        length = len(line)
        last = b""
        if length == CHUNK and not line.endswith(b"\n"):
            while piece := file.readline(CHUNK):
                # With an octet of the piece before it: its CR may be there.
                last = (last or line)[-1:] + piece
                length += len(piece)
                if piece.endswith(b"\n"):
                    break
        yield offset, line + last
        offset += length


def _span(file: BinaryIO, offset: int, size: int) -> _Span:
    """Find the end of the message whose From_ line is at *offset*."""
    lines = _lines(file, offset)
    _, from_line = next(lines)
    span = _Span(offset, from_line, offset + len(from_line), size, size, [], False)
    header = bytearray()
    in_header = True
    believed: tuple[int, int] | None = None
    ends = _LineEnds()
    for at, line in lines:
        if ends.last in _EMPTY and len(line) <= MAX_FROM_OCTETS and _FROM_LINE(line) is not None:
            hidden = believed is not None and at < believed[1]
            if not hidden or _FIELD(_peek(file, at + len(line), MAX_FROM_OCTETS)):
                span.following = at
                break
        ends.add(line)
        if in_header:
            if len(header) < HEADER_OCTETS:
                header += line
            if line in _EMPTY:
                in_header = False
                span.fields = _fields(header)
                believed = _believed(file, at + len(line), span.fields, size)
    if in_header:
        span.fields = _fields(header)
    if believed is not None and believed[1] == span.following:
        span.stop, span.verbatim = believed[0], True
    else:
        span.stop = span.following - ends.surplus()
    return span


class _LineEnds:
    """The line ends of a message, to tell its own from those of the format.

    :ivar last: the line before; at first an unfinished one, because no From_ line follows another.
    """

    __slots__ = ("bare", "before", "last", "lines")

    def __init__(self) -> None:
        self.last = self.before = b""
        self.lines = self.bare = 0

    def add(self, line: bytes) -> None:
        """Take note of the next line."""
        self.before, self.last = self.last, line
        self.lines += 1
        self.bare += line.endswith(b"\n") and not line.endswith(b"\r\n")

    def surplus(self) -> int:
        """Return how many octets at the end are not of the message: the empty line, and perhaps an LF."""
        if self.last not in _EMPTY:
            return 0
        # A message with CRLF whose last line has no end gets an LF when it is written (ctl/mbox.py).
        mended = (
            self.bare == 2 and self.lines > 2 and self.last == b"\n" and not self.before.endswith(b"\r\n")
        )
        return len(self.last) + mended


def _peek(file: BinaryIO, offset: int, octets: int) -> bytes:
    """Read somewhere without moving the place that is read next."""
    return os.pread(file.fileno(), octets, offset)


def _fields(header: bytearray) -> list[tuple[bytes, bytes]]:
    """Return the fields that matter here: names in lower case, values unfolded."""
    return [
        (name.lower(), value.replace(b"\r", b"").replace(b"\n", b"").strip(b" \t"))
        for name, value in _FIELDS(bytes(header))
    ]


def _believed(
    file: BinaryIO, body: int, fields: list[tuple[bytes, bytes]], size: int
) -> tuple[int, int] | None:
    """Return the end that Content-Length gives and the From_ line after it, if it fits."""
    lengths = [value for name, value in fields if name == b"content-length"]
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 15:
        return None
    end = body + int(lengths[0])
    if end >= size:
        return (end, end) if end == size else None
    behind = _peek(file, end, MAX_FROM_OCTETS + 2)
    empty = next((line for line in _EMPTY if behind.startswith(line)), b"")
    following = end + len(empty)
    if following != size and _FROM_LINE(behind, len(empty)) is None:
        return None
    before = _peek(file, following - 3, 3)
    # A From_ line counts only after an empty line, whatever the field says.
    return (end, following) if before.endswith((b"\n\n", b"\n\r\n")) else None


def _is_internal(span: _Span) -> bool:
    fields = dict(span.fields)
    return b"x-imap" in fields and b"FOLDER INTERNAL DATA" in fields.get(b"subject", b"")


def _found(path: Path, folder: str, span: _Span, modified_s: int) -> Found:
    pieces = partial(_pieces, path, span)
    size = sum(map(len, with_crlf(pieces())))
    again = partial(read_again, pieces, size, path)
    return Found(str(span.offset), folder, _flags(span.fields), _internal_s(span, modified_s), size, again)


def _pieces(path: Path, span: _Span) -> Iterator[bytes]:
    """Yield the octets of a message, lines unquoted, with the line ends that the file has."""
    with path.open("rb") as file:
        file.seek(span.start)
        left = span.stop - span.start
        rest = b""
        at_start = True
        while left and (piece := file.read(min(CHUNK, left))):
            left -= len(piece)
            if span.verbatim:
                yield piece
                continue
            rest += piece
            # Only whole lines, unless one is longer than a piece: its beginning has been seen by then.
            end = rest.rfind(b"\n") + 1 or (len(rest) if len(rest) > CHUNK else 0)
            if end:
                yield _unquoted(rest[:end], at_start)
                at_start, rest = rest[end - 1 : end] == b"\n", rest[end:]
        if rest:
            yield _unquoted(rest, at_start)


def _unquoted(lines: bytes, at_start: bool) -> bytes:
    return _QUOTED.sub(b"", lines) if at_start else _QUOTED.sub(b"", b"-" + lines)[1:]


def _flags(fields: list[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    flags: dict[bytes, None] = {}
    for name, value in fields:
        if name == b"x-keywords":
            flags.update(dict.fromkeys(filter(keyword, value.split())))
        table = {b"status": _STATUS, b"x-status": _X_STATUS}.get(name, {})
        flags.update((flag, None) for letter, flag in table.items() if letter in value)
    return tuple(flags)


def _internal_s(span: _Span, modified_s: int) -> int:
    """Return the From_ line's date, else the Date field's, else when the file was written."""
    match = _FROM_LINE(span.from_line)
    dates = [value for name, value in span.fields if name == b"date"]
    if match is not None:
        month, day, time, early, year, late = match.groups()
        dates.insert(0, b" ".join((day, month, year, time, late or early or b"+0000")))
    return next((int(found) for found in map(parse_date, dates) if found is not None), modified_s)
