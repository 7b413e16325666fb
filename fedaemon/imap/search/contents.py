"""Searching what is in the messages themselves: from the blocks of ``text_index``, or by reading them.

Theory of operation: blocks that are there are scanned; messages in none are read. Where many are in none, and most
of these are in question, all of them are read and what comes of it is kept: so it is until the upkeep has come to
a chunk, and for the tail. A search of the last week keeps nothing, and the few newest messages are read each time.

Standards: RFC 9051 6.4.4 (BODY, HEADER, TEXT).
Limits: MIN_BLOCK; of a message ``search_text.MAX_SEARCHED_OCTETS``, A_TURN_OCTETS of it in a turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import compress
from typing import Final, NamedTuple

from fedaemon.imap.operations import InThread, Read, WriteLater
from fedaemon.imap.search.columns import opened, shape_of
from fedaemon.imap.search.pace import Pace
from fedaemon.imap.search.piece import Piece
from fedaemon.imap.search.plan import Inside
from fedaemon.imap.session import Session
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import text_index
from fedaemon.mailbox.text_index import BODY_BEGINS, LONG, TextBlock, TextKind, TextRows
from fedaemon.store.errors import StoreError

MIN_BLOCK: Final = 32
"""Messages that are worth a block; fewer are read in some 5 ms."""


class _Scanned(NamedTuple):
    """What the blocks say of a piece.

    :ivar found: messages that have what is looked for.
    :ivar long: messages whose texts are not kept.
    :ivar missing: messages in no block.
    :ivar runs: those of them that could be in new ones, with no block among those of a run.
    """

    found: set[int]
    long: set[int]
    missing: list[int]
    runs: list[list[int]]


A_TURN_OCTETS: Final = 64 * 1024
"""Contents that are decoded where they are: 1.5 ms; larger ones in a thread."""


async def matching(session: Session, node: Inside, piece: Piece, wanted: bytes, pace: Pace) -> bytes:
    """Return the mask of those rows in the mask *wanted* that have what *node* looks for.

    Spec: RFC 9051 6.4.4
    """
    asked = set(compress(piece.uids, wanted))
    found, long, missing, runs = await _scanned(session, node, piece, asked, pace)
    alone = asked
    together = {uid for run in runs for uid in run}
    if len(together) >= MIN_BLOCK and 2 * len(together & asked) >= len(together):
        alone = asked - together
        for run in runs:
            found |= await _indexed(session, node, run, pace)
    for uid in (*[uid for uid in missing if uid in alone], *sorted(long & asked)):
        if _has(node, await _text(session, node.kind, uid)):
            found.add(uid)
        await pace.step()
    return bytes([uid in found and uid in asked for uid in piece.uids])


async def _scanned(session: Session, node: Inside, piece: Piece, asked: set[int], pace: Pace) -> _Scanned:
    """Scan the blocks of *piece* that have messages which are *asked* for."""
    found: set[int] = set()
    known: set[int] = set()
    long: set[int] = set()
    sound: list[TextBlock] = []
    read = partial(
        text_index.blocks,
        mailbox_id=session.need_selected.id,
        kind=node.kind,
        first_uid=piece.uids[0],
        last_uid=piece.uids[-1],
    )
    for block in await Read(read):
        try:
            text = block.text() if not asked.isdisjoint(block.uids) else b""
        except StoreError:
            # Its messages are read, and the block made anew.
            continue
        sound.append(block)
        known.update(block.uids)
        found.update([block.uids[row] for row in rows_with(node, text)])
        long.update([block.uids[row] for row in c.containing(text, LONG)])
        await pace.step()
    missing = [uid for uid in compress(piece.uids, piece.shown) if uid not in known]
    return _Scanned(found, long, missing, text_index.outside(missing, sound))


def rows_with(node: Inside, text: bytes) -> Iterator[int]:
    """Yield the rows of *text* that have what *node* looks for."""
    if node.no_headers:
        yield from _in_bodies(text, node.needle)
        return
    if not node.field:
        yield from c.containing(text, node.needle)
        return
    lines: list[bytes] = []
    for row in c.containing(text, node.needle or node.field):
        lines = lines or text.split(b"\n")
        fields = [line for line in lines[row].split(b"\v") if line.startswith(node.field)]
        if any(line.find(node.needle, len(node.field)) >= 0 for line in fields):
            yield row


def _in_bodies(text: bytes, needle: bytes) -> Iterator[int]:
    """Yield the rows that have *needle* behind the headers of parts. Spec: RFC 9051 6.4.4 (BODY)"""
    row = seen = 0
    position = text.find(needle)
    while position >= 0:
        if text.rfind(BODY_BEGINS, 0, position) > text.rfind(b"\n", 0, position):
            row += text.count(b"\n", seen, position)
            yield row
            seen = text.find(b"\n", position)
            position = seen
        else:
            # Among the headers: the body of this row is next.
            position = text.find(BODY_BEGINS, position)
        if position < 0:
            return
        position = text.find(needle, position)


def _has(node: Inside, text: bytes | None) -> bool:
    """Tell whether one text has what *node* looks for; None has nothing."""
    return text is not None and next(rows_with(node, text), None) is not None


async def _indexed(session: Session, node: Inside, uids: list[int], pace: Pace) -> set[int]:
    """Read messages and keep their texts; return the UIDs of those that have what *node* looks for."""
    found: set[int] = set()
    rows = TextRows()
    for uid in uids:
        text = await _text(session, node.kind, uid)
        if text is not None:
            if _has(node, text):
                found.add(uid)
            rows.add(uid, text)
        await pace.step()
        if rows.full:
            await _keep(session, node.kind, rows)
            await pace.step()
    await _keep(session, node.kind, rows)
    return found


async def _keep(session: Session, kind: TextKind, rows: TextRows) -> None:
    """Make a block of *rows*, if there are some."""
    uids, texts = rows.take()
    if uids:
        block = TextBlock.of(uids, texts)
        await WriteLater(partial(text_index.put, mailbox_id=session.need_selected.id, kind=kind, block=block))


async def _text(session: Session, kind: TextKind, uid: int) -> bytes | None:
    """Return what is searched of a message as one row; None when it is purged, or cannot be read."""
    found = await Read(partial(opened, session.need_selected.id, session.settings.blobs, uid))
    if found is None:
        return None
    shape = await shape_of(*found)
    if shape is None:
        return None
    mail, content = found
    read = partial(text_index.read_texts, content, shape.parts(), len(mail.prefix), (kind,))
    try:
        if kind is TextKind.HEADERS or content.size <= A_TURN_OCTETS:
            return read()[kind]
        texts: dict[TextKind, bytes] = await InThread(read)
    except StoreError:
        return None
    return texts[kind]
