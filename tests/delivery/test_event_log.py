"""One line for each outcome: what stands in it, and that nobody can forge one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.logger import formatEvent

from fedaemon import counters
from fedaemon.delivery import event_log
from fedaemon.delivery.event_log import log_outcome
from fedaemon.delivery.records import MessageRecord, RecipientRecord
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.logs import Logger
from tests.logs.reading import fields

ACCEPTED_MS = 1_750_000_000_000
MESSAGE = MessageRecord("alice@example.org", ACCEPTED_MS, 100, "blob", 1, account="alice@example.org")
RECIPIENT = RecipientRecord("bob@remote.example", "remote.example", attempts=2)
OUTCOME = Outcome(
    0,
    Result.DELIVERED,
    "queued as 42",
    code=250,
    status="2.0.0",
    phase="content",
    host="mx.remote.example",
    address="192.0.2.1",
    tls="TLSv1.3 AES",
    duration_ms=120,
    policy="dane",
)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was logged."""
    found: list[dict[str, Any]] = []
    observer: Any = found.append
    monkeypatch.setattr(event_log, "_log", Logger(observer=observer))
    return found


def log(event: str = "delivered", outcome: Outcome = OUTCOME, **more: Any) -> None:
    message, recipient = more.get("message", MESSAGE), more.get("recipient", RECIPIENT)
    log_outcome(
        "0123456789ABCDEF", message, recipient, outcome, event, ACCEPTED_MS + 1234, more.get("next_ms", 0)
    )


def test_a_delivery(events: list[dict[str, Any]]) -> None:
    """The whole line, word for word: people have scripts that read it."""
    log()
    assert formatEvent(events[0]) == (
        "delivered id=0123456789ABCDEF from=<alice@example.org> to=<bob@remote.example> "
        'account=alice@example.org host=mx.remote.example address=192.0.2.1 tls="TLSv1.3 AES" policy=dane '
        'code=250 status=2.0.0 delay_s=1.234 attempts=2 reply="queued as 42"'
    )


def test_the_fields_have_stable_names(events: list[dict[str, Any]]) -> None:
    """Those of the header, under the same names and as what they are."""
    outcome = replace(OUTCOME, category="greylist", rule="greylisted", source="192.0.2.9", code=451)
    log("deferred", outcome, next_ms=ACCEPTED_MS + 300_000)
    event = events[0]
    expected = {
        "event": "deferred",
        "id": "0123456789ABCDEF",
        "from": "alice@example.org",
        "to": "bob@remote.example",
        "account": "alice@example.org",
        "code": 451,
        "status": "2.0.0",
        "category": "greylist",
        "rule": "greylisted",
        "host": "mx.remote.example",
        "address": "192.0.2.1",
        "source": "192.0.2.9",
        "tls": "TLSv1.3 AES",
        "policy": "dane",
        "attempts": 2,
        "delay_s": 1.234,
        "next": "2025-06-15T15:11:40Z",
        "reply": "queued as 42",
    }
    assert {name: event[name] for name in expected} == expected
    assert all(f"``{name}``" in (event_log.__doc__ or "") for name in expected if name != "event")
    assert fields(formatEvent(event))["next"] == "2025-06-15T15:11:40Z"


def test_what_is_empty_is_left_out(events: list[dict[str, Any]]) -> None:
    """A failure to connect for a report: no sender, account, code, TLS or host."""
    log(
        "deferred",
        Outcome(0, Result.TEMPORARY, "no route"),
        message=replace(MESSAGE, sender="", account=None),
    )
    assert formatEvent(events[0]) == (
        'deferred id=0123456789ABCDEF from=<> to=<bob@remote.example> delay_s=1.234 attempts=2 reply="no route"'
    )


@pytest.mark.parametrize(
    "reply",
    [
        'no"\r\ndelivered id=1 to=<x>',
        "no\u2028delivered id=1",
        'no" code=250 status="2.0.0',
        "no\x85delivered",
        "no \u202egnihton",
        "no\x1b[2K",
    ],
)
def test_a_hostile_reply_forges_nothing(events: list[dict[str, Any]], reply: str) -> None:
    """No second line, no second code, nothing that a terminal obeys."""
    log("bounced", Outcome(0, Result.PERMANENT, reply, code=550))
    line = formatEvent(events[0])
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert fields(line)["code"] == "550"
    assert fields(line)["reply"] == reply


def test_a_hostile_recipient_forges_nothing(events: list[dict[str, Any]]) -> None:
    """A quoted local part may hold spaces, quotes and equals signs."""
    address = '"x> code=250 to=<y"@remote.example'
    log(recipient=replace(RECIPIENT, address=address))
    found = fields(formatEvent(events[0]))
    assert (found["to"], found["code"]) == (f"<{address}>", "250")


def test_long_replies_are_cut(events: list[dict[str, Any]]) -> None:
    """A line stays readable."""
    log("bounced", Outcome(0, Result.PERMANENT, "x" * 5000, code=550))
    assert events[0]["reply"] == "x" * event_log.MAX_REPLY


def test_each_outcome_is_counted(events: list[dict[str, Any]]) -> None:
    """By result and category; only what was delivered has a duration."""

    def numbers() -> tuple[float, float, float]:
        return (
            counters.value("delivery_outcomes_total", result="delivered", category=""),
            counters.value("delivery_outcomes_total", result="bounced", category="recipient"),
            counters.value("delivery_duration_seconds"),
        )

    before = numbers()
    log()
    log("bounced", Outcome(0, Result.PERMANENT, "unknown", code=550, category="recipient"))
    assert [now - then for now, then in zip(numbers(), before, strict=True)] == [1, 1, 1]
