"""Which messages of the queue are meant: by state, account, addresses, age, site or category.

One filter serves for looking and for changing. What it says of recipients (domain, address, site, category,
and the states of one that waits) must all hold for one and the same recipient, and a change concerns only the
recipients that fit: to bounce what waits for one domain leaves the message's other recipients alone.

Theory of operation. Messages are looked through in the order of their acceptance, which is the order of their
ids; an age narrows this to a range. When only what waits for one domain is wanted, the index of that
destination names the candidates, whatever else is in the queue. Either way one view looks at ``LOOK`` messages
or ``LOOK_ENTRIES`` entries, because a long view keeps a writer from using pages again.

Invariants: the same messages are found with and without the index, in the same order.
Limits: candidates found through the index are held in memory, some 70 octets each. An age finds what was accepted
while the clock was right within ``CLOCK_SLACK_MS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol, TypeVar, cast, get_args

from fedaemon.delivery.records import (
    FINAL,
    LOCAL,
    WAITING,
    MessageRecord,
    RecipientRecord,
    State,
    Status,
    load_message,
    recipients_of,
    status,
)
from fedaemon.errors import BadSyntax
from fedaemon.message.address import parse_address
from fedaemon.store.ids import ALPHABET, ID_LENGTH
from fedaemon.store.interface import Key, Snapshot
from fedaemon.store.records import decode
from fedaemon.store.spaces import DESTINATION, MESSAGE

T = TypeVar("T")

LOOK: Final = 500
LOOK_ENTRIES: Final = 5000

STATUSES: Final[tuple[str, ...]] = get_args(Status)
STATES: Final = (*STATUSES, "waiting", *(state for state in get_args(State) if state not in STATUSES))
"""What ``Filter.state`` may be: a message's status, "waiting", or what only a recipient can be."""

OVER: Final = frozenset({*FINAL, "sent", "partially_sent", "rejected"})
"""Those of ``STATES`` that finished mail may be in."""

CLOCK_SLACK_MS: Final = 3_600_000
"""Ids are made when a message begins to come in, and a clock may be put right: ids follow the time of
acceptance with this accuracy."""

BEHIND: Final = "\U0010ffff"
"""Sorts behind every id."""


class View(Protocol):
    """Runs a function on a consistent view of the store (``LmdbEngine.view``)."""

    def __call__(self, function: Callable[[Snapshot], T], /) -> T: ...


Seen = Callable[[int], None]
"""Told how many messages have been looked at."""


@dataclass(frozen=True, slots=True)
class Found:
    """A message that fits, with all its recipients by number."""

    queue_id: str
    message: MessageRecord
    recipients: tuple[tuple[int, RecipientRecord], ...]

    @property
    def status(self) -> Status:
        """The message's status."""
        return status(recipient.state for _, recipient in self.recipients)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages; what is "", 0 or None says nothing.

    :param state: one of ``STATES``; "waiting" is a recipient that is queued or deferred.
    :param account: the key of an account's address.
    :param domain: where the mail goes (after aliases), in the canonical form of a domain or address literal.
    :param sender: the key of an address, "" for the empty reverse-path.
    :param recipient: the key of an address, before or after aliases.
    :param before_ms: accepted before that time.
    :param since_ms: accepted at that time or later.
    :param site: the last attempt went there, or, before any, the destination is one of *destinations*.
    :param category: of the latest reply.
    :param unfinished: some recipient is not final.
    """

    state: str = ""
    account: str = ""
    domain: str = ""
    sender: str | None = None
    recipient: str = ""
    before_ms: int = 0
    since_ms: int = 0
    site: str = ""
    destinations: frozenset[str] = frozenset()
    category: str = ""
    unfinished: bool = False

    def may_take(self, message: MessageRecord) -> bool:
        """Return False when no message with this record fits, whatever its recipients are."""
        return not (
            (self.account and message.account != self.account)
            or (self.unfinished and message.finished_ms)
            or (self.before_ms and message.accepted_ms >= self.before_ms)
            or message.accepted_ms < self.since_ms
            or (self.sender is not None and not _is_address(message.sender, self.sender))
        )

    def takes(self, found: Found) -> bool:
        """Return True when the message is one of those."""
        if not self.may_take(found.message) or (self.state in STATUSES and found.status != self.state):
            return False
        return any(self.fits(recipient) for _, recipient in found.recipients)

    def fits(self, recipient: RecipientRecord) -> bool:
        """Return True when the recipient is one of those that are meant."""
        last = recipient.last or {}
        return not (
            (self.state == "waiting" and recipient.state not in WAITING)
            or (self.state in _EXACT and recipient.state != self.state)
            or (self.domain and target_domain(recipient) != self.domain)
            or (self.category and last.get("category") != self.category)
            or (self.site and (last.get("site") or self._site_of(recipient)) != self.site)
            or (
                self.recipient
                and not _is_address(recipient.address, self.recipient)
                and not _is_address(recipient.original, self.recipient)
            )
        )

    def narrowed(self) -> Filter:
        """Return the same filter for what is not finished."""
        return replace(self, unfinished=True)

    def spares(self, found: Found) -> bool:
        """Return True when the message must stay although some of its recipients fit: others still wait.

        A state in which mail is over means mail that is over; any other state does not spare recipients that
        wait in another.
        """
        over, others = self.state in OVER, replace(self, state="")
        return any(
            recipient.state not in FINAL and (over or not others.fits(recipient))
            for _, recipient in found.recipients
        )

    @property
    def indexed(self) -> tuple[str, ...]:
        """The destinations whose index has all candidates, none when all messages must be looked through."""
        return (self.domain, LOCAL) if self.domain and self.state in _INDEXED else ()

    def _site_of(self, recipient: RecipientRecord) -> str:
        return self.site if recipient.destination in self.destinations else ""


_EXACT: Final = frozenset({*WAITING, *get_args(State)} - {"bounced"})
"""States that the recipient must be in itself; "bounced" is the status of a message that nobody got."""

_INDEXED: Final = frozenset({"waiting", *WAITING})


def target_domain(recipient: RecipientRecord) -> str:
    """Return the domain that mail for *recipient* goes to."""
    return recipient.address.rpartition("@")[2] if recipient.destination == LOCAL else recipient.destination


def _is_address(stored: str, key: str) -> bool:
    """Compare an address as it goes on the wire with a canonical one."""
    if not stored or not key or stored.isascii():
        return stored.casefold() == key
    try:
        return parse_address(stored).key == key
    except BadSyntax:
        return False


def select(view: View, wanted: Filter, seen: Seen = lambda count: None) -> Iterator[Found]:
    """Yield the messages that fit, in the order of acceptance, as they are found."""
    if wanted.indexed:
        yield from _select_indexed(view, wanted, seen)
        return
    after: str | None = _first_id(wanted)
    count = 0
    while after is not None:
        page = view(partial(_page, wanted, after))
        yield from page.found
        after = page.after
        count += page.looked_at
        seen(count)


@dataclass(frozen=True, slots=True)
class _Page:
    """What one view brought: go on behind *after*, None at the end."""

    found: list[Found]
    after: str | None
    looked_at: int


def _page(wanted: Filter, after: str, snapshot: Snapshot) -> _Page:
    found: list[Found] = []
    queue_id, count = after, 0
    for key, value in snapshot.scan((MESSAGE, after + "\0"), (MESSAGE, _last_id(wanted)), limit=LOOK):
        queue_id, message = cast(str, key[1]), MessageRecord(**decode(value))
        count += 1
        if wanted.may_take(message):
            each = Found(queue_id, message, tuple(recipients_of(snapshot, queue_id)))
            if wanted.takes(each):
                found.append(each)
    return _Page(found, queue_id if count == LOOK else None, count)


def _first_id(wanted: Filter) -> str:
    """Return what sorts before the ids of everything that is young enough."""
    return _id_at(wanted.since_ms - CLOCK_SLACK_MS) if wanted.since_ms > CLOCK_SLACK_MS else ""


def _last_id(wanted: Filter) -> str:
    """Return what sorts behind the ids of everything that is old enough."""
    return _id_at(wanted.before_ms + CLOCK_SLACK_MS) if wanted.before_ms else BEHIND


def _id_at(at_ms: int) -> str:
    """Return an id that is not greater than those made from *at_ms* on."""
    number = at_ms << 32
    return "".join(ALPHABET[number >> shift & 31] for shift in range(5 * ID_LENGTH - 5, -1, -5))


def _select_indexed(view: View, wanted: Filter, seen: Seen) -> Iterator[Found]:
    candidates: set[str] = set()
    for destination in wanted.indexed:
        start: Key | None = (DESTINATION, destination)
        while start is not None:
            ids, start = view(partial(_entries, destination, start))
            candidates.update(ids)
            seen(len(candidates))
    ids = sorted(candidates)
    for first in range(0, len(ids), LOOK):
        yield from view(partial(load, wanted, ids[first : first + LOOK]))


def _entries(destination: str, start: Key, snapshot: Snapshot) -> tuple[list[str], Key | None]:
    """Return ids from one stretch of an index, and where to go on."""
    stop = (DESTINATION, destination, BEHIND)
    keys = [key for key, _ in snapshot.scan(start, stop, limit=LOOK_ENTRIES)]
    ids = [cast(str, key[4]) for key in keys]
    return ids, (*keys[-1], 0) if len(keys) == LOOK_ENTRIES else None


def load(wanted: Filter, ids: Sequence[str], snapshot: Snapshot) -> list[Found]:
    """Return those of the messages named by *ids* that are there and fit, in the order of *ids*."""
    found: list[Found] = []
    for queue_id in ids:
        message = load_message(snapshot, queue_id)
        if message is not None and wanted.may_take(message):
            each = Found(queue_id, message, tuple(recipients_of(snapshot, queue_id)))
            if wanted.takes(each):
                found.append(each)
    return found
