"""What a client knows of its mailbox from what it was told, and that contradicts what cannot be.

Standards: RFC 9051 2.3.1, 5.2, 7.4, 7.5, RFC 7162 3.1, 3.2, RFC 9586 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

_NUMBERED = re.compile(rb"\* (\d+) (EXISTS|RECENT|EXPUNGE|FETCH|UIDFETCH)(?: \((.*)\))?", re.DOTALL).fullmatch
_VANISHED = re.compile(rb"\* VANISHED (\(EARLIER\) )?([\d,:]+)").fullmatch
_CODE = re.compile(rb"\S+ (?:OK|NO) \[([A-Z-]+) ?([^\]]*)\]").match
_SEARCH = re.compile(rb"\* SEARCH((?: \d+)*)(?: \(MODSEQ \d+\))?").fullmatch
_ESEARCH = re.compile(rb"\* ESEARCH \(TAG \"\w+\"\)( UID)?(?: MODSEQ \d+)?(?: ALL ([\d,:]+))?").fullmatch
_OTHER = re.compile(rb"\* (OK|FLAGS|LIST|STATUS|ENABLED|CAPABILITY) |\+ ").match
_UID = re.compile(rb"\bUID (\d+)").search
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)").search
_MODSEQ = re.compile(rb"\bMODSEQ \((\d+)\)").search

Truth = list[tuple[int, frozenset[str], int]]
"""UID, flags and mod-sequence of the messages in a mailbox."""


class ContradictionError(AssertionError):
    """The server told what cannot be."""


def numbers_of(text: bytes) -> list[int]:
    """Return the numbers in a set."""
    found: list[int] = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found


@dataclass(slots=True, eq=False)
class Message:
    """What is known of a message; *uid* 0 and *flags* None are not known."""

    uid: int = 0
    flags: frozenset[str] | None = None
    modseq: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What a client keeps of a mailbox that it left; *whole* says that it knew all UIDs."""

    uidvalidity: int
    modseq: int
    messages: dict[int, Message]
    whole: bool


@dataclass(slots=True, eq=False)
class StrictClient:
    """One client; tell it of commands with ``begin`` and ``end``, and of answers with ``line``.

    :ivar vanishing: VANISHED is to be told in place of EXPUNGE.
    :ivar numbered: whether there are sequence numbers; without them *messages* are in no order.
    :ivar expunges: whether EXPUNGE may be told now.
    :ivar told: the messages whose flags were told since ``begin``.
    :ivar modseqs_told: the messages whose mod-sequence was told since then.
    :ivar modseq: up to which the client knows all changes; *seen* is the highest that was told.
    """

    vanishing: bool = False
    numbered: bool = True
    messages: list[Message] = field(default_factory=list)
    uidvalidity: int = 0
    modseq: int = 0
    seen: int = 0
    expunges: bool = True
    uid: bool = False
    told: set[Message] = field(default_factory=set)
    modseqs_told: set[Message] = field(default_factory=set)
    kept: dict[str, Kept] = field(default_factory=dict)
    _resuming: Kept | None = None
    _first_exists: int | None = None
    _closing: tuple[str, Kept | None] = "", None

    def begin(self, *, expunges: bool, uid: bool = False) -> None:
        """A command is sent; *uid* says that it asks for UIDs."""
        self.expunges, self.uid = expunges, uid
        self.told.clear()
        self.modseqs_told.clear()

    def end(self, *, whole: bool) -> None:
        """The command was answered; *whole* says that nothing was held back behind it."""
        self.expunges = True
        if whole:
            self.modseq = max(self.modseq, self.seen)

    # -- leaving and coming back

    def leave(self, name: str) -> None:
        """Keep what is known of the mailbox *name*."""
        known = {message.uid: message for message in self.messages if message.uid}
        self.kept[name] = Kept(self.uidvalidity, self.modseq, known, len(known) == len(self.messages))
        self.messages = []

    def select(self, resuming: Kept | None, leaves: str) -> None:
        """A mailbox is to be selected, and *resuming* brought up to date; all is about *leaves* until CLOSED."""
        if leaves:
            self._closing = leaves, resuming
        else:
            self._select(resuming)

    def _select(self, resuming: Kept | None) -> None:
        self.messages = []
        self.modseq = self.seen = 0
        self._first_exists = None
        self._resuming = replace(resuming, messages=dict(resuming.messages)) if resuming else None

    def resumed(self, *, all_told: bool) -> None:
        """SELECT was answered: put together what was kept and what was told; *all_told*: also of new messages."""
        kept, self._resuming = self._resuming, None
        if kept is None or not kept.whole:
            return
        # What is new has higher UIDs, and is told only to who did not name those it knows.
        last = 1 << 32 if all_told else max(kept.messages, default=0)
        fetched = {message.uid: message for message in self.messages if 0 < message.uid <= last}
        uids = sorted(kept.messages.keys() | fetched)
        there = self.messages[: self._first_exists]
        self._need(len(uids) <= len(there), "more UIDs than messages after QRESYNC")
        self._need(len(uids) == len(there) or not all_told, "QRESYNC left messages out")
        if not self.numbered:
            there = [fetched.get(uid, Message()) for uid in uids]
            self.messages = there + [Message() for _ in self.messages[len(uids) :]]
        for message, uid in zip(there, uids, strict=False):
            self._need(message.uid in (0, uid), "the UID of a number is another after QRESYNC")
            if not message.uid:
                before = kept.messages[uid]
                message.uid, message.flags, message.modseq = uid, before.flags, before.modseq

    # -- what is told

    def line(self, line: bytes) -> None:
        """Take an untagged answer."""
        if match := _NUMBERED(line):
            self._numbered(int(match[1]), match[2], match[3] or b"")
        elif match := _VANISHED(line):
            self._vanished(numbers_of(match[2]), earlier=bool(match[1]))
        elif match := _SEARCH(line):
            self._found([int(word) for word in match[1].split()])
        elif match := _ESEARCH(line):
            self._need(bool(match[1]) == self.uid, "ESEARCH with UID where it is not asked for")
            self._found(numbers_of(match[2]) if match[2] else [])
        else:
            self._need(_OTHER(line) is not None, f"what is {line!r}?")
            self.code(line)

    def code(self, line: bytes) -> tuple[bytes, bytes]:
        """Note a response code; return it and what follows it."""
        match = _CODE(line)
        if match is None:
            return b"", b""
        if match[1] == b"HIGHESTMODSEQ":
            self._need(int(match[2]) >= self.modseq, "HIGHESTMODSEQ fell")
            self.seen = max(self.seen, int(match[2]))
        elif match[1] == b"CLOSED":
            name, resuming = self._closing
            self.leave(name)
            self._select(resuming)
        elif match[1] == b"UIDVALIDITY":
            self.uidvalidity = int(match[2])
        return match[1], match[2]

    def _numbered(self, number: int, name: bytes, items: bytes) -> None:
        match name:
            case b"EXISTS":
                self._need(number >= len(self.messages), "EXISTS shrank")
                self.messages += [Message() for _ in range(number - len(self.messages))]
                if self._first_exists is None:
                    self._first_exists = number
            case b"EXPUNGE":
                self._need(self.expunges and not self.vanishing, "EXPUNGE where it may not be")
                self._need(0 < number <= len(self.messages), "EXPUNGE of a number that is not there")
                del self.messages[number - 1]
            case b"FETCH":
                self._need(self.numbered, "FETCH where there are no numbers")
                self._need(0 < number <= len(self.messages), "FETCH of a number that is not there")
                message = self.messages[number - 1]
                if uid := _UID(items):
                    self._learn(number - 1, int(uid[1]))
                self._know(message, items)
            case b"UIDFETCH":
                self._need(not self.numbered, "UIDFETCH where there are numbers")
                self._know(self._of_uid(number), items)

    def _learn(self, place: int, uid: int) -> None:
        """The message at *place* has this UID."""
        message = self.messages[place]
        self._need(message.uid in (0, uid), "the UID of a number changed")
        before, later = self.messages[:place], self.messages[place + 1 :]
        self._need(all(other.uid < uid for other in before), "UIDs do not ascend")
        self._need(all(not other.uid or other.uid > uid for other in later), "UIDs do not ascend")
        message.uid = uid

    def _of_uid(self, uid: int) -> Message:
        """Return the message of a UID in a session without numbers."""
        place = self.place_of(uid)
        self._need(place is not None, f"UIDFETCH of {uid}, and no message is without a UID")
        message = self.messages[place or 0]
        message.uid = uid
        return message

    def _know(self, message: Message, items: bytes) -> None:
        flags, modseq = _FLAGS(items), _MODSEQ(items)
        if modseq:
            told = int(modseq[1])
            self._need(told >= message.modseq, "MODSEQ fell")
            self.seen = max(self.seen, told)
        if flags:
            now = frozenset(flags[1].decode().split()) - {"\\Recent"}
            if modseq and told == message.modseq and message.flags is not None:
                self._need(now == message.flags, "other flags with the same MODSEQ")
            message.flags = now
            self.told.add(message)
        if modseq:
            message.modseq = told
            self.modseqs_told.add(message)

    def _vanished(self, uids: list[int], *, earlier: bool) -> None:
        self._need(self.vanishing, "VANISHED where EXPUNGE is expected")
        if not earlier:
            self._need(self.expunges, "VANISHED where it may not be")
            for uid in uids:
                self._need(self._forget(uid), f"VANISHED {uid}, which is not there")
            return
        for uid in uids:
            self._need(
                all(message.uid != uid for message in self.messages), "VANISHED (EARLIER) of what is counted"
            )
            if self._resuming is not None:
                self._resuming.messages.pop(uid, None)

    def _forget(self, uid: int) -> bool:
        """The message of a UID is gone; False when it cannot have been there."""
        place = self.place_of(uid)
        if place is None:
            return False
        if self._resuming is not None:
            self._resuming.messages.pop(uid, None)
            self._first_exists = (self._first_exists or 0) - (place < (self._first_exists or 0))
        if not self.messages[place].uid and self.numbered:
            self._blur(place)
        del self.messages[place]
        return True

    def _blur(self, place: int) -> None:
        """Which of the messages without a UID around *place* is meant is not known: forget what they are."""
        first = last = place
        while first and not self.messages[first - 1].uid:
            first -= 1
        while last < len(self.messages) and not self.messages[last].uid:
            last += 1
        self.messages[first:last] = [Message() for _ in range(first, last)]

    def place_of(self, uid: int) -> int | None:
        """Return where the message of a UID is, or may be; None when it cannot be anywhere."""
        unknown = None
        for place, message in enumerate(self.messages):
            if message.uid == uid:
                return place
            if self.numbered and message.uid > uid:
                return unknown
            if not message.uid:
                unknown = place
            elif self.numbered:
                unknown = None
        return unknown

    def _found(self, numbers: list[int]) -> None:
        """Search has found these."""
        self._need(numbers == sorted(set(numbers)), "SEARCH in no order")
        for number in numbers:
            there = self.place_of(number) is not None if self.uid else number <= len(self.messages)
            self._need(there, f"SEARCH found {number}, which is not there")

    # -- the truth

    def compare(self, truth: Truth) -> None:
        """Contradict what is known by what is."""
        self._need(len(truth) == len(self.messages), f"{len(self.messages)} messages, but {len(truth)} are")
        by_uid = {uid: (uid, flags, modseq) for uid, flags, modseq in truth}
        for place, message in enumerate(self.messages):
            if not message.uid and not self.numbered:
                continue
            now = truth[place] if self.numbered else by_uid.get(message.uid, (0, frozenset(), 0))
            self._need(message.uid in (0, now[0]), f"UID {message.uid} in place of {now[0]}")
            known = message.flags in (None, now[1])
            self._need(known, f"flags of {now[0]}: {message.flags}, but they are {now[1]}")
            self._need(message.modseq in (0, now[2]), f"MODSEQ of {now[0]}: {message.modseq}, not {now[2]}")

    def _need(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise ContradictionError(otherwise)
