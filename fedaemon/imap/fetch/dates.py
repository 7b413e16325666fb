"""Moments as FETCH shows them.

Standards: RFC 9051 9 (date-time), RFC 8514 4.
Invariants: always +0000: the time zone of an internal date is not kept.
Limits: the years 1 to 9999, which date-time can write; what is beyond becomes the nearest of those days.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final

_DAY_S: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_MONTHS: Final = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def date_time(seconds: int) -> bytes:
    """Return a moment, quoted; *seconds* since 1970 UTC. Spec: RFC 9051 9 (date-time)"""
    day, second = divmod(seconds, _DAY_S)
    minute, second = divmod(second, 60)
    return b'"%b %02d:%02d:%02d +0000"' % (_day(day), *divmod(minute, 60), second)


@lru_cache(maxsize=4096)
def _day(number: int) -> bytes:
    """Return a day; messages of a list share a few, and this is what costs."""
    day = date.fromordinal(min(max(_EPOCH + number, 1), date.max.toordinal()))
    return b"%02d-%b-%04d" % (day.day, _MONTHS[day.month - 1], day.year)
