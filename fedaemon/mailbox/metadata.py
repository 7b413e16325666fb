"""What clients note about a mailbox, or about the account as a whole: annotations, by names of entries.

Standards: RFC 5464 3 (entries), 4.3 (limits), RFC 6154 4 (/private/specialuse).
Invariants: names of entries are in lower case; what one call writes is written whole or not at all; annotations
are kept by the mailbox's id, so they go with it under another name, and stay until a deleted one is purged.
Limits: MAX_ENTRY_OCTETS, MAX_VALUE_OCTETS; MAX_ENTRIES and MAX_OCTETS of an account, those of its deleted
mailboxes included.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from fedaemon.errors import Refused
from fedaemon.mailbox import mailboxes
from fedaemon.mailbox.mailboxes import INBOX, Mailbox, UnfitUse
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.spaces import MAILBOX_META

MAX_ENTRY_OCTETS: Final = 220
"""A key of the store has 510 octets, of which an address may need 256 and a mailbox id 18."""
MAX_VALUE_OCTETS: Final = 65_536
MAX_ENTRIES: Final = 1_000
MAX_OCTETS: Final = 4 * 1024 * 1024
"""They are counted by reading all of them, which takes a millisecond or two then."""
SPECIAL_USE: Final = "/private/specialuse"

Depth = int | None
"""How many levels below an entry are meant: 0, 1, or None for all."""


class ValueTooLong(Refused):
    """A value has more than MAX_VALUE_OCTETS."""

    imap_code = b"METADATA MAXSIZE %d" % MAX_VALUE_OCTETS


class TooManyEntries(Refused):
    """The account has as many entries, or octets in them, as it may have."""

    imap_code = b"METADATA TOOMANY"


class EntryTooLong(Refused):
    """The name of an entry has more than MAX_ENTRY_OCTETS."""

    imap_code = b"LIMIT"


class MetadataChanged(NamedTuple):
    """Announced when an entry of a mailbox changes, or with an empty *mailbox_id* one of the account itself."""

    owner: str
    mailbox_id: str
    entry: str


def read(
    snapshot: Snapshot, account: str, mailbox: Mailbox | None, entry: str, depth: Depth = 0
) -> dict[str, bytes]:
    """Return an entry, if it has a value, and those below it, by name.

    :param mailbox: None for the account itself.
    :param entry: in lower case.

    Spec: RFC 5464 4.2
    """
    if len(entry) > MAX_ENTRY_OCTETS:
        return {}
    found: dict[str, bytes] = {}
    space = (MAILBOX_META, account, mailbox.id if mailbox is not None else "")
    value = snapshot.get((*space, entry))
    if value is not None:
        found[entry] = value
    if depth != 0:
        # "0" is the character behind "/".
        below = snapshot.scan((*space, entry + "/"), (*space, entry + "0"))
        found.update({str(key[3]): value for key, value in below if _is_meant(str(key[3]), entry, depth)})
    use = mailbox.special_use if mailbox is not None else None
    if use is not None and (entry == SPECIAL_USE or (depth != 0 and SPECIAL_USE.startswith(entry + "/"))):
        found[SPECIAL_USE] = use.encode("ascii")
    return found


def _is_meant(name: str, entry: str, depth: Depth) -> bool:
    return depth is None or name.count("/") - entry.count("/") <= depth


def write(
    transaction: Transaction,
    account: str,
    mailbox: Mailbox | None,
    entries: Iterable[tuple[str, bytes | None]],
) -> None:
    """Give entries their values; None removes one.

    :param mailbox: None for the account itself.
    :param entries: names in lower case, of at most 250 octets.
    :raises EntryTooLong: for a name.
    :raises ValueTooLong: for a value.
    :raises TooManyEntries: the account would have more than it may.
    :raises UnfitUse: for a value of SPECIAL_USE that the mailbox cannot have.

    Spec: RFC 5464 4.3
    """
    mailbox_id = mailbox.id if mailbox is not None else ""
    grows = False
    for entry, value in entries:
        if entry == SPECIAL_USE and mailbox is not None:
            mailbox = _give_use(transaction, mailbox, value)
        elif value is None:
            if len(entry) <= MAX_ENTRY_OCTETS:
                transaction.delete((MAILBOX_META, account, mailbox_id, entry))
        else:
            _check(entry, value)
            transaction.put((MAILBOX_META, account, mailbox_id, entry), value)
            grows = True
        transaction.announce(MetadataChanged(account, mailbox_id, entry))
    if grows:
        _check_room(transaction, account)


def _check(entry: str, value: bytes) -> None:
    if len(entry) > MAX_ENTRY_OCTETS:
        raise EntryTooLong(f"the name of an entry has at most {MAX_ENTRY_OCTETS} octets")
    if len(value) > MAX_VALUE_OCTETS:
        raise ValueTooLong(f"a value has at most {MAX_VALUE_OCTETS} octets")


def _check_room(snapshot: Snapshot, account: str) -> None:
    sizes = [len(value) for _, value in snapshot.scan((MAILBOX_META, account), limit=MAX_ENTRIES + 1)]
    if len(sizes) > MAX_ENTRIES or sum(sizes) > MAX_OCTETS:
        raise TooManyEntries(f"an account has at most {MAX_ENTRIES} entries and {MAX_OCTETS} octets in them")


def _give_use(transaction: Transaction, mailbox: Mailbox, value: bytes | None) -> Mailbox:
    """Make *mailbox* the one for a special use, or for none. Spec: RFC 6154 4"""
    words = value.decode("ascii", "replace").split() if value is not None else []
    if len(words) > 1 or (words and mailbox.name == INBOX):
        raise UnfitUse("a mailbox has one special use at most, and INBOX none")
    # Its case does not count.
    known = {use.lower(): use for use in mailboxes.USES}
    use = known.get(words[0].lower(), words[0]) if words else None
    if use == mailbox.special_use:
        return mailbox
    if use is not None:
        mailboxes.check_use(transaction, mailbox.account, use)
    changed = replace(mailbox, special_use=use)
    mailboxes.save(transaction, changed)
    return changed
