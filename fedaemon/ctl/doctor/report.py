"""Shows findings to people: area by area, the worst first, wrapped to the width of the terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from fedaemon.ctl.command import Context
from fedaemon.ctl.doctor.finding import LEVELS, Finding
from fedaemon.ctl.terminal import printable

MOST_COLUMNS: Final = 110
LEAST_COLUMNS: Final = 60
INDENT: Final = " " * 10


def show(context: Context, findings: Sequence[Finding], *, verbose: bool) -> None:
    """Print findings as JSON or for people."""
    context.show([finding.as_json() for finding in findings])
    if context.json:
        return
    columns = max(LEAST_COLUMNS, min(MOST_COLUMNS, shutil.get_terminal_size().columns))
    for line in lines(findings, columns, verbose=verbose):
        context.say(line)


def lines(findings: Sequence[Finding], columns: int, *, verbose: bool) -> Iterable[str]:
    """Yield the lines of a report on findings that are ordered by area."""
    for area, group in groupby(findings, key=lambda finding: finding.area):
        found = sorted(group, key=lambda finding: LEVELS.index(finding.level))
        shown = [finding for finding in found if verbose or finding.level != "ok"]
        yield f"{area}: {counted(found)}"
        for finding in shown:
            yield from paragraph(finding, columns)
    yield ""
    yield summary(findings)


def counted(findings: Sequence[Finding]) -> str:
    """Return how many there are of each level: "1 problem, 3 ok"."""
    numbers = Counter(finding.level for finding in findings)
    words = [
        f"{numbers[level]} {level}{'s' if numbers[level] != 1 and level != 'ok' else ''}"
        for level in LEVELS
        if numbers[level]
    ]
    return ", ".join(words)


def paragraph(finding: Finding, columns: int) -> Iterable[str]:
    """Yield the lines of one finding."""
    what = f"{finding.about}: {finding.what}" if finding.about else finding.what
    level = finding.level.upper() if finding.level == "problem" else finding.level
    yield from _wrapped(f"  {level}", what, columns)
    if finding.why:
        yield from _wrapped("     why", finding.why, columns)
    if finding.todo:
        yield from _wrapped("      do", finding.todo, columns)


def _wrapped(label: str, text: str, columns: int) -> Iterable[str]:
    """Wrap a text behind a label; what has lines of its own (a record for a zone file) keeps them."""
    first = f"{label:{len(INDENT)}} "
    for line in text.splitlines() or [""]:
        yield from textwrap.wrap(
            printable(line),
            columns,
            initial_indent=first,
            subsequent_indent=f"{INDENT} ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        first = f"{INDENT} "


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line."""
    numbers = Counter(finding.level for finding in findings)
    if numbers["problem"]:
        return f"{counted(findings)}: mend the problems, then run this again"
    if numbers["warning"]:
        return f"{counted(findings)}: nothing is wrong, but see the warnings"
    return f"{counted(findings)}: all is well, as far as this machine can see"
