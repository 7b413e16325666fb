"""Searching what is in the messages themselves: from the blocks of ``text_index``, or by reading them.

Theory of operation: blocks that are there are scanned; messages in none are read. Where many are in none, and most
of these are in question, all of them are read and what comes of it is kept: the first search of a mailbox makes
its index, a search of the last week does not, and the few newest messages are read each time.

Standards: RFC 9051 6.4.4 (BODY, HEADER, TEXT).
Limits: MIN_BLOCK; of a message ``search_text.MAX_SEARCHED_OCTETS``.
Known gaps: a message is read in one turn, 40 ms for each megabyte of text.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import compress
from typing import Final

from fedaemon.imap.operations import Read, WriteLater
from fedaemon.imap.search.columns import opened, shape_of
from fedaemon.imap.search.pace import Pace
from fedaemon.imap.search.piece import Piece
from fedaemon.imap.search.plan import Inside
from fedaemon.imap.session import Session
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import text_index
from fedaemon.mailbox.text_index import BLOCK_OCTETS, LONG, LONG_OCTETS, TextBlock, TextKind, one_line
from fedaemon.message.mime.search_text import read_search_text
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content

MIN_BLOCK: Final = 32
"""Messages that are worth a block; fewer are read in some 5 ms."""


async def matching(session: Session, node: Inside, piece: Piece, wanted: bytes, pace: Pace) -> bytes:
    """Return the mask of those rows in the mask *wanted* that have what *node* looks for.

    Spec: RFC 9051 6.4.4
    """
    found: set[int] = set()
    known: set[int] = set()
    long: set[int] = set()
    first_uid, last_uid = piece.uids[0], piece.uids[-1]
    mailbox_id = session.need_selected.id
    read = partial(
        text_index.blocks, mailbox_id=mailbox_id, kind=node.kind, first_uid=first_uid, last_uid=last_uid
    )
    for block in await Read(read):
        try:
            text = block.text()
        except StoreError:
            # Its messages are read, and the block made anew.
            continue
        known.update(block.uids)
        found.update([block.uids[row] for row in rows_with(node, text)])
        long.update([block.uids[row] for row in c.containing(text, LONG)])
        await pace.step()
    missing = [uid for uid in compress(piece.uids, piece.shown) if uid not in known]
    asked = set(compress(piece.uids, wanted))
    to_read = [uid for uid in missing if uid in asked]
    if len(missing) >= MIN_BLOCK and 2 * len(to_read) >= len(missing):
        found |= await _indexed(session, node, missing, pace)
        to_read = []
    for uid in (*to_read, *sorted(long & asked)):
        if _has(node, await _text(session, node.kind, uid)):
            found.add(uid)
        await pace.step()
    return bytes([uid in found and uid in asked for uid in piece.uids])


def rows_with(node: Inside, text: bytes) -> Iterator[int]:
    """Yield the rows of *text* that have what *node* looks for."""
    if not node.field:
        yield from c.containing(text, node.needle)
        return
    lines: list[bytes] = []
    for row in c.containing(text, node.needle or node.field):
        lines = lines or text.split(b"\n")
        fields = [line for line in lines[row].split(b"\v") if line.startswith(node.field)]
        if any(line.find(node.needle, len(node.field)) >= 0 for line in fields):
            yield row


def _has(node: Inside, text: bytes | None) -> bool:
    """Tell whether one text has what *node* looks for; None has nothing."""
    return text is not None and next(rows_with(node, text), None) is not None


async def _indexed(session: Session, node: Inside, uids: list[int], pace: Pace) -> set[int]:
    """Read messages and keep their texts; return the UIDs of those that have what *node* looks for."""
    found: set[int] = set()
    gathered: dict[int, bytes] = {}
    octets = 0
    for uid in uids:
        text = await _text(session, node.kind, uid)
        if text is not None:
            if _has(node, text):
                found.add(uid)
            gathered[uid] = text if len(text) <= LONG_OCTETS else LONG
            octets += len(gathered[uid])
        await pace.step()
        if gathered and (octets > BLOCK_OCTETS or uid == uids[-1]):
            block = TextBlock.of(list(gathered), list(gathered.values()))
            mailbox_id = session.need_selected.id
            await WriteLater(partial(text_index.put, mailbox_id=mailbox_id, kind=node.kind, block=block))
            gathered, octets = {}, 0
            await pace.step()
    return found


async def _text(session: Session, kind: TextKind, uid: int) -> bytes | None:
    """Return what is searched of a message as one row; None when it is purged, or cannot be read."""
    found = await Read(partial(opened, session.need_selected.id, session.settings.blobs, uid))
    if found is None:
        return None
    shape = await shape_of(*found)
    if shape is None:
        return None
    mail, content = found
    parts = shape.parts()
    try:
        if kind is TextKind.HEADERS:
            # The whole message without its parts is its header.
            return one_line(read_search_text(partial(_octets, content), parts[:1], len(mail.prefix)).header)
        return one_line(read_search_text(partial(_octets, content), parts, len(mail.prefix)).body)
    except StoreError:
        return None


def _octets(content: Content, start: int, stop: int) -> bytes:
    return b"".join(content.chunks(start=start, stop=stop))
