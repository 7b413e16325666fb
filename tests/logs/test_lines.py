"""Observers that write lines: for people and as JSON."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from twisted.logger import LogEvent, LogLevel
from twisted.logger import Logger as TwistedLogger

from fedaemon.logs import json_lines, text
from fedaemon.logs.record import MAX_TEXT
from tests.logs.conftest import Written

AT_S = 1_795_451_091.7634


def as_text(event: LogEvent) -> str:
    stream = io.StringIO()
    text(stream)({**event, "log_time": AT_S})
    return stream.getvalue()


def as_json(event: LogEvent) -> dict[str, Any]:
    stream = io.StringIO()
    json_lines(stream)({**event, "log_time": AT_S})
    (one,) = stream.getvalue().splitlines()
    found: dict[str, Any] = json.loads(one)
    return found


def theirs(level: LogLevel, said: str, **more: Any) -> LogEvent:
    """An event of another library."""
    found: list[LogEvent] = []
    observer: Any = found.append
    TwistedLogger(observer=observer).emit(level, said, **more)
    return found[0]


def test_a_line_for_people(events: Written) -> None:
    """Time in UTC to the millisecond, level, line."""
    events.log.warn(event="login-failed", service="imap", session=7, address="192.0.2.7")
    assert as_text(events[0]) == (
        "2026-11-23T16:24:51.763Z warn login-failed service=imap session=7 address=192.0.2.7\n"
    )


def test_a_traceback_is_indented(events: Written) -> None:
    """No line of it can be taken for an event."""
    first, *rest = as_text(events.fail(ZeroDivisionError("no\nway"))).splitlines()
    assert first == "2026-11-23T16:24:51.763Z critical defect: it failed session=3"
    assert rest
    assert all(each.startswith("\t") for each in rest)
    assert "way" in rest[-1]


def test_an_object_for_programs(events: Written) -> None:
    """Numbers stay numbers; what is empty is left out, but for an empty sender."""
    events.log.info(
        "it is", event="accepted", id="Q1", size=12, delay_s=1.5, account="", code=None, **{"from": ""}
    )
    assert as_json(events[0]) == {
        "time": "2026-11-23T16:24:51.763Z",
        "level": "info",
        "event": "accepted",
        "text": "it is",
        "id": "Q1",
        "size": 12,
        "delay_s": 1.5,
        "from": "",
    }


def test_a_failure_for_programs(events: Written) -> None:
    found = as_json(events.fail(ZeroDivisionError("no\nway")))
    assert found["traceback"].startswith("Traceback")
    assert "ZeroDivisionError: no\nway" in found["traceback"]
    assert (found["event"], found["level"], found["session"]) == ("defect", "critical", 3)


def test_what_is_no_text_is_written_as_text(events: Written) -> None:
    """Also what no encoding of text can hold."""
    events.log.info(event="x", reason=ValueError("bad"), reply="\udcff")
    assert (as_json(events[0])["reason"], as_json(events[0])["reply"]) == ("bad", "\udcff")


def test_values_are_bounded(events: Written) -> None:
    events.log.info(event="x", reason="y" * 10 * MAX_TEXT)
    assert len(as_json(events[0])["reason"]) == MAX_TEXT
    assert len(as_text(events[0])) < 2 * MAX_TEXT


def test_other_libraries() -> None:
    """Their events are written whole; what they say for developers is not."""
    said = theirs(LogLevel.info, "listening on {port}", port=25)
    assert as_text(said) == "2026-11-23T16:24:51.763Z info listening on 25\n"
    assert as_json(said) == {
        "time": "2026-11-23T16:24:51.763Z",
        "level": "info",
        "event": "twisted",
        "text": "listening on 25",
    }
    assert as_text(theirs(LogLevel.debug, "nothing")) == ""


class Broken(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_stream_that_is_gone_costs_the_line_only(events: Written) -> None:
    events.log.info(event="x")
    closed = io.StringIO()
    closed.close()
    for stream in (Broken(), closed):
        text(stream)(events[0])


def test_standard_output_is_the_one_of_the_start(
    events: Written, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """twistd replaces sys.stdout by one that logs: the log must not go round in a circle."""
    observer = json_lines()
    monkeypatch.setattr("sys.stdout", Broken())
    events.log.info(event="x")
    observer(events[0])
    monkeypatch.undo()
    assert json.loads(capsys.readouterr().out)["event"] == "x"
