"""The header fields that a message's shape is made from, read from any header there is.

``message.header`` refuses what two programs might read differently; here a message is already stored, and the
user is to see as much of it as can be made out. So a line that is no field is passed over.

Standards: RFC 5322 2.2 (fields, folding), 4.5 (white space before the colon), RFC 2045 3 (Content- fields).
Invariants: nothing is raised; values have no CR, LF or NUL; the cost is linear.
Limits: the caller limits the length of the header.
"""

from __future__ import annotations

import re
from typing import Final

ENVELOPE_FIELDS: Final = frozenset(
    (
        b"date",
        b"subject",
        b"from",
        b"sender",
        b"reply-to",
        b"to",
        b"cc",
        b"bcc",
        b"in-reply-to",
        b"message-id",
    )
)
CONTENT_FIELDS: Final = frozenset(
    b"content-" + name
    for name in (
        b"type",
        b"transfer-encoding",
        b"disposition",
        b"id",
        b"description",
        b"md5",
        b"language",
        b"location",
    )
)
_WANTED: Final = ENVELOPE_FIELDS | CONTENT_FIELDS | {b"references"}

_FOLDS = re.compile(rb"\n[ \t]++").sub

Fields = dict[bytes, list[bytes]]
"""Values by name in lower case, in the order of the header."""


def read_fields(header: bytes) -> Fields:
    """Return the fields of *header* that matter here, unfolded.

    :param header: a header block with CRLF or LF line ends, with or without its empty line.
    :returns: for each name the values in their order, without white space before them. A fold is one space,
        a bare CR too, and a NUL is U+FFFD, as IMAP cannot send it.

    Spec: RFC 5322 2.2.3
    """
    text = header.replace(b"\r\n", b"\n")
    if b"\n " in text or b"\n\t" in text:
        text = _FOLDS(b" ", text)
    if b"\r" in text or b"\0" in text:
        text = text.replace(b"\r", b" ").replace(b"\0", b"\xef\xbf\xbd")
    fields: Fields = {}
    for line in text.split(b"\n"):
        name, colon, value = line.partition(b":")
        key = name.rstrip(b" \t").lower()
        if key in _WANTED and colon:
            fields.setdefault(key, []).append(value.lstrip(b" \t"))
    return fields


def first(fields: Fields, name: bytes) -> bytes | None:
    """Return the first value of that name: of two Content-Type fields the first is the one that counts."""
    values = fields.get(name)
    return values[0] if values else None


def last(fields: Fields, name: bytes) -> bytes | None:
    """Return the last value of that name: of two Subject fields, Dovecot's ENVELOPE has the last."""
    values = fields.get(name)
    return values[-1] if values else None
