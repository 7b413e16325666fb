"""Dates of header fields, written strictly and read in the forms that real software writes.

Standards: RFC 5322 3.3 (date-time), 4.3 (obsolete forms: two-digit years, named zones, comments).
Invariants: ``parse_date(format_date(t).encode()) == int(t)``; reading raises nothing.
Limits: MAX_DATE_OCTETS; dates before 1970-01-02 and after the year 9999 are unusable.
Known gaps: a wrong day of the week is not noticed; forms without a zone are unusable.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from time import gmtime
from typing import Final

MAX_DATE_OCTETS: Final = 256
"""A date with a comment or two has under 100."""
MAX_COMMENT_DEPTH: Final = 8
"""Comments within comments."""
FIRST_USABLE_S: Final = 86_400
"""Before 1970-01-02 a date is a clock that was never set, in whatever zone."""
LAST_USABLE_S: Final = 253_402_300_800
"""The year 10000, which RFC 5322 cannot write."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS: Final = {name.lower().encode(): number for number, name in enumerate(_MONTHS, 1)}
_ZONE_HOURS: Final = {
    b"edt": -4,
    b"est": -5,
    b"cdt": -5,
    b"cst": -6,
    b"mdt": -6,
    b"mst": -7,
    b"pdt": -7,
    b"pst": -8,
}

_COMMENT = re.compile(rb"\((?:[^()\\]|\\.)*+\)").sub
_DATE = re.compile(
    rb"(?:(?:mon|tue|wed|thu|fri|sat|sun)[ \t]*+,)?+[ \t]*+"
    rb"(\d{1,2})[ \t]++([a-z]{3})[ \t]++(\d{2,4})[ \t]++"
    rb"(\d{1,2})[ \t]*+:[ \t]*+(\d{2})(?:[ \t]*+:[ \t]*+(\d{2}))?+[ \t]*+"
    rb"(?:([+-])(\d{2})(\d{2})|([a-z]++))"
).fullmatch


def format_date(epoch_s: float) -> str:
    """Return a moment as an RFC 5322 date in UTC.

    :param epoch_s: seconds since the epoch, within the years 1900 to 9999.

    Spec: RFC 5322 3.3
    """
    year, month, day, hour, minute, second, weekday, _, _ = gmtime(epoch_s)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{second:02} +0000"


def parse_date(value: bytes) -> float | None:
    """Return the moment that a date names.

    :param value: an unfolded field value.
    :returns: seconds since the epoch, or None when it cannot be used: no date, no such day, before
        1970-01-02, or after the year 9999.

    Spec: RFC 5322 3.3, 4.3
    """
    zoned = parse_zoned_date(value)
    return None if zoned is None else zoned[0]


def parse_zoned_date(value: bytes) -> tuple[float, int] | None:
    """Return the moment that a date names, and the zone it is written in.

    :param value: an unfolded field value.
    :returns: seconds since the epoch and minutes east of UTC, -5999 to 5999; None where ``parse_date`` has none.

    Spec: RFC 5322 3.3, 4.3
    """
    if len(value) > MAX_DATE_OCTETS:
        return None
    text = value.lower()
    if b"(" in text:
        for _ in range(MAX_COMMENT_DEPTH):
            text = _COMMENT(b" ", text)
    match = _DATE(text.strip(b" \t"))
    if match is None:
        return None
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes, zone = match.groups()
    try:
        moment = datetime(
            _full_year(year),
            _MONTH_NUMBERS[month],
            int(day),
            int(hour),
            int(minute),
            59 if second == b"60" else int(second or 0),  # a leap second has no number of its own
            tzinfo=UTC,
        )
    except (KeyError, ValueError):
        return None
    # RFC 5322 4.3: a zone we do not know, and the military letters (which RFC 822 had wrong), mean UTC.
    zone_min = _ZONE_HOURS.get(zone, 0) * 60
    if sign is not None:
        if int(zone_minutes) > 59:
            return None
        zone_min = (int(zone_hours) * 60 + int(zone_minutes)) * (-1 if sign == b"-" else 1)
    epoch_s = moment.timestamp() - zone_min * 60
    return (epoch_s, zone_min) if FIRST_USABLE_S <= epoch_s < LAST_USABLE_S else None


def _full_year(digits: bytes) -> int:
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + 2000 if len(digits) == 2 and year < 50 else year + 1900
