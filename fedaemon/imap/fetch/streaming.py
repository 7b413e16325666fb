"""Answers larger than a block, sent as they are read: a client that takes its time costs a block or two.

Standards: RFC 9051 4.3, RFC 3516 4.3.
Invariants: the octets of a literal are as many as it said, or the session ends; no snapshot outlives a block.
Limits: BLOCK octets are read at a time, TURN_BLOCKS are decoded in a turn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from fedaemon.errors import MailError
from fedaemon.imap.fetch.cuts import Cut, Decoded, Fields, Octets, window
from fedaemon.imap.fetch.gathering import Pieces
from fedaemon.imap.operations import Read, Room, Turn
from fedaemon.imap.session import BLOCK, Session
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Snapshot

TURN_BLOCKS: Final = 8
"""Half a megabyte of base64 takes some 2 ms."""

T = TypeVar("T")


class Broken(StoreError):
    """An answer that has begun cannot be ended: nothing that follows could be understood."""


async def say(session: Session, data: bytes) -> None:
    """Say *data*, a block at a time, waiting for room whenever a block is queued."""
    for at in range(0, len(data), BLOCK):
        session.say(data if len(data) <= BLOCK else data[at : at + BLOCK])
        if session.queued >= BLOCK:
            await Room()


async def stream(session: Session, pieces: Pieces) -> None:
    """Say an answer whose first piece is its head; raises Broken when it cannot be ended."""
    start, *bodies = pieces
    assert isinstance(start, bytes)
    try:
        await say(session, start)
        for place, body in enumerate(bodies):
            if place:
                await say(session, b" ")
            await (say(session, body) if isinstance(body, bytes) else _cut(session, body))
    except MailError as error:
        raise Broken(f"a message could not be read to its end: {error.text}") from error
    await say(session, b")\r\n")


async def _cut(session: Session, cut: Cut) -> None:
    match cut:
        case Fields():
            await say(session, await Read(partial(_without_snapshot, cut.whole)))
        case Octets():
            await say(session, cut.head())
            for at in range(cut.start, cut.stop, BLOCK):
                await say(session, await Read(partial(_without_snapshot, partial(cut.read, at))))
        case Decoded():
            await _decoded(session, cut)


async def _decoded(session: Session, cut: Decoded) -> None:
    """Say a part without its transfer encoding; it is read twice, since its size comes first."""
    wanted = None if cut.partial is None else sum(cut.partial)
    size = await _each_piece(cut, None, wanted)
    first, last = window(0, size, cut.partial)
    await say(session, cut.head(last - first))
    if not cut.only_size:
        await _each_piece(cut, _Window(session, first, last), last)


class _Window:
    """Says what lies between two octets of the pieces that it is given; *position* is where they are."""

    __slots__ = ("first", "last", "position", "session")

    def __init__(self, session: Session, first: int, last: int) -> None:
        self.session = session
        self.first = first
        self.last = last
        self.position = 0

    async def take(self, piece: bytes) -> None:
        start = max(self.first - self.position, 0)
        stop = max(self.last - self.position, 0)
        self.position += len(piece)
        await say(self.session, piece[start:stop])


async def _each_piece(cut: Decoded, window: _Window | None, enough: int | None) -> int:
    """Decode *cut* into *window*, up to *enough* octets; return how many there were, at most a piece more."""
    decoder = cut.decoder()
    size = 0
    for count, at in enumerate(range(cut.start, cut.stop, BLOCK), 1):
        piece = decoder.feed(await Read(partial(_without_snapshot, partial(cut.read, at))))
        size += len(piece)
        if window is not None:
            await window.take(piece)
        if enough is not None and size >= enough:
            return size
        if count % TURN_BLOCKS == 0:
            await Turn()
    rest = decoder.finish()
    if window is not None:
        await window.take(rest)
    return size + len(rest)


def _without_snapshot(function: Callable[[], T], snapshot: Snapshot) -> T:
    """Read a content, which needs no snapshot, where the store is read."""
    return function()
