"""When a round of the upkeep is done: at the start and when it is asked for, not by an alarm left over."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from fedaemon.mailbox.upkeep_pace import Round


class Work:
    """Rounds that take until they are told to end; *under_way* are those."""

    def __init__(self, clock: Clock) -> None:
        self.begun = 0
        self.under_way: list[Deferred[None]] = []
        self.round = Round(clock, clock.seconds, self._work, "the work of a test")

    async def _work(self) -> None:
        self.begun += 1
        end: Deferred[None] = Deferred()
        self.under_way.append(end)
        await end

    def finish(self) -> None:
        """The round under way is over."""
        self.under_way.pop().callback(None)


def test_an_alarm_for_a_round_that_has_begun_already_wakes_nobody() -> None:
    """Asked for twice during a round, the second time when it was due, and over before that alarm has rung."""
    clock = Clock()
    work = Work(clock)
    work.round.start()
    work.round.soon(1)
    clock.advance(2)
    work.round.soon(1)
    work.finish()
    assert work.begun == 2
    clock.advance(0)
    work.finish()
    assert (work.begun, clock.getDelayedCalls()) == (2, [])


def test_a_round_that_is_asked_for_during_another_follows_in_its_time() -> None:
    """Not at once, and not at the time at which the first has ended."""
    clock = Clock()
    work = Work(clock)
    work.round.start()
    work.round.soon(3)
    clock.advance(1)
    work.finish()
    clock.advance(1.9)
    assert work.begun == 1
    clock.advance(0.2)
    assert work.begun == 2
