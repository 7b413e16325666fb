"""Reads mailboxes for commands: rows in slices, contents, and what a listing shows of a header.

Invariants: a view lasts for one slice, so that the store can reuse its pages while a command runs for long.
Limits: SLICE rows in one view; HEADER_OCTETS of a header are looked at; MAX_SHOWN characters are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Final

from fedaemon.ctl.command import Context
from fedaemon.errors import BadSyntax, MailError
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import reading
from fedaemon.mailbox.rows import Mail, Row
from fedaemon.message.encoded_word import decode
from fedaemon.message.header import Header, end_of_header
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content, Snapshot

SLICE: Final = 500
HEADER_OCTETS: Final = 262_144
MAX_SHOWN: Final = 200


def rows(context: Context, mailbox_id: str, table: bytes = c.LIVE) -> Iterator[Row]:
    """Yield the rows whose system flags *table* makes 1, by UID: the live ones, unless told otherwise."""
    first = 1
    while True:
        found = context.view(partial(_slice, mailbox_id, first, table))
        yield from found
        if len(found) < SLICE:
            return
        first = found[-1].uid + 1


def _slice(mailbox_id: str, first: int, table: bytes, snapshot: Snapshot) -> list[Row]:
    found = reading.rows(snapshot, mailbox_id, ((first, reading.UID_END - 1),), table)
    return list(islice(found, SLICE))


def message(context: Context, mailbox_id: str, uid: int) -> tuple[Mail, Content]:
    """Return a message and its octets, also of an expunged one.

    :raises StoreError: when it is purged, or its content is missing.
    """

    def look(snapshot: Snapshot) -> tuple[Mail, Content]:
        mail = reading.mail(snapshot, mailbox_id, uid)
        if mail is None:
            raise StoreError(f"UID {uid} is gone")
        return mail, reading.content(snapshot, context.engine.blobs, mail)

    return context.view(look)


def header_octets(content: Content) -> bytes:
    """Return the header of a message with its empty line; without one, what there is of it."""
    start = bytearray()
    for chunk in content.chunks():
        start += chunk
        end = end_of_header(bytes(start))
        if end >= 0:
            return bytes(start[:end])
        if len(start) >= HEADER_OCTETS:
            break
    return bytes(start)


def shown_header(context: Context, mailbox_id: str, uid: int) -> dict[str, str]:
    """Return From and Subject as a listing shows them; of an unreadable message, why it is so."""
    try:
        octets = header_octets(message(context, mailbox_id, uid)[1])
    except MailError as error:
        # One unreadable message must not hide the others.
        return {"from": "", "subject": f"({error.text})"}
    block = octets.removesuffix(b"\r\n") if octets.endswith(b"\r\n\r\n") else octets
    try:
        header = Header.parse(block, max_octets=2 * HEADER_OCTETS, max_fields=HEADER_OCTETS)
    except BadSyntax:
        return {"from": "", "subject": ""}
    shown = {}
    for name in ("from", "subject"):
        values = [decode(field.value) for field in header.get_all(name.encode())[:1]] or [""]
        shown[name] = "".join(c if c.isprintable() else " " for c in values[0])[:MAX_SHOWN]
    return shown
