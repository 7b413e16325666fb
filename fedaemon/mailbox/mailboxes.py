"""The mailboxes of an account by name: making, deleting, subscriptions; see also ``renaming``, ``leaving``.

Standards: RFC 9051 2.3.1.1 (UIDVALIDITY), 5.1 (names), 6.3.4 to 6.3.8, RFC 6154 2 (special uses).
Invariants: a mailbox keeps its id for life, also under another name; an account never gets the same UIDVALIDITY
twice; a subscription is to a name and outlives the mailbox; a deleted mailbox keeps its contents until they
are purged.
Limits: MAX_MAILBOXES of an account, and as many subscriptions; MAX_NAME_OCTETS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from fedaemon.errors import Refused
from fedaemon.mailbox import state as states
from fedaemon.mailbox.state import State
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import (
    MAILBOX,
    MAILBOX_LOST,
    MAILBOX_STATE,
    SUBSCRIPTION,
    UIDVALIDITY,
)

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
USES: Final = ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")
"""Special uses that a mailbox can have; \\All and \\Flagged would promise messages that are in others."""
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


class TooManyMailboxes(Refused):
    """The account has as many mailboxes, or subscriptions, as it may have."""

    imap_code = b"LIMIT"


class UnfitUse(CannotChange):
    """The mailbox cannot have that special use: there is none such, or another mailbox has it."""

    imap_code = b"USEATTR"


class NamesChanged(NamedTuple):
    """Announced when mailboxes of an account, or subscriptions, come, go or get another name."""

    owner: str


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


def some(
    snapshot: Snapshot, account: str, start: str, stop: str | None = None, limit: int | None = None
) -> list[Mailbox]:
    """Return the first *limit* mailboxes of *account* whose names are at or behind *start* and before *stop*."""
    if len(start.encode()) > MAX_NAME_OCTETS + 1:
        return []  # none is behind it, and a key could not hold it
    end = (MAILBOX, account + "\0") if stop is None else (MAILBOX, account, stop)
    found = snapshot.scan((MAILBOX, account, start), end, limit=limit)
    return [_read(account, str(key[2]), value) for key, value in found]


def find(snapshot: Snapshot, account: str, name: str) -> Mailbox | None:
    """Return the mailbox *name* of *account*, or None."""
    name = canonical_name(name)
    if len(name.encode()) > MAX_NAME_OCTETS:
        return None  # too long for a key too
    value = snapshot.get((MAILBOX, account, name))
    return None if value is None else _read(account, name, value)


def need(snapshot: Snapshot, account: str, name: str) -> Mailbox:
    """Return the mailbox *name* of *account*; raises NoSuchMailbox."""
    found = find(snapshot, account, name)
    if found is None:
        raise NoSuchMailbox(f"there is no mailbox {name}")
    return found


def provide(transaction: Transaction, account: str, now_ms: int) -> None:
    """Make the standard mailboxes of an account that has none yet, and subscribe to them."""
    if not lacks_standard(transaction, account):
        return
    for name, special_use in STANDARD.items():
        if transaction.get((MAILBOX, account, name)) is None:
            _make(transaction, account, name, now_ms, special_use)
            subscribe(transaction, account, name)


def lacks_standard(snapshot: Snapshot, account: str) -> bool:
    """Tell whether ``provide`` has something to do."""
    # Who only has an INBOX of store format 2 has been given no UIDVALIDITY yet.
    return any(snapshot.get(key) is None for key in ((MAILBOX, account, INBOX), (UIDVALIDITY, account)))


def create(
    transaction: Transaction, account: str, name: str, now_ms: int, special_use: str | None = None
) -> Mailbox:
    """Make a mailbox, and those above it that are missing; a separator at the end of the name is taken off.

    :param special_use: only one mailbox of an account has each.
    :raises MailboxExists: there is one of that name.
    :raises CannotChange: for a name that cannot be one.
    :raises UnfitUse: for a special use that it cannot have.
    :raises TooManyMailboxes: the account has MAX_MAILBOXES.

    Spec: RFC 9051 6.3.4, RFC 6154 3
    """
    name = canonical_name(name.removesuffix(SEPARATOR))
    check_name(name)
    if transaction.get((MAILBOX, account, name)) is not None:
        raise MailboxExists(f"there is a mailbox {name} already")
    if sum(1 for _ in transaction.scan((MAILBOX, account), limit=MAX_MAILBOXES)) == MAX_MAILBOXES:
        raise TooManyMailboxes(f"an account has at most {MAX_MAILBOXES} mailboxes; delete some first")
    if special_use is not None:
        check_use(transaction, account, special_use)
    make_parents(transaction, account, name, now_ms)
    return _make(transaction, account, name, now_ms, special_use)


def delete(transaction: Transaction, account: str, name: str, now_ms: int) -> Mailbox:
    """Delete a mailbox; those below it stay, and its contents can be restored until they are purged.

    :raises NoSuchMailbox: there is none of that name.
    :raises CannotChange: for INBOX.

    Spec: RFC 9051 6.3.5
    """
    found = need(transaction, account, name)
    if found.name == INBOX:
        raise CannotChange("INBOX cannot be deleted")
    lose(transaction, found, now_ms)
    return found


def check_use(snapshot: Snapshot, account: str, special_use: str) -> None:
    """Raise UnfitUse unless one more mailbox of *account* can have that special use. Spec: RFC 6154 3"""
    if special_use not in USES:
        raise UnfitUse("a mailbox can be for one of: " + " ".join(USES))
    for other in mailboxes(snapshot, account):
        if other.special_use == special_use:
            raise UnfitUse(f"{other.name} is the mailbox for {special_use} already")


def save(transaction: Transaction, mailbox: Mailbox) -> None:
    """Write what is known of a mailbox, and announce it."""
    transaction.put((MAILBOX, mailbox.account, mailbox.name), _record(mailbox))
    transaction.announce(NamesChanged(mailbox.account))


def lose(transaction: Transaction, mailbox: Mailbox, now_ms: int) -> None:
    """Take a mailbox off the account; what is in it stays until the time for undeleting is over."""
    key = (MAILBOX_LOST, now_ms // 1000, mailbox.account, mailbox.name, mailbox.id)
    transaction.delete((MAILBOX, mailbox.account, mailbox.name))
    transaction.put(key, _record(mailbox))
    counters = states.need(transaction, mailbox.id)
    states.add_usage(transaction, counters.owner, -counters.octets, -counters.exists)
    # Without an owner nothing can be put in or taken out, and its counters are nobody's usage.
    states.save(transaction, mailbox.id, counters, counters._replace(owner=""))
    transaction.announce(NamesChanged(mailbox.account))


def subscribe(transaction: Transaction, account: str, name: str) -> None:
    """Add a name to the subscriptions, whether or not there is such a mailbox.

    :raises CannotChange: for a name that cannot be one.
    :raises TooManyMailboxes: there are MAX_MAILBOXES subscriptions.

    Spec: RFC 9051 6.3.7
    """
    name = canonical_name(name)
    check_name(name)
    if sum(1 for _ in transaction.scan((SUBSCRIPTION, account), limit=MAX_MAILBOXES)) == MAX_MAILBOXES:
        raise TooManyMailboxes(f"an account has at most {MAX_MAILBOXES} subscriptions; remove some first")
    transaction.put((SUBSCRIPTION, account, name), b"")
    transaction.announce(NamesChanged(account))


def unsubscribe(transaction: Transaction, account: str, name: str) -> bool:
    """Take a name off the subscriptions; True when it was there. Spec: RFC 9051 6.3.8"""
    name = canonical_name(name)
    if len(name.encode()) > MAX_NAME_OCTETS or not transaction.delete((SUBSCRIPTION, account, name)):
        return False
    transaction.announce(NamesChanged(account))
    return True


def subscriptions(snapshot: Snapshot, account: str, after: str = "", limit: int | None = None) -> set[str]:
    """Return the names that the account has subscribed to: all, or the first *limit* behind *after*."""
    start, stop = (SUBSCRIPTION, account, after + "\0"), (SUBSCRIPTION, account + "\0")
    return {str(key[2]) for key, _ in snapshot.scan(start, stop, limit=limit)}


def _read(account: str, name: str, value: bytes) -> Mailbox:
    record = decode(value)
    return Mailbox(record["id"], account, name, record["special_use"], record["created_ms"])


def _record(mailbox: Mailbox) -> bytes:
    return encode({"id": mailbox.id, "special_use": mailbox.special_use, "created_ms": mailbox.created_ms})


def check_name(name: str) -> None:
    """Raise CannotChange for a name that no mailbox can have."""
    if len(name.encode()) > MAX_NAME_OCTETS:
        raise CannotChange(f"a mailbox name has at most {MAX_NAME_OCTETS} octets")
    if not all(name.split(SEPARATOR)):
        raise CannotChange("a mailbox name has no empty part between its separators")


def make_parents(transaction: Transaction, account: str, name: str, now_ms: int) -> None:
    """Make the mailboxes above *name* that are missing."""
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
    transaction.put((MAILBOX_STATE, mailbox.id), State(uidvalidity, owner=account).to_record())
    save(transaction, mailbox)
    return mailbox
