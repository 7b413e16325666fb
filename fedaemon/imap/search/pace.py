"""How long a search goes on before others have their turn, and what the client is told meanwhile.

Standards: RFC 9585 4 (INPROGRESS).
Limits: SLICE_S of work in a turn of the reactor, and what one step takes.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from fedaemon.imap import writer
from fedaemon.imap.operations import Room, Turn
from fedaemon.imap.session import Session

SLICE_S: Final = 0.004
TELL_S: Final = 10.0
"""How often a client is told how far it is: before it takes us for dead, and no more than it can show."""


class Pace:
    """The pace of one command.

    :param tag: the command's.
    :param total: messages to be looked at; ``done`` says how many of them were.
    """

    def __init__(self, session: Session, tag: bytes, total: int) -> None:
        self.done = 0
        self._session = session
        self._tag = tag
        self._total = total
        self._until = monotonic() + SLICE_S
        self._tell_at = session.settings.clock() + TELL_S

    async def step(self) -> None:
        """A step of the work is done: give way when it has gone on for long enough."""
        if monotonic() < self._until:
            return
        now = self._session.settings.clock()
        if now >= self._tell_at:
            self._tell_at = now + TELL_S
            self._session.say(self._progress())
            await Room()
        else:
            await Turn()
        self._until = monotonic() + SLICE_S

    def _progress(self) -> bytes:
        # A tag may have the "]" that ends a response code.
        tag = b"NIL" if b"]" in self._tag else writer.string(self._tag)
        code = b"INPROGRESS (%b %d %d)" % (tag, self.done, self._total)
        return writer.status(None, b"OK", "Still searching", code)
