"""Reading fedaemon's events back from the systemd journal, by journalctl.

Events come as the records of ``logs.record``; docs/events.md says what the journal has of them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fedaemon.logs.journal import IDENTIFIER, PRIORITIES
from fedaemon.logs.record import utc

PREFIX: Final = "FEDAEMON_"
TIMEOUT_S: Final = 30.0
"""For journals of many gigabytes on a slow disk."""
LEVELS: Final = {str(number): level for level, number in PRIORITIES.items()}
NUMBERS: Final = frozenset(
    {
        "attempts",
        "code",
        "count",
        "delay_s",
        "port",
        "priority",
        "recipients",
        "seconds",
        "session",
        "size",
        "uid",
    }
)
"""Fields that are numbers; the journal has only text."""
PID: Final = "_PID"


class JournalUnread(Exception):
    """The journal cannot be read; the text says why."""


def read_journal(*matches: str) -> list[tuple[dict[str, Any], str]]:
    """Return the records that fit all *matches* ("FIELD=value"), oldest first, each with the logging process's id.

    :raises JournalUnread: there is no journal, or not for this user.
    """
    command = [
        "journalctl",
        "--output=json",
        "--all",
        "--no-pager",
        "--quiet",
        f"--identifier={IDENTIFIER}",
        *matches,
    ]
    try:
        # No shell reads it: a match is one argument whatever it says.
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    except FileNotFoundError:
        raise JournalUnread("there is no journalctl") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JournalUnread(str(error)) from None
    if done.returncode and not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise JournalUnread(said or "it has nothing for this user")
    return list(_records(done.stdout.splitlines()))


def _records(lines: Sequence[bytes]) -> Iterator[tuple[dict[str, Any], str]]:
    for line in lines:
        entry = json.loads(line)
        if f"{PREFIX}EVENT" in entry:
            yield _record(entry), _text(entry.get(PID, ""))


def _record(entry: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        name.removeprefix(PREFIX).lower(): _text(value)
        for name, value in entry.items()
        if name.startswith(PREFIX)
    }
    made: dict[str, Any] = {
        "time": utc(int(entry["__REALTIME_TIMESTAMP"]) / 1_000_000),
        "level": LEVELS.get(entry.get("PRIORITY", ""), "info"),
        "event": fields.pop("event"),
    }
    if "text" in fields:
        made["text"] = fields.pop("text")
    for name, value in fields.items():
        made[name] = _number(value) if name in NUMBERS else value
    _, _, traceback = _text(entry.get("MESSAGE", "")).partition("\n")
    if traceback:
        made["traceback"] = traceback
    return made


def _number(value: str) -> int | float:
    return int(value) if value.lstrip("-").isdecimal() else float(value)


def _text(value: str | list[Any] | None) -> str:
    """Return a value: an array of octets when it is not all printable, an array of texts when it was repeated."""
    if isinstance(value, list):
        if all(isinstance(octet, int) for octet in value):
            return bytes(value).decode("utf-8", "replace")
        return _text(value[0])
    return value or ""
