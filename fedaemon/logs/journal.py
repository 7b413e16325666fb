"""An observer that gives events to the systemd journal, each field as a field of the journal's own.

``journalctl -t fedaemon FEDAEMON_ID=ID`` then finds all that concerns a message, and ``-p warning`` what went
wrong.

Theory of operation: one datagram an event, in the journal's native protocol: ``NAME=value``, or for a value of
several lines the name, the length and the value. When the journal does not take it, the line goes to standard
error with the priority in front, which the service manager understands.

Invariants: never waits and never raises: a line that nobody takes is lost.
Limits: ``MAX_TEXT`` characters of each field; ``MAX_FALLBACK`` octets on standard error, which a pipe that has any
room takes at once.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer

from fedaemon.logs.record import RESERVED, is_written, level_of, record, whole

SOCKET: Final = "/run/systemd/journal/socket"
IDENTIFIER: Final = "fedaemon"
FACILITY: Final = 2
"""Mail, as syslog counts."""
PRIORITIES: Final = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}
MAX_FALLBACK: Final = 4096
STANDARD_ERROR: Final = 2


def journald() -> JournalObserver:
    """Return an observer that writes to the journal of this system."""
    return JournalObserver(SOCKET)


@implementer(ILogObserver)
class JournalObserver:
    """Writes to the journal at the socket *path*, or else to the file descriptor *fallback*."""

    def __init__(self, path: str, fallback: int = STANDARD_ERROR) -> None:
        self._path = path
        self._fallback = fallback
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def __call__(self, event: LogEvent) -> None:
        """Write *event*."""
        if not is_written(event):
            return
        try:
            self._socket.sendto(datagram(event), self._path)
        except OSError:
            self._fall_back(event)

    def _fall_back(self, event: LogEvent) -> None:
        prefix = f"<{PRIORITIES[level_of(event).name]}>"
        # Each line would be an entry of its own: the first one says what happened.
        octets = (prefix + whole(event).partition("\n")[0]).encode("utf-8", "replace")
        with suppress(OSError, ValueError):
            poll = select.poll()
            poll.register(self._fallback, select.POLLOUT)
            if poll.poll(0):
                os.write(self._fallback, octets[: MAX_FALLBACK - 1] + b"\n")


def datagram(event: LogEvent) -> bytes:
    """Return *event* in the journal's native protocol."""
    return b"".join([_field(name, value) for name, value in _fields(event)])


def _fields(event: LogEvent) -> Iterator[tuple[str, str]]:
    made = record(event)
    yield "MESSAGE", whole(event)
    yield "PRIORITY", str(PRIORITIES[made["level"]])
    yield "SYSLOG_IDENTIFIER", IDENTIFIER
    yield "SYSLOG_FACILITY", str(FACILITY)
    yield "FEDAEMON_EVENT", made["event"]
    for name, value in made.items():
        # The traceback is in the message, and what other libraries say is nothing else.
        if name not in RESERVED or (name == "text" and "event" in event):
            yield f"FEDAEMON_{name.upper()}", str(value)


def _field(name: str, value: str) -> bytes:
    octets = value.encode("utf-8", "replace")
    if b"\n" not in octets:
        return b"%s=%s\n" % (name.encode("ascii"), octets)
    return b"%s\n%s%s\n" % (name.encode("ascii"), struct.pack("<Q", len(octets)), octets)
