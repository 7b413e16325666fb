"""Numbers of octets as administrators write them: "5GB", "500M" or "1048576".

As in the settings, 1 KB is 1024: "5G", "5GB" and "5GiB" are the same. For what is kept for each account and
domain, and so is written by commands and in the directory's text.

Invariants: ``parse_size(show_size(n)) == n``.
Limits: ``MAX_DIGITS`` in a number.
"""

from __future__ import annotations

import re
from typing import Final

from fedaemon.errors import BadSyntax

MAX_DIGITS: Final = 18

_UNITS: Final = {"T": 2**40, "G": 2**30, "M": 2**20, "K": 2**10}
_SIZE: Final = re.compile(
    rf"(?P<number>[0-9]{{1,{MAX_DIGITS}}})(?:(?P<unit>[KMGT])(?:i?B)?|B)?", re.ASCII | re.IGNORECASE
).fullmatch


def parse_size(text: str, *, low: int, high: int) -> int:
    """Return the octets that *text* says.

    :raises BadSyntax: it is no size, or not from *low* to *high*; the text says what to write.
    """
    found = _SIZE(text)
    if found is None:
        raise BadSyntax(f'"{text}" is no size; write it such as "5GB", "500MB" or a number of octets')
    unit = found["unit"]
    octets = int(found["number"]) * (_UNITS[unit.upper()] if unit else 1)
    if not low <= octets <= high:
        raise BadSyntax(f'"{text}" is not from {show_size(low)} to {show_size(high)}')
    return octets


def show_size(octets: int) -> str:
    """Return a size in the largest unit that says it exactly, as in the settings: "5GB"."""
    for unit, size in _UNITS.items():
        if octets and octets % size == 0:
            return f"{octets // size}{unit}B"
    return str(octets)


def rounded_size(octets: int) -> str:
    """Return a size as people read it: "1.2 GiB", "5 GiB", "312 octets"."""
    for unit, size in _UNITS.items():
        if octets >= size:
            return f"{octets / size:.1f}".removesuffix(".0") + f" {unit}iB"
    return f"{octets} octets"
