"""Finds the entities of a message in one pass, however its octets come.

Between two line ends that matter, nothing is looked at: the scanner goes from one LF before "--" (in a body: and
what all open boundaries begin with; in a header also from one empty line) to the next with bytes.find or one
regular expression, and counts the LFs between.
Octets are kept only of headers, of the first text for the preview, and of a line that may become a delimiter.

A step is in one of three states: in a header (which an empty line ends, or a delimiter), in a body (which only
a delimiter ends), or behind a delimiter, whose line is skipped. ``_pos`` is where what was taken ends; the search
goes on at ``_from``, which is the LF before ``_pos`` when that begins a line.

Standards: RFC 2046 5.1.1 (delimiters), RFC 5322 2.1 (the empty line).
Invariants: nothing is raised; the same tree for any chunks; the CRLF before a delimiter belongs to the delimiter;
bare LFs end lines, too. As in Dovecot a line that begins with a boundary is its delimiter whatever follows, the
longest boundary that fits wins, and a delimiter of an outer multipart ends the inner ones.
Limits: MAX_HEADER_OCTETS and MAX_HEADERS_OCTETS of headers are read, the rest is passed over; see ``entity``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from fedaemon.message.mime.entity import BOUNDARY_OCTETS, MAX_PARTS, Entity
from fedaemon.message.mime.fields import read_fields
from fedaemon.message.mime.preview import Sample

MAX_HEADER_OCTETS: Final = 262_144
"""Octets of one header whose fields are read."""
MAX_HEADERS_OCTETS: Final = 4_194_304
"""Octets of all headers together, so that ten thousand parts do not fill the memory."""
BLOCK_OCTETS: Final = 65_536
"""Small chunks are put together to blocks of so many octets: then each costs the same."""
_LINE: Final = BOUNDARY_OCTETS + 4
"""Octets of a line after its two dashes that decide whether it is a delimiter: boundary, two dashes, CRLF."""

_HEADER_EVENT = re.compile(rb"\n(?:\r?\n|--)").search
_UNDECIDED = re.compile(rb"\n(?:\r|-|--[^\n]*+)?\Z").match


def blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the octets of *chunks* in blocks of at least BLOCK_OCTETS, but for the last."""
    gathered: list[bytes] = []
    octets = 0
    for chunk in chunks:
        gathered.append(chunk)
        octets += len(chunk)
        if octets >= BLOCK_OCTETS:
            yield b"".join(gathered)
            gathered, octets = [], 0
    if octets:
        yield b"".join(gathered)


def _common_beginning(boundaries: tuple[bytes, ...]) -> bytes:
    """Return what all *boundaries* begin with: what the first and the last in order do."""
    if not boundaries:
        return b""
    least, greatest = min(boundaries), max(boundaries)
    octets = len(least)
    while not greatest.startswith(least[:octets]):
        octets -= 1
    return least[:octets]


class Scanner:
    """Takes blocks, and has the tree of entities in *root* when it is closed."""

    def __init__(self) -> None:
        self.root = Entity(None, 0)
        self.sample = Sample()
        self._entity = self.root
        self._entities = 1
        self._open: list[tuple[bytes, Entity]] = []
        self._boundaries: tuple[bytes, ...] = ()
        # What every delimiter that counts begins with: lines of dashes cost nothing.
        self._needle = b"\n--"
        # The message begins as if after a line's end, which stands at offset -1.
        self._data = b"\n"
        self._base, self._pos, self._from = -1, 1, 0
        self._lines = 0
        self._in_header = True
        self._skipping = False
        self._sampling = False
        self._kept: list[bytes] = []
        self._may_keep, self._may_keep_all = MAX_HEADER_OCTETS, MAX_HEADERS_OCTETS

    def feed(self, block: bytes) -> None:
        """Take the next octets of the message."""
        self._data += block
        self._run(last=False)
        self._suspend()

    def close(self) -> None:
        """Take it that the message ends here."""
        self._run(last=True)
        self._advance(len(self._data))
        self._end_headers()
        self._finish_until(None)

    def _run(self, *, last: bool) -> None:
        data = self._data
        while True:
            if self._skipping:
                end = data.find(b"\n", self._pos)
                if end < 0:
                    return
                self._begin_part(end)
            elif self._in_header:
                match = _HEADER_EVENT(data, self._from)
                if match is None:
                    return
                if match[0] != b"\n--":
                    self._advance(match.end())
                    self._from = match.end() - 1
                    self._end_header()
                elif not self._try_delimiter(match.start(), last):
                    return
            else:
                may_end = self._open and self._entities < MAX_PARTS
                at = data.find(self._needle, self._from) if may_end else -1
                if at < 0 or not self._try_delimiter(at, last):
                    return

    def _try_delimiter(self, at: int, last: bool) -> bool:
        """Look at the line after the LF at *at*; return False when more of it is needed."""
        data = self._data
        start = at + 3
        end = data.find(b"\n", start, start + _LINE)
        if end < 0:
            if not last and len(data) < start + _LINE:
                return False
            end = start + _LINE
        line = data[start:end].removesuffix(b"\r")
        self._from = start
        if line.startswith(self._boundaries) and self._entities < MAX_PARTS:
            self._take_delimiter(at, line)
        return True

    def _take_delimiter(self, at: int, line: bytes) -> None:
        boundary, index = b"", -1
        for place in range(len(self._open) - 1, -1, -1):
            candidate = self._open[place][0]
            if line.startswith(candidate) and len(candidate) > len(boundary):
                boundary, index = candidate, place
                if line in (candidate, candidate + b"--"):
                    break
        owner = self._open[index][1]
        if self._in_header:
            self._advance(at + 1)
            self._end_headers()
        else:
            self._advance(at - 1 if at > self._pos and self._data[at - 1] == 13 else at)
        self._finish_until(owner)
        closing = line.startswith(b"--", len(boundary))
        self._advance(at + 3 + len(boundary) + 2 * closing)
        self._from = self._pos
        self._entity = owner
        remaining = index if closing else index + 1
        if remaining < len(self._open):
            self._set_open(self._open[:remaining])
        self._skipping = not closing

    def _begin_part(self, end: int) -> None:
        """Begin a part after the delimiter line whose LF is at *end*."""
        self._advance(end + 1)
        self._from = end
        self._skipping = False
        self._begin_entity()

    def _begin_entity(self) -> None:
        child = Entity(self._entity, self._base + self._pos)
        self._entity.children.append(child)
        self._entity = child
        self._entities += 1
        self._in_header = True
        self._may_keep = min(MAX_HEADER_OCTETS, self._may_keep_all)

    def _end_headers(self) -> None:
        """End the header that is open, and the empty ones of messages enclosed there."""
        while self._in_header:
            self._end_header()

    def _end_header(self) -> None:
        entity = self._entity
        entity.body_at = self._base + self._pos
        entity.header_octets = entity.body_at - entity.header_at
        # Until the body ends, here is the count of lines before it.
        entity.lines = self._lines
        self._in_header = False
        fields = read_fields(b"".join(self._kept))
        self._kept = []
        boundary = entity.settle(fields, may_nest=self._entities < MAX_PARTS)
        if boundary is not None:
            self._set_open([*self._open, (boundary, entity)])
        elif entity.kind == "message":
            self._begin_entity()
        else:
            self._sampling = self.sample.begin(entity)

    def _set_open(self, opened: list[tuple[bytes, Entity]]) -> None:
        self._open = opened
        self._boundaries = tuple([boundary for boundary, _ in opened])
        self._needle = b"\n--" + _common_beginning(self._boundaries)

    def _finish_until(self, owner: Entity | None) -> None:
        """End the bodies of the open entities within *owner* here."""
        here = self._base + self._pos
        self._sampling = False
        entity: Entity | None = self._entity
        while entity is not None and entity is not owner:
            entity.body_octets = here - entity.body_at
            entity.lines = self._lines - entity.lines
            entity = entity.parent

    def _advance(self, to: int) -> None:
        """Take the octets up to *to*: count their lines, and keep them where they are needed."""
        start = self._pos
        if to <= start:
            return
        self._lines += self._data.count(b"\n", start, to)
        if self._in_header:
            piece = self._data[start : min(to, start + self._may_keep)]
            self._kept.append(piece)
            self._may_keep -= len(piece)
            self._may_keep_all -= len(piece)
        elif self._sampling:
            self._sampling = self.sample.add(self._data, start, to)
        self._pos = to

    def _suspend(self) -> None:
        """Take all but a line that is not decided yet, and forget what was taken."""
        data = self._data
        hold = len(data)
        at = data.rfind(b"\n", max(self._from, hold - _LINE - 4))
        if at >= 0 and _UNDECIDED(data, at) is not None:
            hold = at - 1 if at and data[at - 1] == 13 else at
        elif data.endswith(b"\r"):
            hold -= 1
        self._advance(hold)
        keep = min(hold, self._pos)
        self._data = data[keep:]
        self._base += keep
        self._pos -= keep
        # Before the place where the last step left off nothing is looked at again.
        self._from = max(0, self._from - keep)
