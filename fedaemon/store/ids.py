"""Names for messages and blobs: 16 characters that sort by time.

48 bits of milliseconds, then 32 bits that start at random in each millisecond and grow by random steps, in
Crockford's base 32 (no I, L, O, U, so that people can read them out).

Invariants: ids of one process are strictly increasing, also when the clock stands still or goes back; ids of
two processes, or of one before and after a restart, differ unless 32 random bits of the same millisecond
coincide.
"""

from __future__ import annotations

import threading
from random import SystemRandom

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_LENGTH = 16

_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_CHARACTERS = frozenset(ALPHABET)
_random = SystemRandom().getrandbits
_lock = threading.Lock()
_last = 0

STEP_BITS = 16
"""Ids of one millisecond are 1..2**16 apart: room for some 32,000, and no guessing the next."""


def new_id(now_ms: int) -> str:
    """Return a new id.

    :param now_ms: the time, in milliseconds since the epoch, 0..2**48-1.
    """
    global _last
    with _lock:
        # The top bit stays free at first, so that a busy millisecond seldom runs over into the next.
        fresh = now_ms > _last >> 32
        _last = number = now_ms << 32 | _random(31) if fresh else _last + 1 + _random(STEP_BITS)
    pairs = _PAIRS
    return "".join([pairs[number >> shift & 1023] for shift in (70, 60, 50, 40, 30, 20, 10, 0)])


def is_id(text: str) -> bool:
    """Tell whether *text* is written as ``new_id`` writes ids."""
    return len(text) == ID_LENGTH and _CHARACTERS.issuperset(text)
