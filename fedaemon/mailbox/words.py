"""The keywords of a mailbox: which bit stands for which name.

Standards: RFC 9051 2.3.2 (keywords).
Invariants: a bit is never given to another name; names are compared without case and keep the case of their
first use.
Limits: MAX_KEYWORDS.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fedaemon.errors import Refused
from fedaemon.mailbox import columns as c
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import MAILBOX_WORDS

MAX_KEYWORDS: Final = 8 * c.PLANES
SYSTEM_FLAGS: Final = {
    "\\Seen": c.SEEN,
    "\\Answered": c.ANSWERED,
    "\\Flagged": c.FLAGGED,
    "\\Deleted": c.DELETED,
    "\\Draft": c.DRAFT,
}


class TooManyKeywords(Refused):
    """The mailbox would have more than MAX_KEYWORDS."""

    imap_code = b"LIMIT"


def keywords(snapshot: Snapshot, mailbox_id: str) -> list[str]:
    """Return the names of the keywords, by bit."""
    value = snapshot.get((MAILBOX_WORDS, mailbox_id))
    return [] if value is None else decode(value)["names"]


def flag_bits(snapshot: Snapshot, mailbox_id: str, flags: Iterable[str]) -> tuple[int, list[str]]:
    """Return the number that stands for *flags*, and those among them that have no bit here.

    Spec: RFC 9051 2.3.2
    """
    bits = 0
    unknown: list[str] = []
    places: dict[str, int] | None = None
    for flag in flags:
        if flag in SYSTEM_FLAGS:
            bits |= SYSTEM_FLAGS[flag]
            continue
        if places is None:
            places = {name.lower(): place for place, name in enumerate(keywords(snapshot, mailbox_id))}
        place = places.get(flag.lower())
        if place is None:
            unknown.append(flag)
        else:
            bits |= 256 << place
    return bits, unknown


def make_flag_bits(transaction: Transaction, mailbox_id: str, flags: Iterable[str]) -> int:
    """Return the number that stands for *flags*; keywords that are new here get a bit.

    :raises TooManyKeywords: the mailbox would have more than MAX_KEYWORDS.

    Spec: RFC 9051 2.3.2, 7.1 (LIMIT of RFC 5530 3)
    """
    bits, unknown = flag_bits(transaction, mailbox_id, flags)
    if not unknown:
        return bits
    names = keywords(transaction, mailbox_id)
    for name in unknown:
        if name.lower() not in (known.lower() for known in names):
            names.append(name)
    if len(names) > MAX_KEYWORDS:
        raise TooManyKeywords(f"a mailbox has at most {MAX_KEYWORDS} keywords; use one that is there")
    transaction.put((MAILBOX_WORDS, mailbox_id), encode({"names": names}))
    return bits | flag_bits(transaction, mailbox_id, unknown)[0]


def flag_names(flags: int, names: list[str]) -> list[str]:
    """Return the names of the *flags* of a message, system flags first."""
    found = [name for name, bit in SYSTEM_FLAGS.items() if flags & bit]
    rest = flags >> 8
    while rest:
        place = (rest & -rest).bit_length() - 1
        found.append(names[place])
        rest &= rest - 1
    return found
