"""SORT: the order of messages by what the store keeps of them.

One stable sort by each criterion, the last one first: keys are compared where they lie, no tuple is made of them.

Standards: RFC 5256 2.2, 3 (SORT), RFC 5957 3 (DISPLAYFROM, DISPLAYTO), RFC 5051 2 (i;unicode-casemap, the order of
texts).
Invariants: REVERSE reverses its criterion only; messages that are equal by all stay in the order of their numbers.
Limits: each criterion is sorted by once, however often it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final
from unicodedata import normalize

from fedaemon.imap.parse.search import SortField


@dataclass(frozen=True, slots=True)
class Sortable:
    """What SORT compares; texts are ``collated`` UTF-8, empty where there is none, which sorts first.

    :ivar number: sequence number, or UID for UID SORT.
    :ivar arrival_s: internal date, seconds since 1970.
    :ivar cc: mailbox (local part) of the first address; likewise *from_* and *to*.
    :ivar sent_s: sent date in UTC, seconds since 1970; the internal date for messages without one.
    :ivar size: octets.
    :ivar display_from: display name of the first address, or else the address; likewise *display_to*.
    """

    number: int
    arrival_s: int
    cc: bytes
    sent_s: int
    size: int
    from_: bytes
    to: bytes
    base_subject: bytes
    display_from: bytes
    display_to: bytes


_NUMBER: Final = attrgetter("number")

_KEYS: Final[dict[SortField, Callable[[Sortable], Any]]] = {
    SortField.ARRIVAL: attrgetter("arrival_s"),
    SortField.CC: attrgetter("cc"),
    SortField.DATE: attrgetter("sent_s"),
    SortField.DISPLAYFROM: attrgetter("display_from"),
    SortField.DISPLAYTO: attrgetter("display_to"),
    SortField.FROM: attrgetter("from_"),
    SortField.SIZE: attrgetter("size"),
    SortField.SUBJECT: attrgetter("base_subject"),
    SortField.TO: attrgetter("to"),
}


def collated(texts: bytes) -> bytes:
    """Return case-folded texts as they are compared: in upper case, accents behind their letters.

    :param texts: one in UTF-8, or several with LF between them.

    Spec: RFC 5256 3, RFC 5051 2
    """
    if texts.isascii():
        return texts.upper()
    return normalize("NFKD", texts.decode("utf-8", "replace")).upper().encode()


def sort(rows: Iterable[Sortable], order: tuple[tuple[SortField, bool], ...]) -> list[int]:
    """Return the numbers of *rows* in the order asked for.

    :param rows: in any order.
    :param order: criteria and whether each is reversed, the most important first.

    Spec: RFC 5256 3, RFC 5957 3
    """
    found = sorted(rows, key=_NUMBER)
    criteria: dict[SortField, bool] = {}
    for field, reverse in order:
        criteria.setdefault(field, reverse)
    for field, reverse in reversed(criteria.items()):
        found.sort(key=_KEYS[field], reverse=reverse)
    return [row.number for row in found]
