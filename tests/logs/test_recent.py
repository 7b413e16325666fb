"""The latest problems."""

from __future__ import annotations

from twisted.logger import LogEvent

from fedaemon.logs import Logger
from fedaemon.logs.recent import KEPT, KEPT_OF_ONE, MAX_TEXT, Recent
from tests.logs.conftest import Written


def kept(events: list[LogEvent]) -> Recent:
    recent = Recent()
    for event in events:
        recent(event)
    return recent


def test_only_problems_are_kept(events: Written) -> None:
    """From warnings on, oldest first, with what is shown of them."""
    events.log.info(event="login")
    events.log.warn("it is wrong", event="login-failed", address="192.0.2.7")
    events.fail(ZeroDivisionError("no"))
    first, second = kept(events).problems()
    assert first == {
        "at": int(events[1]["log_time"] * 1000),
        "level": "warn",
        "event": "login-failed",
        "text": "login-failed: it is wrong address=192.0.2.7",
    }
    assert (second["level"], second["text"]) == (
        "critical",
        "defect: it failed session=3: ZeroDivisionError: no",
    )


def test_one_kind_does_not_hide_the_others(events: Written) -> None:
    """A night of guessed passwords, and one full disk before it."""
    events.log.error(event="store-awaited")
    for number in range(1000):
        events.log.warn(event="login-failed", session=number)
    problems = kept(events).problems()
    assert problems[0]["event"] == "store-awaited"
    assert len(problems) == 1 + KEPT_OF_ONE
    assert problems[-1]["text"] == "login-failed session=999"


def test_it_is_bounded(events: Written) -> None:
    for number in range(KEPT):
        for _ in range(3):
            events.log.warn(event=f"x-{number}", reason="y" * 10 * MAX_TEXT)
    problems = kept(events).problems()
    assert len(problems) == KEPT
    assert max(len(each["text"]) for each in problems) == MAX_TEXT


def test_it_watches_from_its_beginning_to_its_end() -> None:
    recent = Recent()
    log = Logger()
    log.warn(event="before")
    recent.begin()
    log.warn(event="meanwhile")
    recent.end()
    log.warn(event="after")
    assert [each["event"] for each in recent.problems()] == ["meanwhile"]
