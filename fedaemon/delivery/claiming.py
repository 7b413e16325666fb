"""Claims: what is due is taken out of the calendars, in turns, for attempts that follow.

Theory of operation. A claim is one transaction. First the lines of sites that have room again are served,
then the lanes that are due take turns: each gets its share of what may be claimed, and a lane with more goes
behind the others, so that one sender's hundred thousand messages cost everybody else one turn. What is due
where nothing may be tried now is not left in anybody's way: at a site without room the lane goes into the
site's line; at a site that is closed for a time its recipients are put off until then; in a paused lane
nothing is looked at.

A claim counts the attempt and stores the next one before anybody dials, so that a crash never hammers a host.
What was claimed is also noted under ``(CLAIM, run, batch)``: after a crash ``recovery.recover`` lets exactly
these recipients go again soon instead of after their full delay.

Invariants: what was put off is seen to when a delay notice or its end is due, whatever the site does
(``Claimed.answers``); a claim is taken by one run, once.
Limits: one claim takes at most ``MAX_PER_ATTEMPT`` recipients of a message (RFC 5321 4.5.3.1.8); a
transaction looks at ``MAX_LANES`` lanes, ``MAX_HINTS`` destinations of each, and puts off ``MAX_PUT_OFF``
recipients, so that it ends in some milliseconds whatever waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from fedaemon.delivery.queue import END_OF_TIME, belongs, first_due_ms, look, move
from fedaemon.delivery.records import (
    CLASSES,
    MessageRecord,
    RecipientRecord,
    load_message,
    load_recipient,
    save_recipient,
)
from fedaemon.delivery.schedule import HOUR_MS, Schedule
from fedaemon.delivery.transport import NextHost
from fedaemon.store.interface import Key, Transaction
from fedaemon.store.records import encode
from fedaemon.store.spaces import CLAIM, DESTINATION, DUE, LINE, TURN

MAX_PER_ATTEMPT: Final = 100
MAX_LANES: Final = 100
MAX_HINTS: Final = 200
MAX_LINE: Final = 50
MAX_PUT_OFF: Final = 150

UNDER_WAY_MS: Final = 5000
"""How long a recipient that is due, but whose last attempt has not ended yet, is left alone."""

LOOKUP_MS: Final = 100
"""A lane with nothing to do but for a destination whose hosts are being looked up is met again after this."""

PAUSED_LOOK_MS: Final = HOUR_MS
"""A paused lane is met again after this time, if nobody resumes it before."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Recipients of one message with one destination that are to be attempted together.

    *hosts* are where they go, once that was looked up.
    """

    queue_id: str
    destination: str
    lane: str
    message: MessageRecord
    recipients: tuple[tuple[int, RecipientRecord], ...]
    batch: int = 0
    hosts: tuple[NextHost, ...] = ()


class Standing(NamedTuple):
    """How a destination's site stands: its name, and the *room* (messages) that it has for claims.

    *until_ms*: closed until then, 0 for open. *frozen*: paused by the administrator. *known*: False while the
    hosts of the destination have not been looked up.
    """

    site: str
    room: int
    until_ms: int = 0
    frozen: bool = False
    known: bool = True


class Line(NamedTuple):
    """A lane that waits in the line of a site which is to be served."""

    site: str
    lane: str


@dataclass(frozen=True, slots=True)
class ClaimOrder:
    """How much may be claimed.

    :param run: names this run of the daemon; *batch* numbers the claims of the run.
    :param recipients: at most so many recipients in all.
    :param standing: how the site of a destination stands now.
    :param lines: lanes in the lines of sites that have room (or were closed), in the order of their turns.
    :param last: the lane that had the last turn, by class (``Claimed.last``).
    :param paused: whether a lane is paused.
    :param under_way: (queue id, number) of recipients whose attempt has not ended.
    """

    run: str
    batch: int
    recipients: int
    schedule: Schedule
    standing: Callable[[str], Standing]
    lines: Sequence[Line] = ()
    last: Mapping[str, str] = field(default_factory=dict)
    paused: Callable[[str], bool] = lambda lane: False
    under_way: AbstractSet[tuple[str, int]] = frozenset()


@dataclass(slots=True)
class Claimed:
    """What a claim brought.

    *answers* were not claimed for an attempt: their site is closed, but something is owed to their senders.
    *parked* and *emptied* say which lanes went into a site's line, and which left it. *put_off* counts
    recipients that wait for a closed site to open. *more*: its limits left due work behind; *next_due_ms*: the
    next hint to come.
    """

    claims: list[Claim]
    answers: list[Claim]
    parked: list[Line]
    emptied: list[Line]
    last: dict[str, str]
    put_off: int = 0
    more: bool = False
    next_due_ms: int | None = None


def claim(transaction: Transaction, now_ms: int, order: ClaimOrder) -> Claimed:
    """Take due remote recipients, in turns, and store their next attempts."""
    claiming = _Claiming(transaction, now_ms, order)
    for line in order.lines:
        claiming.serve(line)
    for each in CLASSES:
        claiming.take_turns(each)
    return claiming.finish()


class _Claiming:
    """One claim under way."""

    def __init__(self, transaction: Transaction, now_ms: int, order: ClaimOrder) -> None:
        self._transaction = transaction
        self._now_ms = now_ms
        self._order = order
        self._left = order.recipients
        self._may_put_off = MAX_PUT_OFF
        self._taken: dict[str, int] = {}  # messages, by site
        self._claimed = Claimed([], [], [], [], dict(order.last))

    def finish(self) -> Claimed:
        """Note what was claimed for the case of a crash, and return it."""
        claimed, order = self._claimed, self._order
        if claimed.claims:
            numbers = [[each.queue_id, number] for each in claimed.claims for number, _ in each.recipients]
            self._transaction.put((CLAIM, order.run, order.batch), encode({"claims": numbers}))
        due, next_ms = look(self._transaction, self._now_ms)
        claimed.more |= due
        claimed.next_due_ms = next_ms
        return claimed

    # -- Lines

    def serve(self, line: Line) -> None:
        """Take from what *line* has waiting, its destinations in turns."""
        transaction = self._transaction
        entries = [key for key, _ in transaction.scan((LINE, *line), limit=MAX_LINE)]
        for position, key in enumerate(entries):
            if self._left <= 0:
                self._claimed.more = True
                return
            destination = cast(str, key[4])
            standing = self._order.standing(destination)
            closed = standing.until_ms > self._now_ms
            if standing.frozen or (not closed and self._room(standing) <= 0):
                return
            # With others in the line after it, a destination leaves them half of the room.
            share = self._room(standing) if position == len(entries) - 1 else -(-self._room(standing) // 2)
            if self._work(standing, destination, line.lane, share):
                transaction.delete(key)
            elif not closed:
                transaction.delete(key)
                transaction.put((LINE, *line, self._now_ms, destination), b"")
            else:
                self._claimed.more = True
        if not any(True for _ in transaction.scan((LINE, *line), limit=1)):
            self._claimed.emptied.append(line)

    # -- Turns

    def take_turns(self, priority_class: str) -> None:
        """Let the lanes of a class that are due take what they may."""
        now_ms, transaction = self._now_ms, self._transaction
        start, stop = (TURN, priority_class, 0), (TURN, priority_class, now_ms + 1)
        keys: dict[str, Key] = {}
        for key, _ in list(transaction.scan(start, stop, limit=MAX_LANES)):
            lane = cast(str, key[3])
            if lane in keys:
                transaction.delete(key)
            else:
                keys[lane] = key
        # Of lanes that have waited equally long those behind the last one are next.
        last = self._order.last.get(priority_class, "")
        turns = sorted(keys.items(), key=lambda turn: (turn[1][2], turn[0] <= last, turn[0]))
        for position, (lane, key) in enumerate(turns):
            if self._left <= 0:
                return
            self._claimed.last[priority_class] = lane
            if self._order.paused(lane):
                transaction.delete(key)
                transaction.put((TURN, priority_class, now_ms + PAUSED_LOOK_MS, lane), b"")
                continue
            next_ms = self._take_turn(lane, -(-self._left // (len(turns) - position)))
            transaction.delete(key)
            if next_ms is not None:
                transaction.put((TURN, priority_class, next_ms, lane), b"")

    def _take_turn(self, lane: str, share: int) -> int | None:
        """Take at most *share* recipients of *lane*; return when the lane has its next turn."""
        now_ms, transaction = self._now_ms, self._transaction
        until = self._left - share
        met: set[str] = set()
        looked_up = True
        # Most hints bring something: no need to look at many more than the share can use.
        limit = min(MAX_HINTS, max(10, 2 * share))
        for key, _ in list(transaction.scan((DUE, lane, 0), (DUE, lane, now_ms + 1), limit=limit)):
            destination = cast(str, key[3])
            if destination in met:
                transaction.delete(key)
                continue
            if self._left <= until:
                return self._again()
            met.add(destination)
            standing = self._order.standing(destination)
            open_ = standing.until_ms <= now_ms
            if open_ and not standing.frozen and not standing.known and self._room(standing) <= 0:
                # Its site will be known in a moment; then the lane stands in that site's line.
                looked_up = False
                continue
            if standing.frozen or (open_ and self._room(standing) <= 0):
                self._park(standing.site, lane, key)
            elif self._work(standing, destination, lane, min(self._room(standing), self._left - until)):
                transaction.delete(key)
            elif open_ and standing.known and self._room(standing) <= 0:
                self._park(standing.site, lane, key)
            elif open_ and self._room(standing) <= 0:
                looked_up = False
            else:
                return self._again()
        if not looked_up:
            return now_ms + LOOKUP_MS
        for key, _ in transaction.scan((DUE, lane), limit=1):
            return cast(int, key[2]) if cast(int, key[2]) > now_ms else self._again()
        return None

    def _again(self) -> int:
        """Return when a lane that has more goes on: behind all that have waited longer."""
        self._claimed.more = True
        return self._now_ms

    def _park(self, site: str, lane: str, key: Key) -> None:
        """Move what the hint *key* stands for into the line of *site*."""
        self._transaction.delete(key)
        self._transaction.put((LINE, site, lane, self._now_ms, key[3]), b"")
        line = Line(site, lane)
        if line not in self._claimed.parked:
            self._claimed.parked.append(line)

    # -- Taking

    def _room(self, standing: Standing) -> int:
        return standing.room - self._taken.get(standing.site, 0)

    def _work(self, standing: Standing, destination: str, lane: str, share: int) -> bool:
        """Claim, or put off, what *lane* has due at *destination*; return True when that is all.

        Then the next that will be due there has its hint.
        """
        if standing.until_ms > self._now_ms:
            done = self._put_off(destination, lane, standing.until_ms)
            skipped = False
        else:
            keys, done, skipped = self._due(destination, lane, share)
            for group in _by_message(keys):
                self._claim_message(group, standing.site)
        if done:
            next_ms = first_due_ms(self._transaction, destination, lane, self._now_ms)
            if skipped:
                next_ms = min(next_ms or END_OF_TIME, self._now_ms + UNDER_WAY_MS)
            if next_ms is not None:
                self._transaction.put((DUE, lane, next_ms, destination), b"")
                self._transaction.put((TURN, lane[0], next_ms, lane), b"")
        return done

    def _due(self, destination: str, lane: str, messages: int) -> tuple[list[Key], bool, bool]:
        """Return the index entries to claim, whether these are all, and whether some are under way."""
        keys: list[Key] = []
        met: set[str] = set()
        skipped = False
        start, stop = (DESTINATION, destination, lane, 0), (DESTINATION, destination, lane, self._now_ms + 1)
        for key, _ in self._transaction.scan(start, stop):
            queue_id, number = cast(str, key[4]), cast(int, key[5])
            if (queue_id, number) in self._order.under_way:
                skipped = True
                continue
            if len(keys) >= self._left or (queue_id not in met and len(met) >= messages):
                return keys, False, skipped
            met.add(queue_id)
            keys.append(key)
        return keys, True, skipped

    def _put_off(self, destination: str, lane: str, until_ms: int) -> bool:
        """Let what is due wait until *until_ms*, or answer it; return True when all of it was seen to."""
        start, stop = (DESTINATION, destination, lane, 0), (DESTINATION, destination, lane, self._now_ms + 1)
        keys = [key for key, _ in self._transaction.scan(start, stop, limit=self._may_put_off + 1)]
        done = len(keys) <= self._may_put_off
        for group in _by_message(keys[: self._may_put_off]):
            self._put_off_message(group, until_ms)
        self._may_put_off -= min(len(keys), self._may_put_off)
        return done

    def _put_off_message(self, keys: list[Key], until_ms: int) -> None:
        queue_id = cast(str, keys[0][4])
        message = load_message(self._transaction, queue_id)
        owed: list[tuple[int, RecipientRecord]] = []
        for _, number, recipient in self._loaded(keys, message):
            assert message is not None
            schedule = self._order.schedule
            marks = schedule.marks(message, recipient.destination)
            if (
                (0 < marks.notice_ms <= self._now_ms and not recipient.told)
                or (0 < marks.by_ms <= self._now_ms and not recipient.told_by)
                or schedule.is_over(self._now_ms, marks)
            ):
                owed.append((number, recipient))
            due_ms = schedule.kept(until_ms, self._now_ms + 1000, marks)
            move(self._transaction, queue_id, number, recipient, due_ms)
            self._claimed.put_off += 1
        if message is not None and owed:
            destination, lane = cast(str, keys[0][1]), cast(str, keys[0][2])
            self._claimed.answers.append(Claim(queue_id, destination, lane, message, tuple(owed)))

    def _claim_message(self, keys: list[Key], site: str) -> None:
        """Claim some recipients of one message; they share their next attempt, so that they go together
        again.
        """
        _, destination, lane, _, queue_id, _ = keys[0]
        assert isinstance(destination, str)
        assert isinstance(lane, str)
        assert isinstance(queue_id, str)
        message = load_message(self._transaction, queue_id)
        next_ms: dict[int, int] = {}
        recipients: list[tuple[int, RecipientRecord]] = []
        for key, number, recipient in self._loaded(keys, message):
            assert message is not None
            recipient.attempts += 1
            recipient.claim = self._order.run
            if recipient.attempts not in next_ms:
                marks = self._order.schedule.marks(message, destination)
                next_ms[recipient.attempts] = self._order.schedule.next_attempt_ms(
                    recipient.attempts, self._now_ms, marks
                )
            self._transaction.delete(key)
            recipient.next_attempt_ms = next_ms[recipient.attempts]
            # No hints of its own: those that are left for the lane and the destination cover it.
            entry = (DESTINATION, destination, lane, recipient.next_attempt_ms, queue_id, number)
            self._transaction.put(entry, b"")
            save_recipient(self._transaction, queue_id, number, recipient)
            recipients.append((number, recipient))
        if message is not None and recipients:
            made = Claim(queue_id, destination, lane, message, tuple(recipients), self._order.batch)
            self._claimed.claims.append(made)
            self._left -= len(recipients)
            self._taken[site] = self._taken.get(site, 0) + 1

    def _loaded(
        self, keys: list[Key], message: MessageRecord | None
    ) -> Iterable[tuple[Key, int, RecipientRecord]]:
        """Yield the recipients of index entries that are true; others are removed."""
        for key in keys:
            number = cast(int, key[5])
            recipient = load_recipient(self._transaction, cast(str, key[4]), number)
            if message is None or recipient is None or not belongs(key, recipient):
                self._transaction.delete(key)
            else:
                yield key, number, recipient


def _by_message(keys: list[Key]) -> Iterable[list[Key]]:
    """Group index entries by message, at most ``MAX_PER_ATTEMPT`` in a group, in their order."""
    groups: dict[str, list[Key]] = {}
    for key in keys:
        queue_id = cast(str, key[4])
        group = groups.setdefault(queue_id, [])
        group.append(key)
        if len(group) == MAX_PER_ATTEMPT:
            yield groups.pop(queue_id)
    yield from groups.values()
