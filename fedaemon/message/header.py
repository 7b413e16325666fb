"""The header block of a message, kept byte for byte, with the few edits that a mail server makes.

What was sent is what arrives: a field that nobody edits leaves exactly as it came, with its case, its folding
and its 8-bit octets. The reader is strict, because a line that two programs read differently is how a second
From field is hidden: every line is a field or the continuation of one, or the block is refused.

Standards: RFC 5322 2.2 (fields, folding), 3.6.8 (names), 4.5 (obsolete white space before the colon), 2.1.1
(78 octets), RFC 6532 3 (UTF-8 values).
Invariants: ``Header.parse(data).to_bytes() == data``; the fields written here have no bare CR or LF, no NUL
and no other control octet, and are whole lines, whatever the value; parsing raises only BadSyntax.
Limits: octets and fields of a block are the caller's settings.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from fedaemon.errors import BadSyntax

FOLD_OCTETS: Final = 78
"""Lines that we write are folded to this many octets where there is white space (RFC 5322 2.1.1)."""

MAX_LINE_OCTETS: Final = 998
"""No line that we write is longer (RFC 5322 2.1.1): what has no white space to fold at is given some."""

# One match is one whole field. It begins only at the beginning of a line, so that a long line of garbage is
# looked at once and not from each of its octets.
_FIELDS = re.compile(
    rb"^(([!-9;-~]++)[ \t]*+:[^\r\n\0]*+\r\n(?:[ \t][^\r\n\0]*+\r\n)*+)", re.MULTILINE
).findall
_NAME = re.compile(r"[!-9;-~]+").fullmatch
_UNCLEAN = re.compile(r"[\x00-\x1f\x7f]|  |^ | $").search
_BLANKS = re.compile(r"[\x00-\x20\x7f]+").sub


class Field:
    """One header field.

    :ivar name: the name as written, without white space before the colon.
    :ivar raw: all its octets, with the CRLF of each of its lines.
    :ivar key: the name in lower case, for comparing.
    """

    __slots__ = ("key", "name", "raw")

    def __init__(self, name: bytes, raw: bytes) -> None:
        self.name = name
        self.raw = raw
        self.key = name.lower()

    @property
    def value(self) -> bytes:
        """The value unfolded, without white space around it."""
        return self.raw[self.raw.index(b":") + 1 :].replace(b"\r\n", b"").strip(b" \t")

    def __repr__(self) -> str:
        return f"Field({self.raw!r})"


class Header:
    """A header block: an ordered list of fields."""

    __slots__ = ("fields",)

    def __init__(self, fields: list[Field]) -> None:
        self.fields = fields

    @classmethod
    def parse(cls, data: bytes, *, max_octets: int, max_fields: int) -> Header:
        """Read a header block.

        :param data: the block up to and with the CRLF of its last field, without the empty line; may be
            empty.
        :param max_octets: longest block that is read.
        :param max_fields: most fields that are read.
        :raises BadSyntax: 554 5.6.0, naming the first line that is no field and no continuation; 552 5.3.4
            above a limit.

        Spec: RFC 5322 2.2, 4.5
        """
        if len(data) > max_octets:
            raise BadSyntax(f"the header is longer than {max_octets} octets", code=552, status="5.3.4")
        found = _FIELDS(data)
        if len(found) > max_fields:
            raise BadSyntax(f"the header has more than {max_fields} fields", code=552, status="5.3.4")
        fields = [Field(name, raw) for raw, name in found]
        # The matches stand in order and do not overlap: as long as the block together, they left nothing out.
        if sum([len(field.raw) for field in fields]) != len(data):
            _refuse(data, fields)
        return cls(fields)

    def get_all(self, name: bytes) -> list[Field]:
        """Return the fields of that *name*, in any case, in their order."""
        key = name.lower()
        return [field for field in self.fields if field.key == key]

    def remove(self, *names: bytes) -> None:
        """Take out all fields of these *names*, in any case."""
        keys = {name.lower() for name in names}
        self.fields = [field for field in self.fields if field.key not in keys]

    def prepend(self, name: str, value: str) -> None:
        """Put a field before all others; see ``write_field`` for what becomes of *value*."""
        self.fields.insert(0, Field(name.encode("ascii"), write_field(name, value)))

    def append(self, name: str, value: str) -> None:
        """Put a field after all others; see ``write_field`` for what becomes of *value*."""
        self.fields.append(Field(name.encode("ascii"), write_field(name, value)))

    def replace(self, name: str, value: str) -> None:
        """Put a field in the place of the first of that *name*, or last if there is none; drop the others."""
        new = Field(name.encode("ascii"), write_field(name, value))
        keys = [field.key for field in self.fields]
        place = keys.index(new.key) if new.key in keys else len(keys)
        self.remove(new.name)
        self.fields.insert(place, new)

    def to_bytes(self) -> bytes:
        """Return the block, each line with its CRLF, without the empty line that ends it."""
        return b"".join([field.raw for field in self.fields])


def _refuse(data: bytes, fields: list[Field]) -> NoReturn:
    """Raise the error that names the first line which belongs to no field."""
    offset = 0
    for field in fields:
        if not data.startswith(field.raw, offset):
            break
        offset += len(field.raw)
    number = data.count(b"\n", 0, offset) + 1
    end = data.find(b"\n", offset)
    line = data[offset : end + 1] if end >= 0 else data[offset:]
    if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
        fault = "does not end with CRLF, or has a bare CR"
    elif b"\0" in line:
        fault = "has a NUL"
    elif line[:1] in (b" ", b"\t"):
        fault = "begins with white space, but there is no field before it to continue"
    else:
        fault = "is neither a field (Name: value) nor the continuation of one"
    raise BadSyntax(f"line {number} of the header {fault}", code=554, status="5.6.0")


def write_field(name: str, value: str) -> bytes:
    """Return a header field as octets, folded to FOLD_OCTETS where its value has white space.

    :param name: the field's name, from our own code.
    :param value: any text. Runs of white space and control characters become one space, so that nothing in it
        can begin a line of its own; non-ASCII text is written as UTF-8 (use ``encoded_word.encode`` where
        that must not be).
    :raises ValueError: for a name that is none; that is a bug of the caller.

    Spec: RFC 5322 2.2.3, RFC 6532 3.2
    """
    if _NAME(name) is None:
        raise ValueError(f"not a field name: {name!r}")
    if _UNCLEAN(value) is not None:
        value = _BLANKS(" ", value).strip(" ")
    line = f"{name}: {value}".encode("utf-8", "replace")
    if len(line) <= FOLD_OCTETS:
        return line + b"\r\n"
    if len(line) > MAX_LINE_OCTETS:
        line = f"{name}: {_with_breaks(value)}".encode("utf-8", "replace")
    lines = []
    start, first = (
        0,
        len(name) + 2,
    )  # no fold straight after the colon: some programs see an empty value there
    while len(line) - start > FOLD_OCTETS:
        fold = line.rfind(b" ", first, start + FOLD_OCTETS + 1)
        if fold < 0:
            fold = line.find(b" ", first)
            if fold < 0:
                break
        lines.append(line[start:fold])
        start, first = fold, fold + 1
    lines.append(line[start:])
    return b"\r\n".join(lines) + b"\r\n"


def _with_breaks(value: str) -> str:
    """Return *value* with spaces in words that are too long for one line."""
    width = 900 if value.isascii() else 225  # up to four octets each
    words = value.split(" ")
    return " ".join([word[at : at + width] for word in words for at in range(0, len(word), width)])


def end_of_header(data: bytes, start: int = 0) -> int:
    """Return the offset of the body: what follows the first empty line.

    :param data: a message from its beginning, or as much of it as has come.
    :param start: how much of *data* an earlier call has looked at without finding the end.
    :returns: the offset, or -1 when the empty line has not come yet.

    Spec: RFC 5322 2.1
    """
    if data.startswith(b"\r\n"):
        return 2
    # The four octets may have begun in what was looked at before.
    found = data.find(b"\r\n\r\n", max(0, start - 3))
    return found + 4 if found >= 0 else -1


def split_message(data: bytes) -> tuple[bytes, bytes]:
    """Return the header block and the body of a whole message; the empty line between them is in neither.

    Without an empty line all of it is header.
    """
    end = end_of_header(data)
    return (data[: end - 2], data[end:]) if end >= 0 else (data, b"")
