"""From format 2 to 3: a mail's record is split into what is listed and what is read, and counters are kept.

Written out in plain keys and structs, because it must go on meaning what format 3 was, whatever the mailboxes'
own code becomes.

Invariants: no content is read: shapes are made afterwards, in the background; mail of a mailbox that is gone is
converted too, so that it can still be found.
Limits: all in one transaction; a million mails take some ten seconds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import randbits
from typing import Any, Final

from fedaemon.store import records
from fedaemon.store.interface import Transaction

SLICE: Final = 1000
"""Mails in memory at a time."""
MAX_KEYWORDS: Final = 128
_BEHIND_IDS: Final = "~"
"""Sorts behind every id, which are digits and capital letters."""

_STATE = struct.Struct("<BIIQQQIIIIQQIQIH")
_ROW = struct.Struct("<BIQBIqqqhQQB")
_USAGE = struct.Struct("<BQQ")
_PREFIX = struct.Struct("<I")
_NO_DATE: Final = -(2**63)
_NO_SHAPE: Final = bytes(32)

_SEEN, _DELETED = 1, 8
_FLAGS: Final = {"\\Seen": _SEEN, "\\Answered": 2, "\\Flagged": 4, "\\Deleted": _DELETED, "\\Draft": 16}


@dataclass(slots=True)
class _Box:
    """A mailbox and what is counted of it."""

    owner: str
    uidvalidity: int
    uidnext: int
    words: list[str] = field(default_factory=list)
    exists: int = 0
    unseen: int = 0
    deleted: int = 0
    octets: int = 0
    deleted_octets: int = 0


def migrate(transaction: Transaction) -> None:
    """Convert mailboxes and mails, and count what they are."""
    boxes = dict(_convert_box(transaction, key, value) for key, value in list(transaction.scan(("mailbox",))))
    start: tuple[Any, ...] = ("mail", "")
    while True:
        mails = list(transaction.scan(start, ("mail", _BEHIND_IDS), limit=SLICE))
        for key, value in mails:
            _convert_mail(transaction, boxes.get(str(key[1])), key, records.decode(value))
        if len(mails) < SLICE:
            break
        _, mailbox_id, uid = mails[-1][0]
        start = ("mail", mailbox_id, int(uid) + 1)
    for mailbox_id, box in boxes.items():
        _write_state(transaction, mailbox_id, box)
    _write_usage(transaction, "account", boxes, lambda owner: owner)
    _write_usage(transaction, "domain", boxes, lambda owner: owner.rpartition("@")[2])


def _convert_box(transaction: Transaction, key: Any, value: bytes) -> tuple[str, _Box]:
    record = records.decode(value)
    box = _Box(str(key[1]), record["uidvalidity"], record["uidnext"])
    # UIDVALIDITY was the second in which the mailbox was made.
    made = {"id": record["id"], "special_use": None, "created_ms": box.uidvalidity * 1000}
    transaction.put(key, records.encode(made))
    transaction.put(("subscription", *key[1:]), b"")
    return record["id"], box


def _convert_mail(transaction: Transaction, box: _Box | None, key: Any, record: dict[str, Any]) -> None:
    blob, prefix = record["blob"].encode("ascii"), record.get("prefix", "").encode()
    head = bytes((2, len(blob))) + blob + _PREFIX.pack(len(prefix))
    transaction.put(key, head + prefix + _NO_SHAPE)
    if box is None:
        return
    flags, planes = _read_flags(box, record.get("flags", ()))
    size, internal_s = record["size"], record["internal_ms"] // 1000
    facts = (size, internal_s, internal_s, _NO_DATE, 0, randbits(62) + 1, 0)
    _, mailbox_id, uid = key
    row = _ROW.pack(1, uid, 1, flags, *facts, len(planes)) + planes
    transaction.put(("mailrow", mailbox_id, uid), row)
    box.exists += 1
    box.octets += size
    box.unseen += not flags & _SEEN
    if flags & _DELETED:
        box.deleted += 1
        box.deleted_octets += size


def _read_flags(box: _Box, names: list[str]) -> tuple[int, bytes]:
    """Return the octet of system flags, and those of keywords."""
    flags = keywords = 0
    for name in names:
        if name in _FLAGS:
            flags |= _FLAGS[name]
            continue
        known = [word.lower() for word in box.words]
        if name.lower() not in known and len(known) < MAX_KEYWORDS:
            box.words.append(name)
            known.append(name.lower())
        if name.lower() in known:
            keywords |= 1 << known.index(name.lower())
    return flags, keywords.to_bytes((keywords.bit_length() + 7) // 8, "little")


def _write_state(transaction: Transaction, mailbox_id: str, box: _Box) -> None:
    owner = box.owner.encode()
    if box.words:
        transaction.put(("mailwords", mailbox_id), records.encode({"names": box.words}))
    state = _STATE.pack(
        1,
        box.uidvalidity,
        box.uidnext,
        1,  # highest mod-sequence, and from where on what was expunged is known
        1,
        0,
        box.exists,
        box.unseen,
        box.deleted,
        1,  # the first that is \Recent: no session of IMAP has been told of any
        box.octets,
        box.deleted_octets,
        0,
        0,
        box.exists,
        len(owner),
    )
    transaction.put(("mailstate", mailbox_id), state + owner)


def _write_usage(
    transaction: Transaction, kind: str, boxes: dict[str, _Box], name_of: Callable[[str], str]
) -> None:
    usage: dict[str, tuple[int, int]] = {}
    for box in boxes.values():
        octets, messages = usage.get(name_of(box.owner), (0, 0))
        usage[name_of(box.owner)] = (octets + box.octets, messages + box.exists)
    for name, (octets, messages) in usage.items():
        transaction.put(("usage", kind, name), _USAGE.pack(1, octets, messages))
