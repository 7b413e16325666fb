"""Twisted's logger, for events that have a name and fields.

Theory of operation: what is formatted is the whole line (``line.py``), and only when an observer asks for it, so
that Twisted's own observers show the fields, too.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import twisted.logger
from twisted.logger import LogLevel

from fedaemon.logs.line import line


class Logger(twisted.logger.Logger):
    """The logger of one module; ``event`` is the name, the first argument a sentence without values."""

    def emit(self, level: LogLevel, format: str | None = None, **kwargs: Any) -> None:  # noqa: A002
        """Log an event; every keyword but ``event`` is one of its fields."""
        if "event" in kwargs:
            kwargs["log_text"] = format
            super().emit(level, "{log_line()}", log_line=partial(line, kwargs), **kwargs)
        else:
            super().emit(level, format, **kwargs)
