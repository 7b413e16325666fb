"""Things known about other servers for a while: what they cannot do, how much they take.

Limits: ``MOST`` entries; the oldest is forgotten first.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, Generic, TypeVar

MOST: Final = 1000

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """A table whose entries fade after *lasting_s* seconds of *clock*."""

    def __init__(self, clock: Any, lasting_s: float) -> None:
        self._clock = clock
        self._lasting_s = lasting_s
        self._entries: dict[Hashable, tuple[Value, float]] = {}

    def put(self, key: Hashable, value: Value) -> None:
        """Remember *value* from now on."""
        self._entries.pop(key, None)
        if len(self._entries) >= MOST:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (value, self._clock.seconds() + self._lasting_s)

    def forget(self, key: Hashable) -> None:
        """Remember nothing of *key*."""
        if self._entries:
            self._entries.pop(key, None)

    def get(self, key: Hashable) -> Value | None:
        """Return what is remembered, or None."""
        if not self._entries:
            return None
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= self._clock.seconds():
            del self._entries[key]
            return None
        return entry[0]
