"""The one reader of what IMAP clients send: octets in, events out.

A command is lines joined by literals. The reader finds the ends of lines, keeps small literals beside the text,
and hands the contents of messages (APPEND, REPLACE) up in blocks as they come. No octet is looked at twice: the
text of a command is put together here, with NUL for each literal kept, and parsed once when it is complete.

A refused command is passed over to its end as its client sees it: the octets of a literal that does not wait
follow in any case and are swallowed; at a literal that waits the client reads the refusal instead of a
continuation request, and the command ends there.

Standards: RFC 9051 2.2.1, 4.3, RFC 3501 4.3, RFC 7888 (LITERAL+, LITERAL-), RFC 3516 4.4 (literal8).
Invariants: the events do not depend on how the input is split; nothing is raised; a line ends with CR LF only, and
one with a bare CR, a bare LF or NUL is never run; one command gets one answer.
Limits: ``limits.ReaderLimits``; MAX_TAG_OCTETS.
Known gaps: NUL in a streamed literal that is no literal8 is left to the caller.
"""

from __future__ import annotations

from typing import Final

from fedaemon.imap.events import (
    Abuse,
    Command,
    CommandEnd,
    Continuation,
    Event,
    Line,
    Literal,
    LiteralBlock,
    LiteralEnd,
    MessageLiteral,
    Refusal,
    Skipped,
)
from fedaemon.imap.head import MAX_TAG_OCTETS, is_clean, is_message, read_name, read_tag
from fedaemon.imap.limits import BEFORE_LOGIN, LITERAL_COST, MAX_SIZE, ReaderLimits
from fedaemon.imap.reader_state import State
from fedaemon.imap.skip import Progress, Skip, announced


class Reader:
    """Reads commands; ``receive`` octets, then take events with ``next_event`` until it returns None.

    ``limits`` may be changed between commands, after a login for instance.
    """

    __slots__ = (
        "_buffer",
        "_kept",
        "_literals",
        "_name",
        "_reason",
        "_remaining",
        "_scanned",
        "_silent",
        "_skip",
        "_state",
        "_streamed",
        "_tag",
        "_text",
        "_uid",
        "_waiting",
        "limits",
    )

    def __init__(self, limits: ReaderLimits = BEFORE_LOGIN) -> None:
        self.limits = limits
        self._buffer = bytearray()
        self._state = State.LINE
        self._begin()

    def _begin(self) -> None:
        """Forget the last command."""
        self._tag: bytes | None = None
        self._name = b""
        self._uid = False
        self._text = bytearray()
        self._literals: list[Literal] = []
        self._kept = 0
        self._remaining = 0
        self._scanned = 0
        self._streamed = False
        self._waiting = False
        self._reason: str | None = None
        self._silent = False
        self._skip = Skip(0)
        if self._state is not State.DEAD:
            self._state = State.LINE

    def receive(self, data: bytes) -> None:
        """Take *data* from the connection; the caller bounds how much it gives before it takes events."""
        if self._state is not State.DEAD:
            self._buffer += data

    def held(self) -> int:
        """Return how many octets are kept, read or not."""
        return len(self._buffer) + self._kept

    def pending(self) -> int:
        """Return how many octets wait to be read: STARTTLS refuses to go on when there are any."""
        return len(self._buffer)

    def take_pending(self) -> bytes:
        """Give back what was not read: after COMPRESS it is to be inflated first."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def expect_line(self) -> None:
        """Read the next line as it is: an answer to a challenge, or DONE. Called between commands."""
        if self._state is State.LINE:
            self._state = State.RAW

    def accept(self) -> None:
        """Take the content that ``MessageLiteral`` announced."""
        if self._state is State.ASKING:
            self._state = State.STREAM

    def refuse(self) -> None:
        """Pass over the rest of a command with contents; ``Skipped`` tells when it is over.

        Allowed from its first ``MessageLiteral`` to its ``CommandEnd``.
        """
        if self._streamed and self._state is not State.SKIP:
            ended = self._waiting and self._state is State.ASKING
            self._skip = Skip(self.limits.skipped_octets, literal=self._remaining, ended=ended)
            self._reason = None
            self._state = State.SKIP

    def next_event(self) -> Event | None:
        """Return what comes next, or None when more octets are needed, a question is open, or after Abuse."""
        while True:
            step = _STEPS.get(self._state)
            if step is None:
                return None
            event, more = step(self)
            if event is not None or not more:
                return event

    def _find_line(self) -> int:
        """Return where the LF of the line in the buffer stands, -1 without one, -2 for a line too long."""
        limit = self.limits.line_octets
        found = self._buffer.find(b"\n", self._scanned, limit)
        if found >= 0:
            return found
        self._scanned = len(self._buffer)
        return -2 if self._scanned >= limit else -1

    def _take(self, size: int) -> bytes:
        with memoryview(self._buffer) as view:
            data = bytes(view[:size])
        del self._buffer[:size]
        return data

    def _read_raw(self) -> tuple[Event | None, bool]:
        end = self._find_line()
        if end == -1:
            return None, False
        line = self._take(end + 1) if end >= 0 else b""
        if not is_clean(line):
            return self._fault("the line is too long or has a bare CR, a bare LF or NUL", line, raw=True)
        self._begin()
        return Line(line[:-2]), True

    def _read_line(self) -> tuple[Event | None, bool]:
        end = self._find_line()
        if end == -1:
            return None, False
        first = self._tag is None
        if end == -2:
            start = bytes(self._buffer[: min(MAX_TAG_OCTETS + 1, self.limits.line_octets)])
            if first and b" " in start:
                self._tag = read_tag(start)
            return self._fault("the line is too long", b"")
        self._scanned = 0
        line = self._take(end + 1)
        if not is_clean(line):
            if first:
                self._tag = read_tag(line.rstrip(b"\r\n"))
            return self._fault("a bare CR, a bare LF or NUL; lines end with CR LF", line)
        return self._complete(line[:-2], first=first)

    def _complete(self, line: bytes, *, first: bool) -> tuple[Event | None, bool]:
        """Go on after a whole line: to its literal, or to the end of the command."""
        literal = announced(line)
        text = line[: len(line) - len(literal[0])] if literal is not None else line
        if first:
            self._tag = read_tag(line)
            name = read_name(line, len(self._tag) + 1) if self._tag is not None else None
            if name is None:
                reason = "a command begins with a tag" if self._tag is None else "no name of a command"
                return self._fault(reason, line + b"\r\n")
            self._uid = name[1] is not None
            self._name = name[2].upper()
            text = text[name.end() :]
        self._text += text
        self._kept += len(text)
        if self._kept > self.limits.command_octets:
            return self._fault("the command is too long", line + b"\r\n")
        if literal is None:
            command = self._part()
            event = CommandEnd(command) if self._streamed else command
            self._begin()
            return event, True
        return self._literal(line, int(literal[2]), binary=bool(literal[1]), waiting=not literal[3])

    def _part(self) -> Command:
        """Return what was read of the command since its last content."""
        command = Command(self._tag or b"", self._name, self._uid, bytes(self._text), tuple(self._literals))
        self._text = bytearray()
        self._literals = []
        self._kept = 0
        return command

    def _literal(self, line: bytes, size: int, *, binary: bool, waiting: bool) -> tuple[Event | None, bool]:
        """Decide what becomes of the literal that *line* announces."""
        limits = self.limits
        if size > MAX_SIZE or (not waiting and size > limits.direct_octets):
            return self._fault("the literal is too large", line + b"\r\n")
        self._remaining = size
        self._waiting = waiting
        if limits.messages and is_message(self._name, self._text, later=self._streamed):
            self._state = State.ASKING
            self._streamed = True
            return MessageLiteral(self._part(), size, binary, waiting), True
        if size > limits.literal_octets or self._kept + size + LITERAL_COST > limits.command_octets:
            return self._fault("the literal is too large", line + b"\r\n")
        self._state = State.KEPT
        self._literals.append(Literal(b"", binary))
        return (Continuation() if waiting else None), True

    def _keep(self) -> tuple[Event | None, bool]:
        if len(self._buffer) < self._remaining:
            return None, False
        data = self._take(self._remaining)
        self._literals[-1] = Literal(data, self._literals[-1].binary)
        self._text += b"\0"
        self._kept += len(data) + LITERAL_COST
        self._remaining = 0
        self._state = State.LINE
        return None, True

    def _stream(self) -> tuple[Event | None, bool]:
        if not self._remaining:
            self._state = State.LINE
            return LiteralEnd(), True
        if not self._buffer:
            return None, False
        data = self._take(min(self._remaining, len(self._buffer)))
        self._remaining -= len(data)
        return LiteralBlock(data), True

    def _fault(self, reason: str, line: bytes, *, raw: bool = False) -> tuple[Event | None, bool]:
        """Refuse the command of which *line* was taken from the buffer, and pass over what is left of it.

        A bare LF is answered at once, so that a person who types into nc is told why.
        """
        self._text = bytearray()
        self._literals = []
        self._kept = 0
        self._skip = Skip(self.limits.skipped_octets, line, raw=raw)
        self._state = State.SKIP
        self._silent = line.endswith(b"\n") and not line.endswith(b"\r\n")
        self._reason = reason
        return (Refusal(self._tag, reason) if self._silent else None), True

    def _pass_over(self) -> tuple[Event | None, bool]:
        progress = self._skip.run(self._buffer)
        if progress is Progress.MORE:
            return None, False
        event: Event | None = None
        if progress is Progress.ENDLESS:
            event = Abuse("a refused command without an end")
            self._state = State.DEAD
            self._buffer.clear()
        elif self._reason is None:
            event = Skipped(self._tag or b"")
        elif not self._silent:
            event = Refusal(self._tag, self._reason)
        self._begin()
        return event, True


_STEPS: Final = {
    State.LINE: Reader._read_line,
    State.KEPT: Reader._keep,
    State.STREAM: Reader._stream,
    State.SKIP: Reader._pass_over,
    State.RAW: Reader._read_raw,
}
