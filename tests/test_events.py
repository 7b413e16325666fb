"""docs/events.md tells the truth: each event in the code has a row with its level and fields, and each row its
event."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fedaemon.delivery import event_log
from fedaemon.delivery.records import MessageRecord, RecipientRecord
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.logs import Logger
from fedaemon.logs.record import RESERVED
from fedaemon.net.session_log import SessionLog

ROOT = Path(__file__).parent.parent
LOGGERS = ("log", "_log")
LEVELS = ("debug", "info", "warn", "error", "critical", "failure")
ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \| ([^|]*) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
SESSION = "session_fields"
"""The method that returns the fields of a session."""


@dataclass(frozen=True)
class Call:
    """One log call; *event* is None when it is no literal."""

    place: str
    level: str
    sentence: str
    event: str | None
    fields: tuple[str, ...]


def calls(root: Path) -> Iterator[Call]:
    """Yield every call of a module's logger below *root*."""
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _is_log_call(node):
                yield _read(node, f"{path.relative_to(root)}:{node.lineno}")


def _is_log_call(node: ast.Call) -> bool:
    called = node.func
    return (
        isinstance(called, ast.Attribute)
        and called.attr in LEVELS
        and isinstance(called.value, ast.Name)
        and called.value.id in LOGGERS
    )


def _read(node: ast.Call, place: str) -> Call:
    assert isinstance(node.func, ast.Attribute)
    level = "critical" if node.func.attr == "failure" else node.func.attr
    sentence, event, fields = "", None, []
    if node.args:
        assert isinstance(node.args[0], ast.Constant), f"{place}: the sentence is not constant"
        sentence = str(node.args[0].value)
    for keyword in node.keywords:
        if keyword.arg == "event":
            event = str(keyword.value.value) if isinstance(keyword.value, ast.Constant) else None
        elif keyword.arg is None:
            fields += _spread(keyword.value, place)
        elif keyword.arg != "failure":
            fields.append(keyword.arg)
    return Call(place, level, sentence, event, tuple(fields))


def _spread(value: ast.expr, place: str) -> list[str]:
    """Return the fields that ``**value`` gives."""
    if isinstance(value, ast.Dict):
        return [str(key.value) for key in value.keys if isinstance(key, ast.Constant)]
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == SESSION:
        return session_fields()
    assert place.startswith("delivery/event_log.py"), f"{place}: fields that cannot be read"
    return []


def session_fields() -> list[str]:
    session = SessionLog()
    session.service_name, session.number = "smtp", 1
    return list(session.session_fields())


def outcome_fields(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the fields of an outcome's event, which are made elsewhere than in the call."""
    logged: list[dict[str, Any]] = []
    observer: Any = logged.append
    monkeypatch.setattr(event_log, "_log", Logger(observer=observer))
    event_log.log_outcome(
        "ID",
        MessageRecord("a@example.org", 0, 1, "blob", 1),
        RecipientRecord("b@example.net", "example.net"),
        Outcome(0, Result.DELIVERED, "done"),
        "delivered",
        1,
        0,
    )
    return {name for name in logged[0] if not name.startswith("log_")} - {"event"}


def documented() -> dict[str, tuple[str, set[str]]]:
    """Return {event: (level, fields)} of the tables."""
    rows = ROW.findall((ROOT / "docs/events.md").read_text())
    assert len({name for name, _, _ in rows}) == len(rows), "an event has two rows"
    return {name: (level, set(re.findall(r"`([^`]+)`", fields))) for name, level, fields in rows}


CALLS = list(calls(ROOT / "fedaemon"))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.place)
def test_each_call_has_a_name_and_a_fixed_sentence(call: Call) -> None:
    """A name in kebab case; no value in the sentence; no field that a record has for itself."""
    if not call.place.startswith("delivery/event_log.py"):
        assert call.event is not None
        assert re.fullmatch(r"[a-z]+[a-z0-9]*(-[a-z0-9]+)*", call.event)
    assert not set("{}=\n") & set(call.sentence)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in call.fields)
    assert not set(call.fields) & set(RESERVED)
    assert len(set(call.fields)) == len(call.fields)


def test_the_document_says_what_the_code_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every event has one level and a row; the row has all fields that any of its calls gives."""
    found: dict[str, tuple[str, set[str]]] = {}
    for call in CALLS:
        if call.event is not None:
            level, fields = found.setdefault(call.event, (call.level, set()))
            assert level == call.level, f"{call.place}: {call.event} has two levels"
            fields.update(call.fields)
    for event in event_log.OUTCOMES:
        found[event] = ("info", outcome_fields(monkeypatch))
    # What Twisted and other libraries log has no fields.
    found["twisted"] = ("any", set())
    assert documented() == found


def test_loggers_are_ours() -> None:
    """Nobody logs past the names: Twisted's own loggers are used by the package of the log alone."""
    theirs = re.compile(r"from twisted\.(logger import .*\bLogger\b|python import .*\blog\b)")
    paths = [path for path in (ROOT / "fedaemon").rglob("*.py") if path.parent.name != "logs"]
    assert [path.name for path in paths if theirs.search(path.read_text())] == []


def test_a_bad_call_is_seen(tmp_path: Path) -> None:
    """The reader finds names, levels and fields, also those in a dictionary and of a session."""
    (tmp_path / "example.py").write_text(
        "_log.warn('x', event='a-b', id=1, **{'from': 2}, **self.session_fields())\n"
        "log.failure('y', failure, event=name, what=3)\n"
        "other.warn('z')\n"
    )
    session = ("service", "session", "address", "account")
    assert list(calls(tmp_path)) == [
        Call("example.py:1", "warn", "x", "a-b", ("id", "from", *session)),
        Call("example.py:2", "critical", "y", None, ("what",)),
    ]
