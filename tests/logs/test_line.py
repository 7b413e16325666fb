"""An event as a line: what stands in it, and that nobody can forge one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import Logger as TwistedLogger
from twisted.logger import eventAsText, formatEvent

from fedaemon.logs.line import fields_of, line, name_of, quoted
from tests.logs.conftest import Written
from tests.logs.reading import fields


def test_name_sentence_and_fields_in_the_order_given(events: Written) -> None:
    events.log.warn("it waits", event="store-awaited", what="retention", reason="disk full", count=3)
    assert line(events[0]) == 'store-awaited: it waits what=retention reason="disk full" count=3'
    assert name_of(events[0]) == "store-awaited"
    assert fields_of(events[0]) == {"what": "retention", "reason": "disk full", "count": 3}


def test_without_a_sentence(events: Written) -> None:
    events.log.info(event="login", account="a@example.org")
    assert line(events[0]) == "login account=a@example.org"


def test_what_is_empty_is_left_out_but_paths_and_zeros(events: Written) -> None:
    """An empty sender is a report; zero is a number like any other."""
    events.log.info(event="x", account="", code=None, size=0, **{"from": "", "to": "b@example.net"})
    assert line(events[0]) == "x size=0 from=<> to=<b@example.net>"


def test_observers_of_twisted_s_own_see_the_line(events: Written) -> None:
    """Whoever starts twistd without a logger of ours still has all fields, and the traceback."""
    events.fail(ZeroDivisionError())
    assert formatEvent(events[0]) == "defect: it failed session=3"
    assert "ZeroDivisionError" in eventAsText(events[0])


def test_braces_in_values_are_only_text(events: Written) -> None:
    """Twisted formats its own events; a value of ours is never a format."""
    events.log.info(event="x", reason="{log_time} {0}")
    assert formatEvent(events[0]) == 'x reason="{log_time} {0}"'


def test_events_of_other_libraries_are_formatted_as_they_want() -> None:
    found: list[dict[str, Any]] = []
    observer: Any = found.append
    TwistedLogger(observer=observer).info("port {port}", port=25)
    assert (name_of(found[0]), line(found[0]), fields_of(found[0])) == ("twisted", "port 25", {})


@given(st.text())
def test_no_value_can_be_taken_for_another(value: str) -> None:
    """Whatever a value holds, the line stays one line with the same fields, and the value can be read back."""
    shown = quoted(value)
    assert len(f"x {shown} y".splitlines()) == 1
    found = fields(f"bounced id=1 reply={shown} z=1")
    assert list(found) == ["event", "id", "reply", "z"]
    assert found["reply"].encode("utf-16", "surrogatepass") == value.encode("utf-16", "surrogatepass")


@pytest.mark.parametrize(
    "login", ["x address=192.0.2.1", "x\nlogin-failed address=192.0.2.1", 'x" address=192.0.2.1']
)
def test_no_login_name_can_look_like_an_address(events: Written, login: str) -> None:
    """Or whoever guesses passwords could have others shut out at the firewall."""
    events.log.warn(event="login-failed", address="192.0.2.66", login=login)
    found = fields(line(events[0]))
    assert (found["address"], found["login"]) == ("192.0.2.66", login)
