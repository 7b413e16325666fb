"""The shape of a message as it is stored: sections behind their lengths, each read when it is asked for.

A list of messages reads thousands of records and of each one section or two; FETCH sends three as they stand.
So no section costs anything but the one that is wanted, and only the parts, which only BODY[n] needs, are JSON;
their beginning says where the message's header ends, and is read without.

Standards: RFC 9051 7.5.2 (ENVELOPE, BODYSTRUCTURE), RFC 5256 3 (the texts).
Invariants: what ``pack`` was given comes back; a damaged record raises ValueError and nothing else, at the
latest when the damaged section is read.
Limits: 2**32 - 1 octets a section, what a length can say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import accumulate, pairwise
from struct import Struct, calcsize, error, pack, unpack_from
from typing import Any, Final

from fedaemon.message.mime.part import Part

TEXT_COLUMNS: Final = 12
"""Texts of a message: SUBJECT, FROM, TO, CC, BCC, BASE_SUBJECT, SORT_FROM, SORT_TO, SORT_CC, DISPLAY_FROM,
DISPLAY_TO, THREADING."""

_LENGTHS: Final = Struct("<8I")
_NOT_MADE: Final = bytes(_LENGTHS.size)
_TEXT_LENGTHS: Final = f"<B{TEXT_COLUMNS}I"
_PART_TYPES: Final = (list, int, int, int, int, int, int, str, str, str, str)
_PLAIN_PART_TYPES: Final = (list, int, int, int, int, int, type(None), str, str, str, str)
_ROOT = re.compile(rb"\[\[\[\],0,([0-9]{1,10}),\1,").match
"""The beginning of the parts: section, place and length of the message's header; behind it the body begins."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class StoredShape:
    """Gives the sections of a record, which ``Shape.to_record`` made.

    :param record: what is stored; it may go on behind the shape.
    :param at: where in it the shape begins, in octets.
    :raises ValueError: when the lengths are not there, or say more than there is.
    """

    __slots__ = ("_places", "_record")

    def __init__(self, record: bytes, at: int = 0) -> None:
        try:
            lengths = _LENGTHS.unpack_from(record, at)
        except error as problem:
            raise ValueError("no shape: its lengths are cut off") from problem
        self._record = record
        self._places = tuple(accumulate(lengths, initial=at + _LENGTHS.size))
        if self._places[-1] > len(record):
            raise ValueError("a shape that is cut off")

    @property
    def envelope(self) -> bytes:
        """ENVELOPE as FETCH sends it."""
        return self._section(0)

    @property
    def body(self) -> bytes:
        """BODY as FETCH sends it."""
        return self._section(1)

    @property
    def bodystructure(self) -> bytes:
        """BODYSTRUCTURE as FETCH sends it."""
        return self._section(2)

    @property
    def preview(self) -> str:
        """The first words; ValueError when they are damaged."""
        return self._section(3).decode()

    def texts(self) -> tuple[bytes, ...]:
        """Return the texts of the TEXT_COLUMNS, UTF-8.

        :raises ValueError: when they are damaged.
        """
        section = self._section(4)
        try:
            count, *lengths = unpack_from(_TEXT_LENGTHS, section)
        except error as problem:
            raise ValueError("texts that are cut off") from problem
        places = list(accumulate(lengths, initial=calcsize(_TEXT_LENGTHS)))
        if count != TEXT_COLUMNS or places[-1] != len(section):
            raise ValueError("damaged texts of a shape")
        return tuple([section[start:end] for start, end in pairwise(places)])

    @property
    def header_octets(self) -> int:
        """How long the message's header is, with its empty line; ValueError when the parts are damaged.

        Most of what is asked of parts is the header or the text of the message, and need not pay for JSON.
        """
        root = _ROOT(self._record, self._places[5], self._places[6])
        if root is None:
            raise ValueError("damaged parts of a shape")
        return int(root[1])

    def parts(self) -> tuple[Part, ...]:
        """Return the whole message first, then its parts in their order.

        :raises ValueError: when they are damaged.
        """
        try:
            return tuple([_read_part(values) for values in json.loads(self._section(5))])
        except (TypeError, RecursionError) as problem:
            raise ValueError("damaged parts of a shape") from problem

    def _section(self, index: int) -> bytes:
        return self._record[self._places[index] : self._places[index + 1]]


def is_made(record: bytes, at: int = 0) -> bool:
    """Return whether a shape stands in *record* at *at*, or only its place is kept, all lengths 0.

    :raises ValueError: when not even the lengths are there.
    """
    lengths = record[at : at + _LENGTHS.size]
    if len(lengths) < _LENGTHS.size:
        raise ValueError("no shape: its lengths are cut off")
    return lengths != _NOT_MADE


def pack_sections(
    answers: Sequence[bytes], preview: str, texts: Sequence[str], parts: Sequence[Part]
) -> bytes:
    """Return the record of a shape.

    :param answers: ENVELOPE, BODY and BODYSTRUCTURE.
    :param texts: the TEXT_COLUMNS in their order.
    """
    columns = [text.encode() for text in texts]
    lengths = pack(_TEXT_LENGTHS, len(columns), *map(len, columns))
    rows = [[getattr(part, name) for name in Part.__slots__] for part in parts]
    sections = (*answers, preview.encode(), b"".join([lengths, *columns]), _encode(rows).encode(), b"", b"")
    return b"".join([_LENGTHS.pack(*map(len, sections)), *sections])


def _read_part(values: Any) -> Part:
    if tuple(map(type, values)) not in (_PART_TYPES, _PLAIN_PART_TYPES):
        raise ValueError("a damaged part of a shape")
    return Part(tuple(values[0]), *values[1:])
