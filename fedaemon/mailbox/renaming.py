"""Giving mailboxes other names, and moving what is in INBOX away, which keeps its name.

Standards: RFC 9051 6.3.6 (RENAME), RFC 6851 3.3 (a message is in one of two mailboxes, never in none).
Invariants: a mailbox keeps its id, and so all that is kept under it; a subscription stays with the old name.
Limits: MOVE_SLICE messages a transaction.
Known gaps: a mailbox and all below it get their names in one transaction, however many there are.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from fedaemon.mailbox import adding, changing, reading
from fedaemon.mailbox.changing import GoneKind
from fedaemon.mailbox.mailboxes import (
    INBOX,
    SEPARATOR,
    CannotChange,
    MailboxExists,
    NoSuchMailbox,
    canonical_name,
    check_name,
    find,
    make_parents,
    save,
    some,
)
from fedaemon.store.interface import Transaction
from fedaemon.store.spaces import MAILBOX

if TYPE_CHECKING:
    from fedaemon.store.blobs import Blobs

MOVE_SLICE: Final = 500
"""As COPY: each message costs a reference of its content, which is a record to be read and written."""

_BEHIND_SEPARATOR: Final = chr(ord(SEPARATOR) + 1)


def rename(transaction: Transaction, account: str, old: str, new: str, now_ms: int) -> None:
    """Give a mailbox, and those below it, another name.

    :raises NoSuchMailbox: there is none of the old name.
    :raises MailboxExists: one of the new names is taken.
    :raises CannotChange: INBOX, whose messages are to be moved instead; a name that cannot be one, or is below
        the old one.

    Spec: RFC 9051 6.3.6
    """
    old, new = canonical_name(old), canonical_name(new)
    if old == INBOX:
        raise CannotChange("INBOX keeps its name; move its messages")
    below = some(transaction, account, old + SEPARATOR, old + _BEHIND_SEPARATOR)
    found = find(transaction, account, old)
    if found is None and not below:
        raise NoSuchMailbox(f"there is no mailbox {old}")
    check_name(new)
    if new.startswith(old + SEPARATOR):
        raise CannotChange(f"{new} is below {old}")
    moved = [(each, new + each.name[len(old) :]) for each in ([found] if found else []) + below]
    for _, name in moved:
        check_name(name)
        if transaction.get((MAILBOX, account, name)) is not None:
            raise MailboxExists(f"there is a mailbox {name} already")
    for each, name in moved:
        transaction.delete((MAILBOX, account, each.name))
        save(transaction, replace(each, name=name))
    make_parents(transaction, account, new, now_ms)


def move_slice(
    transaction: Transaction, blobs: Blobs, source_id: str, target_id: str, last: int, now_ms: int
) -> bool:
    """Move the first messages up to the UID *last* to another mailbox; False when there were none.

    :raises MailboxGone: one of the two was deleted.
    :raises StoreError: a content is missing.

    Spec: RFC 9051 6.3.6
    """
    rows = islice(reading.rows(transaction, source_id, ((1, last),)), MOVE_SLICE)
    ranges = changing.runs([row.uid for row in rows])
    if not ranges:
        return False
    adding.copy(transaction, blobs, source_id, target_id, ranges, now_ms // 1000)
    changing.expunge(
        transaction, source_id, ranges, now_ms, only_deleted=False, kind=GoneKind.MOVED, keep_s=0
    )
    return True
