"""What one of many sessions on a mailbox says at random, and what becomes of it in its strict client."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from tests.imap.strict_client import Message, StrictClient, Truth, numbers_of

FLAGS: Final = ("\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "word", "$Junk")
BOXES: Final = ("INBOX", "Archive")
FULL: Final = 60
"""With more messages, some are expunged."""
MAIL: Final = b"Subject: s\r\n\r\ntext\r\n"
_TAGGED = re.compile(rb"a\d+ (OK|NO|BAD) ").match
_REFUSALS: Final = (b"EXPUNGEISSUED", b"MODIFIED", b"READ-ONLY")

Ended = Callable[[bytes, bytes, bytes], None]
"""Is given the tagged condition, its response code and what follows the code."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a session enables and asks for."""

    enable: str = ""
    notify: str = ""

    @property
    def condstore(self) -> bool:
        """Whether mod-sequences are told."""
        return "CONDSTORE" in self.enable or "QRESYNC" in self.enable

    @property
    def by_uid(self) -> bool:
        """Whether only UIDs may be used: numbers may change at any time, or there are none."""
        return "UIDONLY" in self.enable or "(selected (" in self.notify


_EVENTS: Final = "MessageNew MessageExpunge FlagChange"
KINDS: Final = (
    Kind(),
    Kind("IMAP4rev2"),
    Kind("CONDSTORE"),
    Kind("QRESYNC"),
    Kind("QRESYNC IMAP4rev2"),
    Kind("UIDONLY IMAP4rev2"),
    Kind("UIDONLY QRESYNC"),
    Kind("IMAP4rev2", f"(selected ({_EVENTS}))"),
    Kind("QRESYNC", f"(selected-delayed ({_EVENTS})) (personal (MessageNew MessageExpunge))"),
    Kind("CONDSTORE", "(personal (MessageNew MessageExpunge))"),
)


class Talk(ABC):
    """One session, however it is connected.

    :ivar ends: what becomes of the command that is under way, None without one.
    :ivar mailbox: which one is selected.
    """

    def __init__(self, kind: Kind, random: Random) -> None:
        self.kind, self.random = kind, random
        uid_only = "UIDONLY" in kind.enable
        self.known = StrictClient(vanishing=uid_only or "QRESYNC" in kind.enable, numbered=not uid_only)
        self.mailbox, self.read_only = "", False
        self.ends: Ended | None = None
        self.whole = True
        self.idling = False
        self.history: deque[bytes] = deque(maxlen=60)
        self._said = 0

    @abstractmethod
    def transmit(self, octets: bytes) -> None:
        """Send them."""

    @abstractmethod
    def changes(self) -> int:
        """Return a number that is another once something has changed."""

    @abstractmethod
    def truth(self) -> Truth:
        """Return what the selected mailbox is like."""

    def hear(self, line: bytes) -> None:
        """Take an answer."""
        self.history.append(line)
        match = _TAGGED(line)
        if match is None:
            self.known.line(line)
            self.idling = self.idling or line == b"+ idling"
            return
        code, rest = self.known.code(line)
        assert match[1] == b"OK" or (match[1] == b"NO" and code in _REFUSALS), line
        assert self.ends is not None
        ends, self.ends = self.ends, None
        ends(match[1], code, rest)
        self.known.end(whole=self.whole)

    def say(self, command: str, ends: Ended | None = None, *, numbers: bool = False) -> None:
        """Send a command; *numbers*: expunges may not be told behind it."""
        self._said += 1
        self.whole = not numbers
        self.known.begin(expunges=not numbers, uid=command.startswith("UID "))
        self.ends = ends or _nothing
        self.history.append(b"> " + command.encode())
        self.transmit(b"a%d %b\r\n" % (self._said, command.encode()))

    # -- commands

    def addressed(self) -> tuple[str, list[Message], bool]:
        """Return a set, the messages that it means, and whether it is of UIDs."""
        random, messages = self.random, self.known.messages
        # What is new may be told before the command is read, or be told without a UID: "*" would mean it.
        certain = not self.kind.notify and (self.known.numbered or all(each.uid for each in messages))
        if random.random() < 0.1 and certain:
            return "1:*", list(messages), self.kind.by_uid or random.random() < 0.5
        chosen = sorted(random.sample(range(len(messages)), min(len(messages), random.randint(1, 6))))
        found = [messages[place] for place in chosen]
        if self.kind.by_uid or (random.random() < 0.5 and all(each.uid for each in found)):
            found = [each for each in found if each.uid]
            return ",".join(str(each.uid) for each in found), found, True
        return ",".join(str(place + 1) for place in chosen), found, False

    def select(self) -> None:
        """Select a mailbox, perhaps with what is kept of it."""
        name = self.random.choice(("INBOX", "INBOX", "INBOX", "Archive"))
        kept = self.known.kept.get(name) if "QRESYNC" in self.kind.enable else None
        all_told, argument = True, ""
        if kept is not None and kept.modseq and self.random.random() < 0.8:
            uids = ",".join(map(str, sorted(kept.messages)))
            all_told = not uids or self.random.random() < 0.5
            argument = f" (QRESYNC ({kept.uidvalidity} {kept.modseq}{'' if all_told else ' ' + uids}))"
        else:
            kept = None
        self.read_only = self.random.random() < 0.1
        self.known.select(kept, self.mailbox)
        self.mailbox = name
        self.say(
            ("EXAMINE " if self.read_only else "SELECT ") + name + argument,
            lambda *_: self.known.resumed(all_told=all_told),
        )

    def leave(self) -> None:
        """Leave the mailbox; nothing is told of what CLOSE expunges."""

        def ends(*_: bytes) -> None:
            self.known.leave(self.mailbox)
            self.mailbox = ""

        self.say(self.random.choice(("CLOSE", "UNSELECT")), ends)
        self.whole = False

    def store(self, flags: Iterable[str], *, sign: str = "", silent: bool | None = None) -> None:
        """Change flags of some messages."""
        random = self.random
        named, found, uid = self.addressed()
        if not found:
            return self.noop()
        sign, flags = sign or random.choice(("+", "-", " ")), frozenset(flags)
        silent = random.random() < 0.5 if silent is None else silent
        since = ""
        if condstore := self.kind.condstore:
            since = f" (UNCHANGEDSINCE {max(1, self.known.seen - 2)})" if random.random() < 0.3 else ""

        def ends(_condition: bytes, code: bytes, rest: bytes) -> None:
            if code == b"READ-ONLY" or not silent:
                return
            numbers = set(numbers_of(rest)) if code == b"MODIFIED" else set()
            for place, message in enumerate(self.known.messages):
                if message not in meant or (message.uid if uid else place + 1) in numbers:
                    continue
                if message in self.known.told:
                    # NOTIFY may have told before or behind the change: the client cannot know.
                    message.flags = None if self.kind.notify else message.flags
                elif condstore and message not in self.known.modseqs_told:
                    # Not changed, so it was so already, or the message is gone.
                    after = changed(message.flags, sign, flags)
                    message.flags = after if after == message.flags else None
                else:
                    message.flags = changed(message.flags, sign, flags)

        meant = set(found)
        item = f"{sign.strip()}FLAGS{'.SILENT' * silent} ({' '.join(sorted(flags))})"
        self.say(f"{'UID ' * uid}STORE {named}{since} {item}", ends, numbers=not uid)
        return None

    def fetch(self) -> None:
        """Ask of some messages."""
        named, found, uid = self.addressed()
        if not found:
            return self.noop()
        condstore = self.kind.condstore
        items = self.random.choice(
            ("FLAGS", "(UID FLAGS)", "(UID)", "(FLAGS BODY[TEXT])", "BODY.PEEK[]", "(MODSEQ FLAGS)")
        )
        if "MODSEQ" in items and not condstore:
            items = "(FLAGS)"
        since = ""
        if uid and condstore and self.random.random() < 0.2:
            vanished = " VANISHED" if "QRESYNC" in self.kind.enable else ""
            since = f" (CHANGEDSINCE {max(1, self.known.modseq - self.random.randint(0, 30))}{vanished})"
        self.say(f"{'UID ' * uid}FETCH {named} {items}{since}", numbers=not uid)
        return None

    def search(self) -> None:
        """Search; what is found must be there."""
        uid = self.kind.by_uid or self.random.random() < 0.5
        key = self.random.choice(("ALL", "UNSEEN", "KEYWORD word", "SUBJECT s", "DELETED", "MODSEQ 3"))
        if "MODSEQ" in key and "QRESYNC" not in self.kind.enable:
            key = "NOT FLAGGED"
        self.say(f"{'UID ' * uid}SEARCH {key}", numbers=not uid)

    def expunge(self) -> None:
        """Expunge what is marked, or some of it."""
        uids = [str(message.uid) for message in self.known.messages if message.uid]
        if uids and self.random.random() < 0.4:
            chosen = self.random.sample(uids, self.random.randint(1, len(uids)))
            return self.say("UID EXPUNGE " + ",".join(chosen))
        return self.say("EXPUNGE")

    def transfer(self, name: str) -> None:
        """COPY or MOVE to another mailbox, or to the same."""
        named, found, uid = self.addressed()
        if not found or (name == "COPY" and len(found) > 6):
            return self.noop()
        # Behind MOVE the server has to tell of expunges, behind COPY it may.
        return self.say(f"{'UID ' * uid}{name} {named} {self.random.choice(BOXES)}")

    def append(self) -> None:
        """Add a message."""
        flags = " ".join(self.random.sample(FLAGS, self.random.randint(0, 2)))
        self.say(f"APPEND {self.random.choice(BOXES)} ({flags}) {{{len(MAIL)}+}}\r\n{MAIL.decode()}")

    def noop(self) -> None:
        """Ask for what is new; when nothing changes meanwhile, what is known must be so."""
        before = self.changes()

        def ends(*_: bytes) -> None:
            if self.changes() == before:
                self.known.compare(self.truth())

        self.say("NOOP", ends)

    def idle(self) -> None:
        """Begin to idle, or end it."""
        if self.idling:
            self.idling = False
            self.history.append(b"> DONE")
            self.transmit(b"DONE\r\n")
        elif self.ends is None:
            self.say("IDLE")


def changed(before: frozenset[str] | None, sign: str, flags: frozenset[str]) -> frozenset[str] | None:
    """Return what STORE makes of flags; None when it is not known."""
    if sign == " ":
        return flags
    if before is None:
        return None
    return before | flags if sign == "+" else before - flags


def _nothing(*_: bytes) -> None:
    """Nothing follows from the answer."""


def speak(member: Talk) -> None:
    """Have a session say something."""
    random = member.random
    if not member.mailbox:
        member.select()
        return
    full = len(member.known.messages) > FULL
    if full and random.random() < 0.3:
        member.store(["\\Deleted"], sign="+") if random.random() < 0.6 else member.expunge()
        return
    flags = random.sample(FLAGS, random.randint(0, 2))
    commands = (
        (20, partial(member.store, flags)),
        (20, member.fetch),
        (8, member.search),
        (8, member.expunge),
        (3 if not full else 1, partial(member.transfer, "COPY")),
        (5, partial(member.transfer, "MOVE")),
        (4 if not full else 1, member.append),
        (12, member.noop),
        (8, member.idle),
        (3, member.leave),
        (8, member.select),
    )
    random.choices([each for _, each in commands], [weight for weight, _ in commands])[0]()
