"""Reading a message's content block by block, and making sure that it is all there.

Invariants: the end is reported only when the blocks add up to the size that the store declares; a file that
was cut short is never taken for a message.
"""

from __future__ import annotations

from typing import Final

from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.store.interface import Content

BLOCK_OCTETS: Final = 65536

log = Logger()


class BrokenContent(Exception):
    """The content cannot be had; the text says why."""


class Blocks:
    """The content of one message; one use."""

    __slots__ = ("_blocks", "left")

    def __init__(self, content: Content) -> None:
        self._blocks = content.chunks(BLOCK_OCTETS)
        self.left = content.size
        """Octets that are still to come."""

    def next(self) -> bytes:
        """Return the next block, b"" at the end.

        Raises ``BrokenContent`` when it cannot be read or does not have its size.
        """
        try:
            block = next(self._blocks, b"")
        except (OSError, MailError):
            log.failure("a message could not be read while it was being sent", event="content-unreadable")
            raise BrokenContent("the message could not be read from the store") from None
        self.left -= len(block)
        if self.left < 0 or (self.left > 0 and not block):
            log.error("a message in the store does not have its size", event="content-damaged")
            raise BrokenContent("the message in the store is damaged: it does not have its size")
        return block
