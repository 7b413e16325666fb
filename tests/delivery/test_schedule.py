"""The retry schedule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.delivery.schedule import DAY_MS, FIRST_DELAY_MS, HOUR_MS, MINUTE_MS, Schedule

NOW = 1_750_000_000_000
FAR = NOW + 1000 * DAY_MS


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80)])
def test_early_attempts_double(attempts: int, minutes: int) -> None:
    """5, 10, 20, 40, 80 minutes, a tenth up or down."""
    for value, factor in ((0.0, 0.9), (0.5, 1.0), (0.999, 1.1)):
        schedule = Schedule(notice_ms=0, random=lambda value=value: value)  # type: ignore[misc]
        delay = schedule.next_attempt_ms(attempts, NOW, NOW, FAR) - NOW
        assert delay == pytest.approx(minutes * MINUTE_MS * factor, rel=0.001)


@given(st.integers(6, 1000), st.floats(0, 1, exclude_max=True))
def test_late_attempts_are_two_to_four_hours_apart(attempts: int, value: float) -> None:
    """However many there were before."""
    delay = Schedule(notice_ms=0, random=lambda: value).next_attempt_ms(attempts, NOW, NOW, FAR) - NOW
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
    schedule = Schedule(lifetime, notice, lambda: value)
    accepted = NOW - age
    expires = schedule.expires_ms(accepted)
    following = schedule.next_attempt_ms(attempts, NOW, accepted, expires)
    assert following >= NOW + 0.9 * FIRST_DELAY_MS
    assert following % 1000 == 0
    if not schedule.is_over(NOW, expires):
        assert following < expires + 1000


def test_the_notice_and_the_end_are_attempts_of_their_own() -> None:
    """A delay that would run past them is cut there, unless they are too near."""
    schedule = Schedule(lifetime_ms=DAY_MS, notice_ms=4 * HOUR_MS, random=lambda: 0.5)
    at = NOW + 2 * HOUR_MS
    assert schedule.next_attempt_ms(6, at, NOW, NOW + DAY_MS) == NOW + 4 * HOUR_MS
    near = NOW + 4 * HOUR_MS - FIRST_DELAY_MS + 1
    assert schedule.next_attempt_ms(6, near, NOW, NOW + DAY_MS) > NOW + 5 * HOUR_MS
    assert schedule.next_attempt_ms(9, NOW + 23 * HOUR_MS, NOW, NOW + DAY_MS) == NOW + DAY_MS


def test_a_lifetime_ends_when_no_attempt_fits_any_more() -> None:
    """Over: when another attempt could only come after the end."""
    schedule = Schedule()
    assert not schedule.is_over(NOW, NOW + FIRST_DELAY_MS)
    assert schedule.is_over(NOW, NOW + FIRST_DELAY_MS - 1)
