"""Reading what a server answers: replies of one or several lines, within limits.

It exists apart from the engine so that hostile replies meet one small reader that knows nothing else.

Standards: RFC 5321 4.2 (replies), 4.5.3.1.5 (512 octets a line; real servers write longer ones), RFC 2034 and
RFC 3463 (enhanced status codes), RFC 6531 3.5 (UTF-8 in reply texts).
Invariants: nothing but ``BadSyntax`` is raised for any input; a reply text shown to people holds no line ends
and no control characters. A line may end in a bare LF: what a reply says is never content, so nothing can be
smuggled in it.
Limits: ``MAX_LINE_OCTETS`` a line, ``MAX_LINES`` a reply, ``MAX_TEXT`` characters kept of a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fedaemon.errors import BadSyntax

MAX_LINE_OCTETS = 2048
"""Four times what RFC 5321 grants a reply line: some servers write long explanations with links."""

MAX_LINES = 100
"""The longest EHLO replies seen in the field have about 30 lines."""

MAX_TEXT = 512
"""Characters of a text that outcomes and reports carry on."""

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_STATUS = re.compile(rb"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[ \t]+|$)")


def printable(text: str) -> str:
    """Return *text* on one line, at most ``MAX_TEXT`` characters, with nothing that would not print."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return text.strip()[:MAX_TEXT]


@dataclass(frozen=True, slots=True)
class RemoteReply:
    """One reply: its code (200..599), and its lines without code, separator and line end."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def status(self) -> str:
        """The enhanced status code of the first line, "" when there is none or it contradicts the code.

        Spec: RFC 2034 4
        """
        match = _STATUS.match(self.lines[0])
        if match is None or match[1][0] - 0x30 != self.code // 100:
            return ""
        return match[1].decode("ascii")

    @property
    def text(self) -> str:
        """The text of all lines, without the codes, joined to one printable line."""
        lines = self.lines
        if self.status:
            lines = tuple(_STATUS.sub(b"", line, count=1) if _STATUS.match(line) else line for line in lines)
        return printable(" ".join(line.decode("utf-8", "replace") for line in lines))


class ReplyReader:
    """Takes bytes in any pieces and gives replies."""

    __slots__ = ("_buffer", "_code", "_lines")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._code = 0

    @property
    def has_more(self) -> bool:
        """True when bytes wait that no reply given so far has used."""
        return bool(self._buffer) or bool(self._lines)

    def receive(self, data: bytes) -> None:
        """Add *data* to what is to be read."""
        self._buffer += data

    def next_reply(self) -> RemoteReply | None:
        """Return the next whole reply, or None when more bytes are needed.

        Raises ``BadSyntax`` for anything that is not a reply, or beyond a limit; the reader is of no use
        after it.

        Spec: RFC 5321 4.2
        """
        buffer = self._buffer
        while True:
            end = buffer.find(b"\n", 0, MAX_LINE_OCTETS)
            if end < 0:
                if len(buffer) >= MAX_LINE_OCTETS:
                    raise BadSyntax(f"the host sent a reply line longer than {MAX_LINE_OCTETS} octets")
                return None
            line = bytes(buffer[:end]).rstrip(b"\r")
            del buffer[: end + 1]
            if self._add(line):
                reply = RemoteReply(self._code, tuple(self._lines))
                self._lines.clear()
                return reply

    def _add(self, line: bytes) -> bool:
        """Take one line; True when it is the last of its reply."""
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadSyntax(
                printable(f"the host sent no SMTP reply but: {line[:200].decode('utf-8', 'replace')}")
            )
        code, separator, text = match.groups()
        if self._lines and int(code) // 100 != self._code // 100:
            raise BadSyntax("the host sent a reply whose lines contradict each other")
        # Within a class the last line decides, as other clients have it.
        self._code = int(code)
        self._lines.append(text or b"")
        if len(self._lines) > MAX_LINES:
            raise BadSyntax(f"the host sent a reply of more than {MAX_LINES} lines")
        return bool(separator != b"-")
