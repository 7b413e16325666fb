"""Values that several commands take: sets of messages, flags, dates, part numbers.

Standards: RFC 9051 2.3.2, 9 (flag, date, date-time, section-part), RFC 9394 4 (partial-range).
Limits: MAX_KEYWORD_OCTETS, MAX_FLAGS, MAX_PARTS.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

from fedaemon.imap.grammar import ATOM
from fedaemon.imap.parse.cursor import Cursor
from fedaemon.imap.sequence_set import SEQUENCE_SET, SequenceSet, read_sequence_set

MAX_KEYWORD_OCTETS: Final = 100
"""Keywords of clients have under 30."""
MAX_FLAGS: Final = 100
"""Flags of one STORE or APPEND."""
MAX_PARTS: Final = 50
"""Numbers in a section: as deep as the shape of messages goes."""

SYSTEM_FLAGS: Final = {
    name.upper(): name for name in (b"\\Answered", b"\\Deleted", b"\\Draft", b"\\Flagged", b"\\Seen")
}
_MONTHS: Final = {
    name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1').match
_DATE_TIME = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
).match
_KEYWORD = re.compile(ATOM + rb"++").match
_SYSTEM_FLAG = re.compile(rb"\\[A-Za-z]++").match
_PART = re.compile(rb"[1-9][0-9]{0,9}+(?:\.[1-9][0-9]{0,9}+)*+").match
_PARTIAL_RANGE = re.compile(rb"(-?)([1-9][0-9]{0,9}):\1([1-9][0-9]{0,9})(?![0-9])").match


def sequence_set(cursor: Cursor) -> SequenceSet:
    """Take a set of message numbers or UIDs, or ``$``.

    Spec: RFC 9051 9 (sequence-set)
    """
    return read_sequence_set(cursor.take(SEQUENCE_SET, "a set of messages")[0])


def plain_set(cursor: Cursor) -> SequenceSet:
    """Take a set of numbers without ``*`` and ``$``, such as known UIDs.

    Spec: RFC 7162 7
    """
    start = cursor.position
    found = sequence_set(cursor)
    if found.saved or b"*" in cursor.text[start : cursor.position]:
        cursor.position = start
        cursor.fail("a set of numbers without * and $")
    return found


def flag(cursor: Cursor) -> bytes:
    """Take a flag that a client can set: a system flag in its usual case, or a keyword as it is.

    Spec: RFC 9051 2.3.2
    """
    start = cursor.position
    if cursor.at(b"\\"):
        name = SYSTEM_FLAGS.get(cursor.take(_SYSTEM_FLAG, "a flag")[0].upper())
        if name is None:
            cursor.position = start
            cursor.fail("a flag that can be set")
        return name
    return keyword(cursor)


def keyword(cursor: Cursor) -> bytes:
    """Take a keyword.

    Spec: RFC 9051 2.3.2
    """
    start = cursor.position
    name = cursor.take(_KEYWORD, "a flag")[0]
    if len(name) > MAX_KEYWORD_OCTETS:
        cursor.position = start
        cursor.fail(f"a keyword of at most {MAX_KEYWORD_OCTETS} octets")
    return name


def flag_list(cursor: Cursor) -> tuple[bytes, ...]:
    """Take flags in parentheses, each once, in the order of their first appearance.

    Spec: RFC 9051 9 (flag-list)
    """
    flags = tuple(dict.fromkeys(cursor.items(lambda: flag(cursor), empty=True)))
    if len(flags) > MAX_FLAGS:
        cursor.fail(f"at most {MAX_FLAGS} flags")
    return flags


def day(cursor: Cursor) -> date:
    """Take a date as SEARCH has it, quoted or not.

    Spec: RFC 9051 9 (date)
    """
    start = cursor.position
    _, number, month, year = cursor.take(_DATE, "a date such as 1-Jul-2026").groups()
    try:
        return date(int(year), _MONTHS[month.lower()], int(number))
    except (KeyError, ValueError):
        cursor.position = start
        cursor.fail("a day that exists")


def date_time(cursor: Cursor) -> int:
    """Take a moment; return seconds since the epoch.

    Spec: RFC 9051 9 (date-time)
    """
    start = cursor.position
    number, month, year, hour, minute, second, sign, hours, minutes = cursor.take(
        _DATE_TIME, 'a date such as " 1-Jul-2026 12:00:00 +0000"'
    ).groups()
    try:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        moment = datetime(
            int(year),
            _MONTHS[month.lower()],
            int(number),
            int(hour),
            int(minute),
            59 if second == b"60" else int(second),  # a leap second has no number of its own
            tzinfo=timezone(-offset if sign == b"-" else offset),
        )
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    except (KeyError, ValueError, OverflowError):
        cursor.position = start
        cursor.fail("a moment that exists")


def part_number(cursor: Cursor) -> tuple[int, ...]:
    """Take the number of a part such as 1.2.

    Spec: RFC 9051 9 (section-part)
    """
    start = cursor.position
    part = tuple([int(number) for number in cursor.take(_PART, "the number of a part")[0].split(b".")])
    if len(part) > MAX_PARTS:
        cursor.position = start
        cursor.fail("the number of a part that exists")
    return part


def partial_range(cursor: Cursor) -> tuple[int, int]:
    """Take a range such as 1:500, or -1:-100 counted from the end; negative numbers are returned as such.

    Returned with the number nearer to the start (1:500) or to the end (-1:-100) first.

    Spec: RFC 9394 4 (partial-range)
    """
    start = cursor.position
    sign, first, second = cursor.take(_PARTIAL_RANGE, "a range such as 1:500 or -1:-100").groups()
    low, high = sorted((int(first), int(second)))
    if high > 2**32 - 1:
        cursor.position = start
        cursor.fail("a range of 32-bit numbers")
    return (-low, -high) if sign else (low, high)
