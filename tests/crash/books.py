"""The books that must balance after all crashes: what was promised, what arrived, and what the timelines say.

The store is read directly, in one view, so that thousands of messages cost seconds and a look right after a
kill sees exactly what the kill left.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from fedaemon.ctl.store import CHECKERS
from fedaemon.delivery.records import recipients_of as stored_recipients
from fedaemon.store.interface import Snapshot
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.records import decode
from fedaemon.store.spaces import CLAIM, LINE, SITE, TIMELINE
from fedaemon.store.verify import Finding, verify
from tests.crash.load import NOBODY, REMOTE, Load, recipients_of
from tests.crash.sink import Sink, mark_of
from tests.e2e.peers import ALICE, BOB, World

T = TypeVar("T")


@contextmanager
def opened(world: World) -> Iterator[LmdbEngine]:
    """The store of a daemon, as fedaemonctl opens it."""
    engine = LmdbEngine.open(world.daemon.directory / "data", create=False)
    try:
        yield engine
    finally:
        engine.close()


def look(world: World, function: Callable[[Snapshot], T]) -> T:
    """Return what *function* sees in the store."""
    with opened(world) as engine:
        return engine.view(function)


@dataclass(frozen=True, slots=True)
class Wreck:
    """What a kill left: what ``fedaemonctl verify`` finds, and how many hints and notes of each kind."""

    findings: list[Finding]
    claims: int
    lines: int
    sites: int


def inspect(world: World) -> Wreck:
    """Look at the store right after a kill."""
    with opened(world) as engine:
        findings = verify(engine, [make() for make in CHECKERS], repair=False, progress=lambda text: None)
        return engine.view(
            lambda snapshot: Wreck(
                findings, *(sum(1 for _ in snapshot.scan((space,))) for space in (CLAIM, LINE, SITE))
            )
        )


class Excuses:
    """The moments in which the timelines admit that a copy may have been taken without our knowing."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._interrupted = Counter[tuple[str, int]]()
        self._in_doubt = Counter[tuple[str, int]]()

    @classmethod
    def read(cls, world: World, queue_ids: list[str]) -> Excuses:
        """Read the timelines of all messages."""
        excuses = cls()

        def gather(snapshot: Snapshot) -> None:
            for queue_id in queue_ids:
                for number, recipient in stored_recipients(snapshot, queue_id):
                    excuses._numbers[queue_id, recipient.address] = number
            for key, value in snapshot.scan((TIMELINE,)):
                assert isinstance(key[1], str)
                entry = decode(value)
                for number in entry.get("recipients", ()):
                    if entry["event"] == "interrupted":
                        excuses._interrupted[key[1], number] += 1
                    elif entry.get("phase") == "content" and not entry.get("code"):
                        excuses._in_doubt[key[1], number] += 1

        look(world, gather)
        return excuses

    def interrupted(self, queue_id: str, address: str) -> int:
        """How often the daemon died with an attempt for a recipient under way."""
        return self._interrupted[queue_id, self._numbers[queue_id, address]]

    def in_doubt(self, queue_id: str, address: str) -> int:
        """How often the reply to the final dot was lost."""
        return self._in_doubt[queue_id, self._numbers[queue_id, address]]


def check_books(world: World, load: Load, sink: Sink) -> None:
    """Compare what was answered 250 with what arrived, and each second copy with its excuse."""
    check_remote(world, load, sink)
    check_local(world, load)
    check_reports(world, load)


def check_remote(world: World, load: Load, sink: Sink) -> None:
    """Nothing is lost on the way to other servers, and each copy too many has its excuse in the timeline."""
    answered = Counter[tuple[int, str]]()
    dropped = Counter[tuple[int, str]]()
    for copy in sink.copies:
        for recipient in copy.recipients:
            (answered if copy.answered else dropped)[copy.mark, recipient] += 1
    wanted = [(mark, recipient) for mark in load.accepted for recipient in REMOTE]
    lost = [each for each in wanted if not answered[each] + dropped[each]]
    assert lost == [], f"{len(lost)} of {len(wanted)} copies lost on the way to the remote server"
    excuses = Excuses.read(world, list(load.accepted.values()))
    unexplained = []
    for mark, recipient in wanted:
        queue_id = load.accepted[mark]
        interrupted = excuses.interrupted(queue_id, recipient)
        in_doubt = excuses.in_doubt(queue_id, recipient)
        got, unsaid = answered[mark, recipient], dropped[mark, recipient]
        # Who was answered is tried again only when we died over the answer; who was not, also when we lived.
        if got - 1 > interrupted or got + unsaid - 1 > interrupted + in_doubt:
            unexplained.append((queue_id, recipient, got, unsaid, interrupted, in_doubt))
    assert unexplained == [], "copies too many: (queue id, recipient, answered, unanswered, deaths, doubts)"


def check_local(world: World, load: Load) -> None:
    """Local delivery is one transaction with its bookkeeping: there is no moment for a second copy."""
    local = Counter(mark_of(content) for content in world.daemon.mailbox(BOB))
    mixed = [mark for mark in load.accepted if BOB in recipients_of(mark)]
    assert [mark for mark in mixed if local[mark] != 1] == [], "not exactly once in the mailbox"


def check_reports(world: World, load: Load) -> None:
    """Who was refused is reported to the sender, once: the report is queued with the outcome."""
    reported = Counter[int]()
    for report in world.daemon.mailbox(ALICE):
        assert NOBODY.encode() in report, report[:2000]
        # The enclosed header stands at the beginning of a line, after that of the report itself.
        (mark,) = re.findall(rb"\r\nX-Mark: (\d+)\r\n", report)
        reported[int(mark)] += 1
    mixed = [mark for mark in load.accepted if NOBODY in recipients_of(mark)]
    assert [mark for mark in mixed if not reported[mark]] == [], "refused, and the sender never heard"
    assert [mark for mark in mixed if reported[mark] > 1] == [], "reported more than once"
