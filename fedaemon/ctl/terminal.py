"""What commands share when they talk with a person: times, text of strangers, progress, questions, Ctrl-C.

Invariants: what remote servers said is shown without control characters, so that no reply can drive a terminal;
progress goes to standard error, and only to a terminal; whoever presses Ctrl-C once lets the transaction under
way finish, so that what is reported as done is exactly what was done.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from types import FrameType, TracebackType
from typing import Any, Final

from fedaemon.ctl.command import Context

PROGRESS_S: Final = 0.5
"""Nothing is shown of what takes less, and the line is written anew this often."""

UNITS: Final = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
_SPAN: Final = re.compile(r"(?:[0-9]{1,6}[dhms])+\Z")
_PART: Final = re.compile(r"([0-9]+)([dhms])")


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return int(time.time() * 1000)


def when(at_ms: int | None) -> str:
    """Return a time as people here write it, "-" for none."""
    if not at_ms:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))


def span(seconds: float) -> str:
    """Return a time span in its two largest units: "2d4h", "35m", "12s"."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, length in UNITS:
        count, left = divmod(left, length)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return "".join(parts[:2]) or "0s"


def read_span(text: str) -> int:
    """Return a time span in seconds, for argparse: "2h", "1d12h", "90s"."""
    if _SPAN.match(text) is None:
        raise argparse.ArgumentTypeError('must be a time such as "90s", "30m", "2h" or "1d12h"')
    lengths = dict(UNITS)
    return sum(int(count) * lengths[unit] for count, unit in _PART.findall(text))


def read_count(text: str) -> int:
    """Return a number of 1 or more, for argparse."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def printable(text: object) -> str:
    """Return text of a stranger so that it is only text: what cannot be printed becomes "?"."""
    shown = str(text)
    return shown if shown.isprintable() else "".join(c if c.isprintable() else "?" for c in shown)


def confirm(context: Context, question: str, *, yes: bool) -> bool:
    """Ask on a terminal, unless *yes* was said already; without a terminal there is nobody to ask."""
    if yes or not sys.stdin.isatty():
        return True
    print(f"{question} [y/N] ", end="", file=context.err, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


class Progress:
    """One line on a terminal that says how far a long operation is.

    :param doing: what is done, such as "counting".
    :param unit: what is counted.
    :param total: how many there are, None when that is not known.
    """

    def __init__(
        self, context: Context, doing: str, unit: str = "messages", total: int | None = None
    ) -> None:
        self._err = context.err
        self._doing = doing
        self._unit = unit
        self._total = total
        self._began_s = self._shown_s = time.monotonic()
        self._width = 0 if context.err.isatty() else -1

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._width > 0:
            print("\r" + " " * self._width, end="\r", file=self._err, flush=True)

    def at(self, count: int) -> None:
        """Show that *count* are done."""
        now_s = time.monotonic()
        if self._width < 0 or now_s - self._shown_s < PROGRESS_S:
            return
        self._shown_s = now_s
        of = f" of {self._total}" if self._total is not None else ""
        rate = int(count / (now_s - self._began_s))
        line = f"{self._doing}: {count}{of} {self._unit}, {rate}/s"
        print("\r" + line.ljust(self._width), end="", file=self._err, flush=True)
        self._width = len(line)


class Interruption:
    """While it holds, Ctrl-C is noted in *asked* and does not interrupt; a second one does."""

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Interruption:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
