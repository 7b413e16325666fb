"""Observers that write lines to a stream: for people, and as JSON for programs.

Invariants: an event is one write, so that lines of several threads do not mix; a stream that cannot be written
to costs the line and nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TextIO

from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer

from fedaemon.logs.record import is_written, level_of, record, utc, whole


@implementer(ILogObserver)
class LineObserver:
    """Writes each event as *shown* says, to *stream* (default: standard output as it is now)."""

    def __init__(self, shown: Callable[[Mapping[str, Any]], str], stream: TextIO | None = None) -> None:
        self._shown = shown
        # twistd puts a stream of its own in the place of sys.stdout, which leads back to the log.
        self._stream = sys.stdout if stream is None else stream

    def __call__(self, event: LogEvent) -> None:
        """Write *event*."""
        if is_written(event):
            with suppress(OSError, ValueError):
                self._stream.write(self._shown(event) + "\n")
                self._stream.flush()


def text(stream: TextIO | None = None) -> LineObserver:
    """Return an observer that writes for people: time in UTC, level, line; a traceback is indented."""
    return LineObserver(_for_people, stream)


def json_lines(stream: TextIO | None = None) -> LineObserver:
    """Return an observer that writes one JSON object a line, see ``record``."""
    return LineObserver(_as_json, stream)


def _for_people(event: Mapping[str, Any]) -> str:
    shown = whole(event).replace("\n", "\n\t")
    return f"{utc(event['log_time'])} {level_of(event).name} {shown}"


def _as_json(event: Mapping[str, Any]) -> str:
    return json.dumps(record(event))
