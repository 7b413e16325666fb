"""What an administrator has paused: all remote mail, a site, the mail of an account, or that for a domain.

A pause is a record of its own and not a setting, because it is put on in a hurry and must hold for a running
daemon within a second and for one that is started afterwards. The daemon reads all of them at once and asks
for each claim; nothing in the queue is touched, so that a resume lets everything go as it stood.

Invariants: local delivery goes on whatever is paused; a pause never changes a due time, and the lifetime of
what waits goes on.
Limits: ``MAX_WHY`` characters of a reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, cast, get_args

from fedaemon.delivery.queue import first_due_ms, hint, thaw
from fedaemon.delivery.records import LOCAL
from fedaemon.errors import Refused
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import DESTINATION, PAUSE

Kind = Literal["all", "site", "domain", "account"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""In the order in which they are named when several hold."""

MAX_WHY: Final = 200

_NONE: Final[Mapping[str, Pause]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause: of what (*name* is "" for all), since when, and *why* in the administrator's words."""

    kind: Kind
    name: str
    since_ms: int
    why: str = ""

    def __str__(self) -> str:
        what = "all remote mail" if self.kind == "all" else f"the {self.kind} {self.name}"
        return f"{what} is paused by the administrator" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class Pauses:
    """Every pause that holds."""

    all: Pause | None = None
    sites: Mapping[str, Pause] = field(default_factory=lambda: _NONE)
    domains: Mapping[str, Pause] = field(default_factory=lambda: _NONE)
    accounts: Mapping[str, Pause] = field(default_factory=lambda: _NONE)

    def __iter__(self) -> Iterator[Pause]:
        if self.all is not None:
            yield self.all
        for each in (self.sites, self.domains, self.accounts):
            yield from each.values()

    def blocks(self, destination: str, site: str, account: str) -> Pause | None:
        """Return the pause that holds up mail of *account* for *destination* at *site*, None without one.

        :param destination: as in the records; ``LOCAL`` is never paused.
        :param site: "" while it is not known.
        :param account: the key of its address, "" for mail without one.
        """
        if destination == LOCAL:
            return None
        return self.all or self.sites.get(site) or self.domains.get(destination) or self.accounts.get(account)


NO_PAUSES: Final = Pauses()


def read(snapshot: Snapshot) -> Pauses:
    """Return all pauses."""
    found: dict[str, dict[str, Pause]] = {kind: {} for kind in KINDS}
    for key, value in snapshot.scan((PAUSE,)):
        kind, name = cast(Kind, key[1]), cast(str, key[2])
        record = decode(value)
        if kind in found:
            found[kind][name] = Pause(kind, name, record["since_ms"], record["why"])
    return Pauses(found["all"].get(""), found["site"], found["domain"], found["account"])


def pause(transaction: Transaction, kind: Kind, name: str, why: str, now_ms: int) -> Pause:
    """Pause something, or give what is paused another reason; return the pause.

    :param name: a site, the key of an account's address, or a domain in its canonical form; "" for all.
    :param why: shown wherever the pause is; at most ``MAX_WHY`` characters of it are kept.
    :raises Refused: a name is missing, or is given for all.
    """
    if (kind == "all") == bool(name):
        raise Refused(f"a pause of kind {kind} has {'no' if name else 'a'} name")
    old = transaction.get((PAUSE, kind, name))
    since_ms = now_ms if old is None else decode(old)["since_ms"]
    paused = Pause(kind, name, since_ms, " ".join(why.split())[:MAX_WHY])
    transaction.put((PAUSE, kind, name), encode({"since_ms": paused.since_ms, "why": paused.why}))
    return paused


def resume(transaction: Transaction, kind: Kind, name: str, now_ms: int) -> bool:
    """End a pause, and have what waited for it looked at again; return False when nothing was paused so."""
    if not transaction.delete((PAUSE, kind, name)):
        return False
    if kind == "account":
        thaw(transaction, name, now_ms)
    elif kind == "domain":
        for lane in lanes_at(transaction, name):
            due_ms = first_due_ms(transaction, name, lane)
            if due_ms is not None:
                hint(transaction, lane, name, due_ms)
    return True


def lanes_at(snapshot: Snapshot, destination: str) -> list[str]:
    """Return the lanes that have anything waiting at *destination*; costs a step for each, however much."""
    lanes: list[str] = []
    start: tuple[str, ...] = (DESTINATION, destination)
    stop = (DESTINATION, destination, "\U0010ffff")
    while True:
        key = next((key for key, _ in snapshot.scan(start, stop, limit=1)), None)
        if key is None:
            return lanes
        lane = cast(str, key[2])
        lanes.append(lane)
        # "\0" is the least that can follow: the next lane, past everything that this one has.
        start = (DESTINATION, destination, lane + "\0")
