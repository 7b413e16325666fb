"""The parameters of MAIL that say when a message is to go: HOLDFOR, HOLDUNTIL, BY and MT-PRIORITY.

Only their syntax is read here; whether the client may, and whether the times can be, is for the caller, who
knows the account and the time. They are known in a session to which the caller made an ``Offer``.

Standards: RFC 4865 3 (HOLDFOR, HOLDUNTIL), RFC 3339 5.6 (date-time), RFC 2852 4 (BY), RFC 6710 7
(MT-PRIORITY).
Limits: nine digits of seconds, as the standards say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from fedaemon.errors import BadSyntax
from fedaemon.smtp.verbs.params import bad_param

_SECONDS: Final = re.compile(rb"[1-9][0-9]{0,8}").fullmatch
_BY: Final = re.compile(rb"([+-]?[0-9]{1,9});([NR]T?)", re.IGNORECASE).fullmatch
_PRIORITY: Final = re.compile(rb"-?[1-9]|0").fullmatch
_DATE_TIME: Final = re.compile(
    rb"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    rb"(?:Z|([+-])([0-9]{2}):([0-9]{2}))",
    re.IGNORECASE,
).fullmatch


def _hold_for(name: bytes, value: bytes | None) -> int:
    """Return the seconds. Spec: RFC 4865 3"""
    if value is None or _SECONDS(value) is None:
        raise bad_param(name, "takes a number of seconds from 1 to 999999999")
    return int(value)


def _hold_until(name: bytes, value: bytes | None) -> int:
    """Return the moment in ms since the epoch. Spec: RFC 4865 3 (with its erratum 2040), RFC 3339 5.6"""
    moment_ms = None if value is None else read_date_time(value)
    if moment_ms is None:
        raise bad_param(name, "takes a date and time such as 2026-01-31T08:00:00Z")
    return moment_ms


def read_date_time(text: bytes) -> int | None:
    """Return the moment that an RFC 3339 date-time names, in ms since the epoch, rounded up; None if it is none.

    Spec: RFC 3339 5.6, 5.7
    """
    match = _DATE_TIME(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, zone_hours, zone_minutes = match.groups()[6:]
    offset_s = 0
    if sign is not None:
        if int(zone_hours) > 23 or int(zone_minutes) > 59:
            return None
        offset_s = (int(zone_hours) * 60 + int(zone_minutes)) * (-60 if sign == b"-" else 60)
    leap = second == 60
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    except ValueError:
        return None
    # Rounded up, because nothing may be released early.
    fraction_ms = 0 if fraction is None else -(-int(fraction.ljust(9, b"0")) // 1_000_000)
    return (int(moment.timestamp()) + leap - offset_s) * 1000 + fraction_ms


def _deliver_by(name: bytes, value: bytes | None) -> tuple[int, str]:
    """Return the seconds and the mode. Spec: RFC 2852 4"""
    match = None if value is None else _BY(value)
    if match is None:
        raise bad_param(name, "takes seconds;N or seconds;R, with T behind it for a trace")
    seconds, mode = int(match[1]), match[2].decode("ascii").upper()
    if seconds <= 0 and mode[0] == "R":
        raise bad_param(name, "with R takes more than 0 seconds")
    return seconds, mode


def _priority(name: bytes, value: bytes | None) -> int:
    """Return the priority. Spec: RFC 6710 4.1, 7"""
    if value is None or _PRIORITY(value) is None:
        raise BadSyntax("The parameter MT-PRIORITY takes a number from -9 to 9")
    return int(value)


WISHES: Final[dict[bytes, tuple[str, Callable[[bytes, bytes | None], Any]]]] = {
    b"HOLDFOR": ("hold_for_s", _hold_for),
    b"HOLDUNTIL": ("hold_until_ms", _hold_until),
    b"BY": ("deliver_by", _deliver_by),
    b"MT-PRIORITY": ("priority", _priority),
}
"""For each parameter the field of ``submission.wishes.Wishes`` and what reads its value."""
