"""STORE, EXPUNGE, COPY and MOVE of two sessions against a mailbox by the book.

RFC 9051 2.3.1.1, 5.5, 6.4.3, 6.4.6, 6.4.7, 6.4.8, 7.5.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.imap.kept import flags_of, seal, state_of
from tests.imap.lab import Client, Lab

FLAGS = ("\\Seen", "\\Deleted", "word", "other")
EXPUNGE = re.compile(rb"\* (\d+) EXPUNGE").fullmatch
EXISTS = re.compile(rb"\* (\d+) EXISTS").fullmatch
FETCH = re.compile(rb"\* (\d+) FETCH \(UID (\d+) FLAGS \((.*)\)\)").fullmatch

flag_sets = st.sets(st.sampled_from(FLAGS), max_size=2).map(lambda names: tuple(sorted(names)))
places = st.lists(st.integers(0, 5), min_size=1, max_size=4)
clients = st.integers(0, 1)
stores = st.tuples(
    st.just("store"), clients, places, st.sampled_from("+- "), flag_sets, st.booleans(), st.booleans()
)
steps = st.one_of(
    # Sessions that change the same messages are what it is about.
    stores,
    stores,
    stores,
    stores,
    st.tuples(st.just("deliver"), st.integers(1, 3)),
    st.tuples(st.just("expunge"), clients),
    st.tuples(st.just("uid_expunge"), clients, places),
    st.tuples(st.just("copy"), clients, places, st.booleans()),
    st.tuples(st.just("move"), clients, places, st.sampled_from(("INBOX", "Archive")), st.booleans()),
    st.tuples(st.just("noop"), clients),
    st.tuples(st.just("seal")),
)


def changed(before: set[str], sign: str, flags: Iterable[str]) -> set[str]:
    """Return what STORE makes of flags."""
    return {"+": before | set(flags), "-": before - set(flags), " ": set(flags)}[sign]


@dataclass
class Box:
    """A mailbox by the book: flags by UID."""

    messages: dict[int, set[str]] = field(default_factory=dict)
    uidnext: int = 1

    def add(self, flags: set[str]) -> None:
        self.messages[self.uidnext] = set(flags)
        self.uidnext += 1


@dataclass
class Mirror:
    """What a client knows of INBOX from what it was told: UIDs by number, and flags by UID where it knows them."""

    client: Client
    box: Box
    uids: list[int] = field(default_factory=list)
    flags: dict[int, set[str]] = field(default_factory=dict)
    seen: int = 0

    def send(self, command: str) -> bytes:
        """Send a command, note what is told, return the tagged answer."""
        *told, tagged = self.client.send(command.encode())
        for line in told:
            self.note(line)
        return tagged

    def note(self, line: bytes) -> None:
        if match := EXPUNGE(line):
            self.flags.pop(self.uids.pop(int(match[1]) - 1), None)
        elif match := EXISTS(line):
            # The book says which they are: those that are there and of which it was not told.
            self.uids += sorted(uid for uid in self.box.messages if uid > self.seen)
            self.seen = self.box.uidnext - 1
            assert len(self.uids) == int(match[1])
        elif match := FETCH(line):
            assert self.uids[int(match[1]) - 1] == int(match[2])
            self.flags[int(match[2])] = set(match[3].decode().split())
        else:
            assert line.startswith((b"* FLAGS ", b"* OK [PERMANENTFLAGS ", b"* OK [COPYUID "))

    def addressed(self, wanted: list[int], uid: bool) -> tuple[str, list[int]]:
        """Return a set of messages and the UIDs that are meant, of those the client knows."""
        found = sorted({self.uids[place % len(self.uids)] for place in wanted})
        words = found if uid else [self.uids.index(each) + 1 for each in found]
        return ",".join(map(str, words)), found


class Trial:
    """Two clients of one account, and the book."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.boxes = {"INBOX": Box(), "Archive": Box()}
        self.box = self.boxes["INBOX"]
        self.mirrors: list[Mirror] = []
        self.deliver(5)
        for _ in range(2):
            client = lab.client()
            client.send(b"ENABLE IMAP4rev2")
            client.send(b"SELECT INBOX")
            uids = list(self.box.messages)
            self.mirrors.append(Mirror(client, self.box, uids, {uid: set() for uid in uids}, uids[-1]))

    def deliver(self, count: int) -> None:
        self.lab.deliver(*[b"x"] * count)
        for _ in range(count):
            self.box.add(set())

    def seal(self) -> None:
        if state_of(self.lab).tail >= 4:
            seal(self.lab, rows=4)

    def noop(self, which: int) -> None:
        assert self.mirrors[which].send("NOOP").startswith(b"OK ")

    def live(self, uids: list[int]) -> list[int]:
        return [uid for uid in uids if uid in self.box.messages]

    def store(
        self, which: int, wanted: list[int], sign: str, flags: tuple[str, ...], silent: bool, uid: bool
    ) -> None:
        mirror = self.mirrors[which]
        if not mirror.uids:
            return
        words, found = mirror.addressed(wanted, uid)
        live = self.live(found)
        for each in live:
            self.box.messages[each] = changed(self.box.messages[each], sign, flags)
        if silent:
            for each in found:
                if each in mirror.flags or sign == " ":
                    mirror.flags[each] = changed(mirror.flags.get(each, set()), sign, flags)
        item = f"{sign}FLAGS".strip() + ".SILENT" * silent
        tagged = mirror.send(f"{'UID ' * uid}STORE {words} {item} ({' '.join(flags)})")
        complete = uid or silent or live == found
        assert tagged.startswith(b"OK " if complete else b"NO [EXPUNGEISSUED] ")
        for each in () if silent else live:
            assert mirror.flags[each] == self.box.messages[each]

    def expunge(self, which: int) -> None:
        mirror = self.mirrors[which]
        self._expunge(mirror.uids)
        assert mirror.send("EXPUNGE") == b"OK Expunged"

    def uid_expunge(self, which: int, wanted: list[int]) -> None:
        mirror = self.mirrors[which]
        if mirror.uids:
            words, found = mirror.addressed(wanted, True)
            self._expunge(found)
            assert mirror.send(f"UID EXPUNGE {words}") == b"OK Expunged"

    def _expunge(self, uids: list[int]) -> None:
        for uid in self.live(uids):
            if "\\Deleted" in self.box.messages[uid]:
                del self.box.messages[uid]

    def copy(self, which: int, wanted: list[int], uid: bool) -> None:
        mirror = self.mirrors[which]
        if not mirror.uids:
            return
        words, found = mirror.addressed(wanted, uid)
        live = self.live(found)
        complete = uid or live == found
        for each in live if complete else ():
            self.boxes["Archive"].add(self.box.messages[each])
        tagged = mirror.send(f"{'UID ' * uid}COPY {words} Archive")
        assert tagged.startswith(b"OK " if complete else b"NO [EXPUNGEISSUED] ")

    def move(self, which: int, wanted: list[int], target: str, uid: bool) -> None:
        mirror = self.mirrors[which]
        if not mirror.uids:
            return
        words, found = mirror.addressed(wanted, uid)
        for each in self.live(found):
            self.boxes[target].add(self.box.messages.pop(each))
        assert mirror.send(f"{'UID ' * uid}MOVE {words} {target}").startswith(b"OK ")

    def check(self) -> None:
        """Both clients know the mailbox as it is, and the store is as the book says."""
        for name, box in self.boxes.items():
            assert flags_of(self.lab, name) == box.messages
            state = state_of(self.lab, name)
            assert (state.exists, state.uidnext) == (len(box.messages), box.uidnext)
            assert state.unseen == sum("\\Seen" not in flags for flags in box.messages.values())
        for which, mirror in enumerate(self.mirrors):
            self.noop(which)
            assert mirror.uids == sorted(self.box.messages)
            known = {uid: flags for uid, flags in mirror.flags.items() if uid in self.box.messages}
            assert known == {uid: self.box.messages[uid] for uid in known}


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=12, max_size=30))
def test_random_commands_of_two_sessions(commands: list[tuple[object, ...]]) -> None:
    """Numbers, UIDs and flags stay right, whoever does what."""
    with TemporaryDirectory() as directory:
        lab = Lab(Path(directory))
        try:
            trial = Trial(lab)
            for name, *arguments in commands:
                getattr(trial, str(name))(*arguments)
            trial.check()
        finally:
            lab.close()
