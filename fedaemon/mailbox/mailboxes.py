"""The mailboxes of an account by name: making, renaming, deleting, subscriptions.

Standards: RFC 9051 2.3.1.1 (UIDVALIDITY), 5.1 (names), 6.3.4 to 6.3.8, RFC 6154 2 (special uses).
Invariants: a mailbox keeps its id for life, also under another name; an account never gets the same UIDVALIDITY
twice; a subscription is to a name and outlives the mailbox; a deleted mailbox keeps its contents until they
are purged.
Limits: MAX_MAILBOXES of an account; MAX_NAME_OCTETS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fedaemon.errors import Refused
from fedaemon.mailbox import state as states
from fedaemon.mailbox.state import State
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import MAILBOX, MAILBOX_LOST, MAILBOX_STATE, SUBSCRIPTION, UIDVALIDITY

INBOX: Final = "INBOX"
SEPARATOR: Final = "/"
STANDARD: Final = {
    INBOX: None,
    "Drafts": "\\Drafts",
    "Sent": "\\Sent",
    "Archive": "\\Archive",
    "Junk": "\\Junk",
    "Trash": "\\Trash",
}
"""What every account has from the beginning, with special uses."""
MAX_MAILBOXES: Final = 10_000
MAX_NAME_OCTETS: Final = 200
"""A key of the store has 510 octets, of which an address may need 254."""


class MailboxExists(Refused):
    """There is a mailbox of that name already."""

    imap_code = b"ALREADYEXISTS"


class NoSuchMailbox(Refused):
    """There is no mailbox of that name."""

    imap_code = b"NONEXISTENT"


class CannotChange(Refused):
    """The mailbox, or its name, does not allow that."""

    imap_code = b"CANNOT"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox of an account; *special_use* such as ``\\Sent``, or None."""

    id: str
    account: str
    name: str
    special_use: str | None
    created_ms: int


def canonical_name(name: str) -> str:
    """Return the name under which a mailbox is kept: INBOX, also as a parent, is one in any case.

    Spec: RFC 9051 5.1
    """
    first, separator, rest = name.partition(SEPARATOR)
    # Only the ASCII letters: there are others that upper() makes an I of.
    return INBOX + separator + rest if first.isascii() and first.upper() == INBOX else name


def mailboxes(snapshot: Snapshot, account: str | None = None) -> Iterator[Mailbox]:
    """Yield the mailboxes of *account* by name, or those of all accounts."""
    for key, value in snapshot.scan((MAILBOX,) if account is None else (MAILBOX, account)):
        yield _read(str(key[1]), str(key[2]), value)


def find(snapshot: Snapshot, account: str, name: str) -> Mailbox | None:
    """Return the mailbox *name* of *account*, or None."""
    name = canonical_name(name)
    value = snapshot.get((MAILBOX, account, name))
    return None if value is None else _read(account, name, value)


def need(snapshot: Snapshot, account: str, name: str) -> Mailbox:
    """Return the mailbox *name* of *account*; raises NoSuchMailbox."""
    found = find(snapshot, account, name)
    if found is None:
        raise NoSuchMailbox(f"there is no mailbox {name}")
    return found


def provide(transaction: Transaction, account: str, now_ms: int) -> None:
    """Make the standard mailboxes of an account that has no INBOX yet, and subscribe to them."""
    if transaction.get((MAILBOX, account, INBOX)) is not None:
        return
    for name, special_use in STANDARD.items():
        if transaction.get((MAILBOX, account, name)) is None:
            _make(transaction, account, name, now_ms, special_use)
            subscribe(transaction, account, name)


def create(
    transaction: Transaction, account: str, name: str, now_ms: int, special_use: str | None = None
) -> Mailbox:
    """Make a mailbox, and those above it that are missing; a separator at the end of the name is taken off.

    :param special_use: only one mailbox of an account has each.
    :raises MailboxExists: there is one of that name.
    :raises CannotChange: for a name that cannot be one, or a special use that is taken.
    :raises Refused: the account has too many mailboxes.

    Spec: RFC 9051 6.3.4, RFC 6154 3
    """
    name = canonical_name(name.removesuffix(SEPARATOR))
    _check_name(name)
    if transaction.get((MAILBOX, account, name)) is not None:
        raise MailboxExists(f"there is a mailbox {name} already")
    if sum(1 for _ in transaction.scan((MAILBOX, account), limit=MAX_MAILBOXES)) == MAX_MAILBOXES:
        raise Refused(f"an account has at most {MAX_MAILBOXES} mailboxes; delete some first")
    if special_use is not None:
        for other in mailboxes(transaction, account):
            if other.special_use == special_use:
                raise CannotChange(f"{other.name} is the mailbox for {special_use} already")
    _make_parents(transaction, account, name, now_ms)
    return _make(transaction, account, name, now_ms, special_use)


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
    below = [each for each in mailboxes(transaction, account) if each.name.startswith(old + SEPARATOR)]
    found = find(transaction, account, old)
    if found is None and not below:
        raise NoSuchMailbox(f"there is no mailbox {old}")
    _check_name(new)
    if new.startswith(old + SEPARATOR):
        raise CannotChange(f"{new} is below {old}")
    moved = [(each, new + each.name[len(old) :]) for each in ([found] if found else []) + below]
    for _, name in moved:
        _check_name(name)
        if transaction.get((MAILBOX, account, name)) is not None:
            raise MailboxExists(f"there is a mailbox {name} already")
    for each, name in moved:
        transaction.delete((MAILBOX, account, each.name))
        transaction.put((MAILBOX, account, name), _record(each))
    _make_parents(transaction, account, new, now_ms)


def delete(transaction: Transaction, account: str, name: str, now_ms: int) -> Mailbox:
    """Delete a mailbox; those below it stay, and its contents can be restored until they are purged.

    :raises NoSuchMailbox: there is none of that name.
    :raises CannotChange: for INBOX.

    Spec: RFC 9051 6.3.5
    """
    found = need(transaction, account, name)
    if found.name == INBOX:
        raise CannotChange("INBOX cannot be deleted")
    counters = states.load(transaction, found.id)
    transaction.delete((MAILBOX, account, found.name))
    transaction.put((MAILBOX_LOST, now_ms // 1000, account, found.name, found.id), _record(found))
    states.add_usage(transaction, account, -counters.octets, -counters.exists)
    return found


def subscribe(transaction: Transaction, account: str, name: str) -> None:
    """Add a name to the subscriptions, whether or not there is such a mailbox. Spec: RFC 9051 6.3.7"""
    name = canonical_name(name)
    _check_name(name)
    transaction.put((SUBSCRIPTION, account, name), b"")


def unsubscribe(transaction: Transaction, account: str, name: str) -> bool:
    """Take a name off the subscriptions; True when it was there. Spec: RFC 9051 6.3.8"""
    return transaction.delete((SUBSCRIPTION, account, canonical_name(name)))


def subscriptions(snapshot: Snapshot, account: str) -> set[str]:
    """Return the names that the account has subscribed to."""
    return {str(key[2]) for key, _ in snapshot.scan((SUBSCRIPTION, account))}


def _read(account: str, name: str, value: bytes) -> Mailbox:
    record = decode(value)
    return Mailbox(record["id"], account, name, record["special_use"], record["created_ms"])


def _record(mailbox: Mailbox) -> bytes:
    fields = {"id": mailbox.id, "special_use": mailbox.special_use, "created_ms": mailbox.created_ms}
    return encode(fields)


def _check_name(name: str) -> None:
    if len(name.encode()) > MAX_NAME_OCTETS:
        raise CannotChange(f"a mailbox name has at most {MAX_NAME_OCTETS} octets")
    if not all(name.split(SEPARATOR)):
        raise CannotChange("a mailbox name has no empty part between its separators")


def _make_parents(transaction: Transaction, account: str, name: str, now_ms: int) -> None:
    place = name.find(SEPARATOR)
    while place > 0:
        if transaction.get((MAILBOX, account, name[:place])) is None:
            _make(transaction, account, name[:place], now_ms, None)
        place = name.find(SEPARATOR, place + 1)


def _make(transaction: Transaction, account: str, name: str, now_ms: int, special_use: str | None) -> Mailbox:
    mailbox = Mailbox(new_id(now_ms), account, name, special_use, now_ms)
    last = transaction.get((UIDVALIDITY, account))
    # Seconds, so that it also grows over a restored backup; a second one within a second counts on.
    uidvalidity = max(now_ms // 1000, 1 if last is None else int.from_bytes(last, "big") + 1)
    transaction.put((UIDVALIDITY, account), uidvalidity.to_bytes(4, "big"))
    transaction.put((MAILBOX, account, name), _record(mailbox))
    transaction.put((MAILBOX_STATE, mailbox.id), State(uidvalidity, owner=account).to_record())
    return mailbox
