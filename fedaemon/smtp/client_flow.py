"""A message's content on its way from the store through the engine to the network, as fast as that takes it.

Invariants: what is in memory is bounded by a few blocks and what the network had not taken when it said so;
content that cannot be read to its end never gets an end of data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from fedaemon.smtp.client_blocks import BLOCK_OCTETS, Blocks, BrokenContent
from fedaemon.smtp.client_engine import ClientEngine
from fedaemon.store.interface import Content


@implementer(IPushProducer)
class ContentFlow:
    """The content of one message after the other on one connection.

    :param flush: writes what the engine has to send.
    :param resume: called when the network has caught up.
    """

    __slots__ = (
        "_blocks",
        "_engine",
        "_flush",
        "_paused",
        "_registered",
        "_resume",
        "_unflushed",
        "transport",
    )

    def __init__(self, engine: ClientEngine, flush: Callable[[], None], resume: Callable[[], None]) -> None:
        self.transport: Any = None  # ITransport, set when there is one
        self._engine = engine
        self._flush = flush
        self._resume = resume
        self._blocks: Blocks | None = None
        self._unflushed = 0
        self._registered = False
        self._paused = False

    def begin(self, content: Content) -> None:
        """*content* is what the transaction that begins is about."""
        self._blocks = Blocks(content)
        self._unflushed = 0
        self._paused = False

    def move(self) -> None:
        """Send content until the network is behind, or a reply is needed, or it is all sent."""
        engine = self._engine
        while self._blocks is not None and engine.content_wanted and not self._paused:
            try:
                block = self._blocks.next()
            except BrokenContent as problem:
                self.stop()
                engine.abandon_content(str(problem))
                return
            if not block:
                engine.end_content()
                self.stop()
                return
            engine.send_content(block)
            self._unflushed += len(block)
            # Small blocks leave together, and what ends the message in the same write as the last one.
            if self._unflushed >= BLOCK_OCTETS and self._blocks.left:
                self._unflushed = 0
                self._register()
                self._flush()

    def stop(self) -> None:
        """There is nothing more to send."""
        self._blocks = None
        if self._registered:
            self._registered = False
            self.transport.unregisterProducer()

    def lost(self) -> None:
        """The connection is gone, and its producer with it."""
        self._registered = False

    def pauseProducing(self) -> None:  # noqa: N802
        """The network is behind (IPushProducer)."""
        self._paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        """The network took what it was given (IPushProducer)."""
        self._paused = False
        self._resume()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is going away; ``connectionLost`` follows (IPushProducer)."""
        self._paused = True

    def _register(self) -> None:
        if not self._registered:
            self._registered = True
            self.transport.registerProducer(self, True)
