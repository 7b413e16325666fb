"""Spans of time as administrators write them: "5d", "12h", "1d12h", "90s" or "0".

The same form as in the settings, for what is kept for each domain and so is written by commands and in the
directory's text.

Invariants: ``parse_span(show_span(n)) == n``.
Limits: ``MAX_DIGITS`` in a number.
"""

from __future__ import annotations

import re
from typing import Final

from fedaemon.errors import BadSyntax

MAX_DIGITS: Final = 9

_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPAN: Final = re.compile(rf"(?:[0-9]{{1,{MAX_DIGITS}}}[dhms])+|0").fullmatch
_PART: Final = re.compile(r"([0-9]+)([dhms])").findall


def parse_span(text: str, *, low_s: int, high_s: int) -> int:
    """Return the seconds that *text* says.

    :raises BadSyntax: it is no span, or not from *low_s* to *high_s*; the text says what to write.
    """
    if _SPAN(text) is None:
        raise BadSyntax(f'"{text}" is no time; write it such as "5d", "4h", "30m", "90s" or "0"')
    total_s = sum(int(number) * _UNITS[unit] for number, unit in _PART(text))
    if not low_s <= total_s <= high_s:
        raise BadSyntax(f'"{text}" is not from {show_span(low_s)} to {show_span(high_s)}')
    return total_s


def show_span(span_s: int) -> str:
    """Return a span in the largest units that say it exactly."""
    parts = []
    for unit, size in _UNITS.items():
        number, span_s = divmod(span_s, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0"
