"""What is known of other servers fades, and never fills the memory."""

from __future__ import annotations

from twisted.internet.task import Clock

from fedaemon.smtp.remembered import MOST, Remembered


def test_an_entry_fades_after_its_time() -> None:
    clock = Clock()
    known: Remembered[int] = Remembered(clock, 10)
    known.put("a", 1)
    clock.advance(9)
    assert known.get("a") == 1
    known.put("a", 2)
    clock.advance(9)
    assert known.get("a") == 2
    clock.advance(1)
    assert known.get("a") is None


def test_the_oldest_entry_is_forgotten_first() -> None:
    known: Remembered[int] = Remembered(Clock(), 10)
    for number in range(MOST):
        known.put(number, number)
    known.put(0, 0)
    known.put("one more", 1)
    assert (known.get(0), known.get(1), known.get(2)) == (0, None, 2)
