"""Feeding the command reader."""

from __future__ import annotations

from collections.abc import Iterable

from fedaemon.imap.events import Command, Event, LiteralBlock, MessageLiteral
from fedaemon.imap.limits import AFTER_LOGIN, ReaderLimits
from fedaemon.imap.reader import Reader


def drive(
    pieces: Iterable[bytes], limits: ReaderLimits = AFTER_LOGIN, *, refuse: bool = False
) -> list[Event]:
    """Return the events of a reader that accepts, or refuses, all contents; blocks of a content are joined."""
    reader = Reader(limits)
    events: list[Event] = []
    for piece in pieces:
        reader.receive(piece)
        while (event := reader.next_event()) is not None:
            if isinstance(event, LiteralBlock) and events and isinstance(events[-1], LiteralBlock):
                event = LiteralBlock(events.pop().data + event.data)  # type: ignore[union-attr]
            events.append(event)
            if isinstance(event, MessageLiteral):
                reader.refuse() if refuse else reader.accept()
    return events


def command(line: bytes, limits: ReaderLimits = AFTER_LOGIN) -> Command:
    """Return the one command of *line*, which has no CR LF at its end."""
    commands = [event for event in drive([b"t " + line + b"\r\n"], limits) if isinstance(event, Command)]
    assert len(commands) == 1
    return commands[0]
