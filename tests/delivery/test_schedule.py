"""The retry schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.delivery.records import MessageRecord
from fedaemon.delivery.schedule import DAY_MS, FIRST_DELAY_MS, HOUR_MS, MINUTE_MS, Marks, Schedule

NOW = 1_750_000_000_000
FAR = Marks(0, 0, NOW + 1000 * DAY_MS)


def message(**more: Any) -> MessageRecord:
    """Return a message that was accepted NOW."""
    return MessageRecord("a@example.test", NOW, 1, "blob", 1, **more)


def until(expires_ms: int, notice_ms: int = 0) -> Marks:
    return Marks(notice_ms, 0, expires_ms)


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80)])
def test_early_attempts_double(attempts: int, minutes: int) -> None:
    """5, 10, 20, 40, 80 minutes, a tenth up or down."""
    for value, factor in ((0.0, 0.9), (0.5, 1.0), (0.999, 1.1)):
        schedule = Schedule(notice_ms=0, random=lambda value=value: value)  # type: ignore[misc]
        delay = schedule.next_attempt_ms(attempts, NOW, FAR) - NOW
        assert delay == pytest.approx(minutes * MINUTE_MS * factor, rel=0.001)


@given(st.integers(6, 1000), st.floats(0, 1, exclude_max=True))
def test_late_attempts_are_two_to_four_hours_apart(attempts: int, value: float) -> None:
    """However many there were before."""
    delay = Schedule(notice_ms=0, random=lambda: value).next_attempt_ms(attempts, NOW, FAR) - NOW
    assert 2 * HOUR_MS <= delay <= 4 * HOUR_MS


@given(
    st.integers(1, 100),
    st.integers(0, 6 * DAY_MS),
    st.integers(0, 6 * DAY_MS),
    st.integers(0, DAY_MS),
    st.floats(0, 1, exclude_max=True),
)
def test_attempts_are_never_close_and_never_past_the_end(
    attempts: int, age: int, lifetime: int, notice: int, value: float
) -> None:
    """Whatever the settings: 4.5 minutes or more between two, whole seconds, none after the end."""
    schedule = Schedule(lifetime, notice, random=lambda: value)
    marks = schedule.marks(replace(message(), accepted_ms=NOW - age), "remote.test")
    following = schedule.next_attempt_ms(attempts, NOW, marks)
    assert following >= NOW + 0.9 * FIRST_DELAY_MS
    assert following % 1000 == 0
    if not schedule.is_over(NOW, marks):
        assert following < marks.expires_ms + 1000


def test_the_notice_and_the_end_are_attempts_of_their_own() -> None:
    """A delay that would run past them is cut there, unless they are too near."""
    schedule = Schedule(lifetime_ms=DAY_MS, notice_ms=4 * HOUR_MS, random=lambda: 0.5)
    marks = schedule.marks(message(), "remote.test")
    assert marks == Marks(NOW + 4 * HOUR_MS, 0, NOW + DAY_MS)
    assert schedule.next_attempt_ms(6, NOW + 2 * HOUR_MS, marks) == NOW + 4 * HOUR_MS
    near = NOW + 4 * HOUR_MS - FIRST_DELAY_MS + 1
    assert schedule.next_attempt_ms(6, near, marks) > NOW + 5 * HOUR_MS
    assert schedule.next_attempt_ms(9, NOW + 23 * HOUR_MS, marks) == NOW + DAY_MS


def test_a_lifetime_ends_when_no_attempt_fits_any_more() -> None:
    """Over: when another attempt could only come after the end."""
    schedule = Schedule()
    assert not schedule.is_over(NOW, until(NOW + FIRST_DELAY_MS))
    assert schedule.is_over(NOW, until(NOW + FIRST_DELAY_MS - 1))


def test_the_lifetime_is_the_routes_then_the_messages_then_the_settings() -> None:
    """The nearer says more: where it goes, whose it is, and what holds for all."""
    schedule = Schedule(
        lifetime_ms=3 * DAY_MS,
        lifetime_at=lambda destination: HOUR_MS if destination == "short.test" else None,
    )
    assert schedule.marks(message(), "remote.test").expires_ms == NOW + 3 * DAY_MS
    assert schedule.marks(message(lifetime_ms=DAY_MS), "remote.test").expires_ms == NOW + DAY_MS
    assert schedule.marks(message(lifetime_ms=DAY_MS), "short.test").expires_ms == NOW + HOUR_MS


def test_a_message_held_for_release_has_its_whole_life_after_it() -> None:
    """RFC 4865: neither lifetime nor delay notice run before the release."""
    marks = Schedule().marks(message(release_ms=NOW + DAY_MS), "remote.test")
    assert marks == Marks(NOW + DAY_MS + 4 * HOUR_MS, 0, NOW + 6 * DAY_MS)


def test_deliver_by_ends_a_life_or_marks_it() -> None:
    """RFC 2852: with R it is returned at that time, with N its sender is told and it goes on."""
    schedule = Schedule()
    back = schedule.marks(message(deliver_by_ms=NOW + HOUR_MS, deliver_by_mode="RT"), "remote.test")
    assert back.expires_ms == NOW + HOUR_MS
    told = schedule.marks(message(deliver_by_ms=NOW + HOUR_MS, deliver_by_mode="N"), "remote.test")
    assert told == Marks(NOW + 4 * HOUR_MS, NOW + HOUR_MS, NOW + 5 * DAY_MS)
    assert schedule.next_attempt_ms(5, NOW + 30 * MINUTE_MS, told) == NOW + HOUR_MS
