"""The latest problems, kept in memory for ``fedaemonctl status``.

Limits: ``KEPT`` problems, ``KEPT_OF_ONE`` of each event, ``MAX_TEXT`` characters of each.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, cast

from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from zope.interface import implementer

from fedaemon.logs.line import line, name_of

KEPT: Final = 50
KEPT_OF_ONE: Final = 10
"""Of one event: so that somebody who guesses passwords does not hide what is wrong here."""
MAX_TEXT: Final = 1000


@implementer(ILogObserver)
class Recent:
    """An observer that keeps what was logged as a warning or worse."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[dict[str, Any]]] = {}

    def __call__(self, event: LogEvent) -> None:
        """Keep *event* if it is a problem; never raises."""
        level = event.get("log_level")
        if level is None or level < LogLevel.warn:
            return
        # A traceback is for the log itself.
        text = line(event).partition("\n")[0]
        failure = event.get("log_failure")
        if failure is not None:
            text = f"{text}: {failure.type.__name__}: {failure.getErrorMessage()}"
        name = name_of(event)
        kept = self._kept.setdefault(name, deque(maxlen=KEPT_OF_ONE))
        at = int(event["log_time"] * 1000)
        kept.append({"at": at, "level": level.name, "event": name, "text": text[:MAX_TEXT]})

    def begin(self) -> None:
        """Watch what is logged from now on."""
        globalLogPublisher.addObserver(cast(ILogObserver, self))

    def end(self) -> None:
        """Watch no more."""
        globalLogPublisher.removeObserver(cast(ILogObserver, self))

    def problems(self) -> list[dict[str, Any]]:
        """Return the problems, oldest first: ``at`` (ms since the epoch), ``level`` (warn, error or critical),
        ``event`` (its name) and ``text`` (its line)."""
        found = [each for kept in self._kept.values() for each in kept]
        return sorted(found, key=lambda each: each["at"])[-KEPT:]
