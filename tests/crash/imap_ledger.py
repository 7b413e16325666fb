"""The ledger of a shared mailbox: what IMAP clients were promised, and what may be since it was not answered.

Theory of operation: a message is in one of several places, and each of its flags has one of several values.
To begin a command adds what it may bring about; its answer leaves only that. Each flag is changed by one
client alone, and who moves or expunges a message takes it from the others first, so what an answer means does
not hang on who was faster. After a death ``settle`` compares the store with that, and then takes it for what
it was found to be.

Standards: RFC 9051 2.3.1.1 (a UID is never used again), RFC 3502 6.3.11 (all messages or none), RFC 6851 3.3,
RFC 7162 3.1 (mod-sequences).
Invariants: what was told of a command that others had their hand in proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from threading import Lock
from typing import Final, NamedTuple

BOXES: Final = ("INBOX", "Archive")
DELETED: Final = "\\Deleted"
FLAGS: Final = ("\\Flagged", "\\Answered", "word")
"""Those that clients change, each one by a client of its own."""


class Place(NamedTuple):
    """A mailbox and a UID in it; UID 0: one that nothing had before."""

    box: str
    uid: int


NOWHERE: Final = Place("", 0)


class Found(NamedTuple):
    """A message as it is in the store."""

    mark: int
    flags: frozenset[str]
    modseq: int


class Box(NamedTuple):
    """A mailbox as it is in the store; *rows* are its messages by UID."""

    uidvalidity: int
    uidnext: int
    modseq: int
    rows: Mapping[int, Found]


@dataclass(slots=True, eq=False)
class Message:
    """What is known of a message.

    :ivar places: where it may be.
    :ivar flags: which values a flag may have.
    :ivar taken: somebody moves or expunges it; *times* counts how often somebody began to.
    :ivar queued: it comes by SMTP, and may come later.
    """

    mark: int
    places: set[Place]
    flags: dict[str, set[bool]]
    taken: bool = False
    times: int = 0
    queued: bool = False

    @property
    def place(self) -> Place | None:
        """Where it is, if that is certain."""
        return next(iter(self.places)) if len(self.places) == 1 else None


Told = tuple[Message, int]
"""A message and its UID; with a STORE under way: and how often it had been taken."""


@dataclass(slots=True)
class Ledger:
    """All messages but those that are known to be gone, whose marks are in *gone*.

    :ivar accepted: marks of what SMTP clients heard 250 for and nobody has found yet.
    :ivar answered: how many commands were, by name.
    """

    messages: dict[int, Message] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    accepted: set[int] = field(default_factory=set)
    looked: dict[str, Box] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    _uidvalidities: dict[str, int] = field(default_factory=dict)
    _used: dict[Place, int] = field(default_factory=dict)
    _modseqs: dict[Place, int] = field(default_factory=dict)
    _groups: dict[int, list[Message]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _marks: int = 0

    # -- what clients do

    def begin_append(self, flags: Sequence[Iterable[str]], *, queued: bool = False) -> list[Message]:
        """Messages with these flags are given to the server, all of them in one command."""
        with self._lock:
            made = []
            for given in map(frozenset, flags):
                values = {flag: {flag in given} for flag in (*FLAGS, DELETED)}
                made.append(Message(self._marks, {NOWHERE, Place("INBOX", 0)}, values, queued=queued))
                self._marks += 1
            self.messages.update((message.mark, message) for message in made)
            if not queued:
                self._groups[made[0].mark] = made
            return made

    def appended(self, messages: Sequence[Message], uidvalidity: int, first_uid: int) -> None:
        """APPENDUID was told."""
        with self._lock:
            self._check_uidvalidity("INBOX", uidvalidity)
            for uid, message in enumerate(messages, first_uid):
                self._put(message, Place("INBOX", uid))
            del self._groups[messages[0].mark]
            self._count("APPEND")

    def delivered(self, message: Message) -> None:
        """SMTP answered 250."""
        with self._lock:
            self.accepted.add(message.mark)

    def known(self, box: str) -> list[Message]:
        """Return the messages that are in a mailbox: a session knows them after its next command."""
        with self._lock:
            found = [message for message in self.messages.values() if self._is_free(message, box)]
        return sorted(found, key=_uid)

    def doomed(self, box: str) -> list[Message]:
        """Return the messages whose EXPUNGE was cut short in a mailbox: any other EXPUNGE takes them."""
        with self._lock:
            cut = [message for message in self.messages.values() if message.flags[DELETED] == {True}]
            return [message for message in cut if any(place.box == box for place in message.places)]

    def begin_store(
        self, box: str, known: list[Message], random: Random, flag: str, value: bool
    ) -> list[tuple[Message, int, int]]:
        """A flag of some of these is to be changed: return each with its UID, and how often it was taken."""
        with self._lock:
            some = self._some(box, known, random, random.randint(1, 6))
            for message in some:
                message.flags[flag].add(value)
            return [(message, _uid(message), message.times) for message in some]

    def stored(self, some: list[tuple[Message, int, int]], flag: str, value: bool) -> None:
        """STORE was answered; it is certain for what nobody took meanwhile."""
        with self._lock:
            for message, _, times in some:
                if message.times == times:
                    message.flags[flag] = {value}
            self._count("STORE")

    def take(self, box: str, known: list[Message], random: Random, most: int, target: Place) -> list[Told]:
        """Some of these, neighbours perhaps, are to go to *target*: return each with its UID."""
        with self._lock:
            some = self._some(box, known, random, random.randint(1, most))
            told = [(message, _uid(message)) for message in some]
            for message in some:
                message.taken = True
                message.times += 1
                message.places.add(target)
                if target is NOWHERE:
                    message.flags[DELETED].add(True)
            return told

    def marked(self, told: list[Told]) -> None:
        """STORE of \\Deleted was answered for messages that are taken."""
        with self._lock:
            for message, _ in told:
                message.flags[DELETED] = {True}

    def expunged(self, messages: Iterable[Message]) -> None:
        """EXPUNGE was answered."""
        with self._lock:
            for message in messages:
                message.places = {NOWHERE}
            self._count("EXPUNGE")

    def moved(self, told: list[Told], target: str, uidvalidity: int, uids: Mapping[int, int]) -> None:
        """COPYUID was told: *uids* are the new ones by the old ones."""
        with self._lock:
            self._check_uidvalidity(target, uidvalidity)
            assert uids.keys() == {uid for _, uid in told}, "COPYUID of other messages"
            for message, uid in told:
                self._put(message, Place(target, uids[uid]))
                message.taken = False
            self._count("MOVE")

    def heard(self, place: Place, modseq: int) -> None:
        """A mod-sequence was told, of a message or (UID 0) of a mailbox."""
        with self._lock:
            self._modseqs[place] = max(self._modseqs.get(place, 0), modseq)

    def _some(self, box: str, known: list[Message], random: Random, count: int) -> list[Message]:
        free = [message for message in known if self._is_free(message, box)]
        if random.random() < 0.5:
            return random.sample(free, min(count, len(free)))
        first = random.randrange(max(1, len(free) - count))
        return free[first : first + count]

    def _is_free(self, message: Message, box: str) -> bool:
        place = message.place
        return not message.taken and place is not None and place.box == box

    def _check_uidvalidity(self, box: str, uidvalidity: int) -> None:
        known = self._uidvalidities.setdefault(box, uidvalidity)
        assert uidvalidity == known, f"UIDVALIDITY of {box} changed"

    def _put(self, message: Message, place: Place) -> None:
        assert self._used.setdefault(place, message.mark) == message.mark, f"{place} was told twice"
        message.places = {place}

    def _count(self, name: str) -> None:
        self.answered[name] = self.answered.get(name, 0) + 1

    # -- what is so

    def settle(self, boxes: Mapping[str, Box]) -> None:
        """Compare with what was found in the store; from now on that is known."""
        places: dict[int, list[Place]] = {}
        for name, box in boxes.items():
            self._compare(name, box)
            for uid, found in box.rows.items():
                places.setdefault(found.mark, []).append(Place(name, uid))
        assert not places.keys() & self.gone, f"came back: {places.keys() & self.gone}"
        assert not places.keys() - self.messages.keys(), "messages that nobody sent"
        for message in list(self.messages.values()):
            self._settle(message, places.get(message.mark, []), boxes)
        for group in self._groups.values():
            uids = [_uid(message) for message in group]
            whole = list(range(uids[0], uids[0] + len(uids)))
            assert not any(uids) or uids == whole, f"a part of an APPEND: {uids}"
        self._groups.clear()
        self.looked = dict(boxes)

    def _compare(self, name: str, box: Box) -> None:
        """A mailbox only goes on from what it was when it was looked at, and from what was told since."""
        before = self.looked.get(name, box._replace(uidnext=1, rows={}))
        self._check_uidvalidity(name, box.uidvalidity)
        assert box.uidnext >= before.uidnext, f"UIDNEXT of {name} fell"
        told = self._modseqs.get(Place(name, 0), 0)
        assert box.modseq >= max(before.modseq, told), f"HIGHESTMODSEQ of {name} fell"
        for uid, found in box.rows.items():
            where = f"UID {uid} of {name}"
            assert uid < box.uidnext, f"{where} is not below UIDNEXT"
            assert self._modseqs.get(Place(name, uid), 0) <= found.modseq <= box.modseq, where
            assert self._used.setdefault(Place(name, uid), found.mark) == found.mark, f"{where} is another"
            old = before.rows.get(uid)
            if old is None:
                assert uid >= before.uidnext, f"{where} was used again"
                continue
            assert found.modseq >= old.modseq, f"MODSEQ of {where} fell"
            assert found.modseq > old.modseq or found == old, f"{where} changed, and its MODSEQ did not"

    def _settle(self, message: Message, places: list[Place], boxes: Mapping[str, Box]) -> None:
        here = f"message {message.mark}: {places}, expected {message.places}"
        assert len(places) <= 1, here
        if not places:
            assert NOWHERE in message.places, here
            if not message.queued:
                message.places = {NOWHERE}
                self.gone.add(message.mark)
                del self.messages[message.mark]
            return
        place = places[0]
        assert message.places & {place, Place(place.box, 0)}, here
        flags = boxes[place.box].rows[place.uid].flags
        assert flags <= message.flags.keys(), f"{here}: {flags}"
        for flag, values in message.flags.items():
            assert (flag in flags) in values, f"{here}: {flag} is {flag in flags}"
            message.flags[flag] = {flag in flags}
        self.accepted.discard(message.mark)
        message.queued = False
        # Who has \Deleted now goes with the next EXPUNGE, whoever says it.
        message.taken = DELETED in flags
        message.places = {place, NOWHERE} if message.taken else {place}


def _uid(message: Message) -> int:
    """Return the UID of a message that is in some mailbox for certain, otherwise 0."""
    return message.place.uid if message.place else 0
