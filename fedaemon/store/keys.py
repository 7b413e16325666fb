"""Keys as octets that sort the way the tuples do.

LMDB orders keys by their octets, so the order of everything the store scans is made here. A part is a tag
followed by: for an integer 8 octets big-endian; for text (as UTF-8) or bytes the octets themselves, with 00
written as 00 FF, ended by 00.

Invariants: decode_key(encode_key(k)) == k; for keys whose parts have equal types place by place,
encode_key(a) < encode_key(b) exactly when a < b (between types: integer < bytes < text); encode_key(a) is a
prefix of encode_key(a + rest), and every stored key from encode_key(a) up to prefix_end(encode_key(a)) begins
with the parts of a, because after a whole part comes a tag and no tag is FF.
Limits: integers 0..2**64-1. KEY_OCTETS in all: LMDB takes 511, one of which is left for prefix_end.
"""

from __future__ import annotations

import struct

from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Key

KEY_OCTETS = 510
INTEGER_MAX = 2**64 - 1

_INTEGER, _BYTES, _TEXT = 1, 2, 3
_pack_integer = struct.Struct(">BQ").pack
_unpack_integer = struct.Struct(">Q").unpack_from


def encode_key(key: Key) -> bytes:
    """Return *key* as octets; raises StoreError when a part cannot be encoded or the whole is too long."""
    pieces = []
    for part in key:
        if isinstance(part, str):
            pieces.append(_text_part(part))
        elif type(part) is int:
            try:
                pieces.append(_pack_integer(_INTEGER, part))
            except struct.error as error:
                raise StoreError(f"the integer {part!r} in a key is not in 0..2**64-1") from error
        else:
            pieces.append(_other(part))
    data = b"".join(pieces)
    if len(data) > KEY_OCTETS:
        raise StoreError(f"a key of {len(data)} octets is longer than {KEY_OCTETS}: {data[:60]!r}…")
    return data


def _text_part(part: str) -> bytes:
    """Encode text with tag and end."""
    if part.isascii() and "\0" not in part:
        return b"\x03%b\x00" % part.encode()
    return b"\x03%b\x00" % _text(part).replace(b"\x00", b"\x00\xff")


def _text(part: object) -> bytes:
    """Encode text outside ASCII; lone surrogates have no place in the order and are refused."""
    try:
        return str.encode(part)  # type: ignore[arg-type]
    except UnicodeEncodeError as error:
        raise StoreError(f"the text {part!r} in a key is not Unicode") from error


def _other(part: object) -> bytes:
    """Encode a part that is bytes."""
    if isinstance(part, bytes):
        return b"\x02%b\x00" % part.replace(b"\x00", b"\x00\xff")
    raise StoreError(f"a key holds text, bytes and integers, not {type(part).__name__}")


def decode_key(data: bytes) -> Key:
    """Return the tuple that *data* was made from; raises StoreError when it is no key of ours."""
    parts: list[str | int | bytes] = []
    position, end = 0, len(data)
    while position < end:
        tag = data[position]
        position += 1
        if tag == _INTEGER:
            if end - position < 8:
                raise StoreError(f"a damaged key: {data!r}")
            parts.append(_unpack_integer(data, position)[0])
            position += 8
        elif tag in (_BYTES, _TEXT):
            stop = data.find(b"\x00", position)
            escaped = False
            while stop >= 0 and data[stop + 1 : stop + 2] == b"\xff":
                escaped = True
                stop = data.find(b"\x00", stop + 2)
            if stop < 0:
                raise StoreError(f"a damaged key: {data!r}")
            piece = data[position:stop]
            if escaped:
                piece = piece.replace(b"\x00\xff", b"\x00")
            parts.append(piece if tag == _BYTES else _decode_text(piece))
            position = stop + 1
        else:
            raise StoreError(f"a damaged key: {data!r}")
    return tuple(parts)


def _decode_text(piece: bytes) -> str:
    try:
        return piece.decode()
    except UnicodeDecodeError as error:
        raise StoreError(f"a damaged key part: {piece!r}") from error


def prefix_end(data: bytes) -> bytes:
    """Return the end (exclusive) of the keys that begin with the parts encoded in *data*.

    Not the successor of *data*: ("a",) and ("a\\x00b",) share octets, and only the second continues with FF.
    """
    return data + b"\xff"
