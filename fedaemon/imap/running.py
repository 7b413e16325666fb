"""A command that is under way."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

from fedaemon.imap.operations import LineOrNotice, NextLine, NextPiece, Operation, Receive, Write
from fedaemon.imap.session import Done

OF_CLIENT: Final = (NextLine, LineOrNotice, NextPiece, Receive)
"""What the engine answers itself, with what the client sends."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What a command waits for."""

    operation: Operation[Any]


class Running:
    """A command that is under way.

    :ivar tag: None for what the server says by itself.
    :ivar overlaps: whether the next command may begin while it waits for its commit.
    :ivar said: what it has to say, until all before it are answered.
    :ivar request: what it waits for; *told* whether the caller knows.
    :ivar answered: its tagged answer is given, though it goes on (STARTTLS).
    :ivar unread: contents of it are still to come.
    :ivar ended: all of it is said.
    """

    __slots__ = ("_coroutine", "answered", "ended", "overlaps", "request", "said", "tag", "told", "unread")

    def __init__(
        self,
        tag: bytes | None,
        coroutine: Coroutine[Any, Any, Done],
        *,
        overlaps: bool = False,
        unread: bool = False,
    ) -> None:
        self.tag = tag
        self.overlaps = overlaps
        self.said: list[bytes] = []
        self.request: Request | None = None
        self.told = False
        self.answered = False
        self.unread = unread
        self.ended = False
        self._coroutine = coroutine

    def step(self, value: object, error: Exception | None = None) -> Done | Exception | None:
        """Run on to what it waits for next (None), or to its end: what came of it."""
        self.request = None
        try:
            send, throw = self._coroutine.send, self._coroutine.throw
            operation = throw(error) if error is not None else send(value)
        except StopIteration as stop:
            done: Done = stop.value
            return done
        except Exception as raised:  # noqa: BLE001, RUF100 - the engine answers, and tells of defects
            return raised
        self.request = Request(operation)
        self.told = False
        return None

    def close(self) -> None:
        """Run no more."""
        self.request = None
        self._coroutine.close()

    @property
    def asks_client(self) -> bool:
        """Whether it waits for what the client sends."""
        return self.request is not None and isinstance(self.request.operation, OF_CLIENT)

    @property
    def idles(self) -> bool:
        """Whether it waits for news."""
        return self.request is not None and isinstance(self.request.operation, LineOrNotice)

    @property
    def only_commits(self) -> bool:
        """Whether others may overlap it: all that is left is to become durable, or to be answered."""
        if self.ended:
            return True
        waiting = self.request is not None and isinstance(self.request.operation, Write)
        return self.overlaps and waiting and not self.unread
