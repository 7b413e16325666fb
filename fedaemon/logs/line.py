"""An event as one line: its name, a sentence for people, and name=value pairs in the order in which they were
given; what is empty is left out.

    delivered id=01K2… from=<alice@example.org> to=<bob@example.net> host=mx.example.net reply="queued as 42"
    login-failed: a login was refused service=imap address=192.0.2.7 login=alice@example.org reason=password

Invariants: nothing that a peer says can end the line or look like another field: a value with anything but plain
ASCII without space, quote, backslash and equals sign is put in quotes, and what could end these or the line, or
cannot be seen, is escaped as in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from twisted.logger import formatEvent

FOREIGN: Final = "twisted"
"""The name of what Twisted and other libraries log."""

PATHS: Final = ("from", "to")
"""Fields that are shown in angle brackets, also when they are empty: a report's sender is <>."""

_plain = re.compile(r"[!#-<>-\[\]-~]+").fullmatch


def name_of(event: Mapping[str, Any]) -> str:
    """Return the name of an event."""
    return str(event.get("event", FOREIGN))


def fields_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an event; those of other libraries' events are no promise, and left out."""
    if "event" not in event:
        return {}
    return {name: value for name, value in event.items() if name != "event" and not name.startswith("log_")}


def line(event: Mapping[str, Any]) -> str:
    """Return the line of an event, without time and level; that of another library may have several lines."""
    if "event" not in event:
        return str(formatEvent(dict(event)))
    return line_of(event["event"], event.get("log_text"), fields_of(event))


def line_of(name: str, sentence: str | None, fields: Mapping[str, Any]) -> str:
    """Return the line of what has a name, perhaps a sentence, and fields."""
    pairs = "".join([_pair(field, value) for field, value in fields.items()])
    return f"{name}: {sentence}{pairs}" if sentence else f"{name}{pairs}"


def _pair(name: str, value: object) -> str:
    if name in PATHS:
        return f" {name}={quoted(f'<{value}>')}"
    if value is None or value == "":
        return ""
    return f" {name}={quoted(str(value))}"


def quoted(value: str) -> str:
    """Return *value* so that it is one value whatever it says."""
    if _plain(value) is not None:
        return value
    if value.isprintable():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return json.dumps(value)
