"""What observers write of an event: time, level, name and fields, and which events are written at all.

Standards: RFC 3339 5.6 (times).
Limits: ``MAX_TEXT`` characters of a text or field, so that a traceback or what a peer said stays bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from twisted.logger import LogLevel, eventAsText

from fedaemon.logs.line import PATHS, fields_of, line, name_of

MAX_TEXT: Final = 16_000

RESERVED: Final = ("time", "level", "event", "text", "traceback")
"""What every record may have; no field has such a name."""


def is_written(event: Mapping[str, Any]) -> bool:
    """Return whether *event* goes to the log: what Twisted says for its developers does not."""
    return bool(level_of(event) >= LogLevel.info)


def level_of(event: Mapping[str, Any]) -> Any:
    """Return the level of an event."""
    return event.get("log_level", LogLevel.info)


def whole(event: Mapping[str, Any]) -> str:
    """Return the line of an event and its traceback."""
    if "event" in event:
        failure = event.get("log_failure")
        shown = line(event) if failure is None else f"{line(event)}\n{failure.getTraceback().rstrip()}"
        return shown[:MAX_TEXT]
    return str(eventAsText(dict(event), includeTimestamp=False, includeSystem=False)).rstrip()[:MAX_TEXT]


def record(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as a record for programs.

    It has ``time``, ``level``, ``event``, ``text`` if there is a sentence, the fields that are not empty, and
    ``traceback`` of a failure. What another library logs is all in ``text``.
    """
    made = {
        "time": utc(event["log_time"]),
        "level": level_of(event).name,
        "event": name_of(event),
    }
    if "event" not in event:
        return {**made, "text": whole(event)}
    if event.get("log_text"):
        made["text"] = event["log_text"]
    for name, value in fields_of(event).items():
        if name in PATHS or (value is not None and value != ""):
            made[name] = value if isinstance(value, int | float) else str(value)[:MAX_TEXT]
    failure = event.get("log_failure")
    if failure is not None:
        made["traceback"] = failure.getTraceback()[-MAX_TEXT:]
    return made


def utc(at_s: float) -> str:
    """Return a time in seconds since the epoch, to the millisecond. Spec: RFC 3339 5.6"""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
