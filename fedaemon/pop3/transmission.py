"""A message on its way to a client: its lines with dots doubled, and the end.

A message may hold a bare LF (it came with BINARYMIME, or was imported). Many clients take that for a line end,
so LF "." CR LF in a message would end the transmission for them, and its sender could go on with replies of
his own making. Therefore what is sent has CR LF at each line end.

Standards: RFC 1939 3 (byte-stuffing), 7 (TOP), 11 (lines end with CR LF).
Invariants: the terminating line appears once, at the end; the octets sent do not depend on how the content
comes in pieces.
Limits: constant memory: one piece at a time.
Known gaps: a message with bare LFs is longer on the wire, by one octet for each, than LIST says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_BARE_LF = re.compile(rb"(?<!\r)\n")
_END_OF_HEADER = b"\r\n\r\n"


def transmit(chunks: Iterable[bytes], body_lines: int | None = None) -> Iterator[bytes]:
    """Yield a message as it goes on the wire after its +OK, with the terminating line.

    :param chunks: the message's octets, in pieces that are not empty.
    :param body_lines: how many lines of the body follow the header; None: the whole message.

    Spec: RFC 1939 3, 7
    """
    pieces = _with_line_ends(chunks)
    if body_lines is not None:
        pieces = _top(pieces, body_lines)
    last = b"\n"
    ended_with_cr = False
    for piece in pieces:
        stuffed = piece.replace(b"\n.", b"\n..")
        if last == b"\n" and piece.startswith(b"."):
            stuffed = b"." + stuffed
        last = piece[-1:]
        ended_with_cr = last == b"\r"
        yield stuffed
    if last == b"\n":
        yield b".\r\n"
    else:
        # A CR at the very end becomes the line end's.
        yield b"\n.\r\n" if ended_with_cr else b"\r\n.\r\n"


def _with_line_ends(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *chunks* with CR LF in place of each bare LF."""
    after_cr = False
    for chunk in chunks:
        piece = chunk
        if chunk.count(b"\n") != chunk.count(b"\r\n"):
            half = after_cr and chunk.startswith(b"\n")
            piece = b"\n" + _BARE_LF.sub(b"\r\n", chunk[1:]) if half else _BARE_LF.sub(b"\r\n", chunk)
        after_cr = chunk.endswith(b"\r")
        yield piece


def _top(pieces: Iterator[bytes], body_lines: int) -> Iterator[bytes]:
    """Yield the header, the empty line behind it, and *body_lines* lines."""
    # As if a line had ended before the message: its first line may be the empty one.
    tail = b"\r\n"
    in_header = True
    left = body_lines
    for piece in pieces:
        position = 0
        if in_header:
            before = tail + piece
            end = before.find(_END_OF_HEADER)
            if end < 0:
                tail = before[-3:]
                yield piece
                continue
            in_header = False
            position = end + len(_END_OF_HEADER) - len(tail)
        lines = piece.count(b"\n", position)
        if lines < left:
            left -= lines
            yield piece
            continue
        for _ in range(left):
            position = piece.index(b"\n", position) + 1
        yield piece[:position]
        return
