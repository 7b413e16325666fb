"""``fedaemonctl queue sites``, ``stats``, ``pause``, ``resume`` and ``pauses``, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.ctl import terminal
from fedaemon.ctl.command import REFUSED, USAGE
from fedaemon.store.records import encode
from fedaemon.store.spaces import SITE
from tests.ctl.queue_console import QueueConsole
from tests.delivery.support import ALICE, BOB, GREYLISTED, HOUR, MINUTE, UNREACHABLE


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueConsole]:
    console = QueueConsole(tmp_path)
    monkeypatch.setattr(terminal, "now_ms", console.world.now_ms)
    yield console
    console.engine.close()


def test_sites_shows_what_is_wrong_where(console: QueueConsole) -> None:
    """A site that is down with its error and its time, for people and programs, and what waits elsewhere."""
    world = console.world
    world.transport.answer = lambda address: UNREACHABLE
    world.submit("carol@remote.test", "dave@remote.test")
    world.pass_time(5, step=1)
    world.manager.stop()
    world.enqueue("eve@other.test")
    down, other = console.json("sites")
    assert (down["state"], down["waiting"], down["destinations"]) == ("down", 2, {"remote.test": 2})
    assert down["down_until_ms"] > world.now_ms()
    assert down["last_error"]["text"] == "connection refused"
    assert (other["site"], other["destinations"], other["waiting"]) == (None, {"other.test": 1}, 1)
    header, first, second = console.text("sites").splitlines()
    assert header.split()[:5] == ["SITE", "STATE", "WAITING", "ACTIVE", "LIMIT"]
    assert header.endswith("UNTIL                LAST ERROR")
    assert "connection refused" in first
    assert first.startswith(down["site"])
    assert second.split()[:5] == ["other.test", "not", "tried", "lately", "1"]


def test_one_site_is_described_by_its_name_or_a_destination(console: QueueConsole) -> None:
    """All about it: connections, closures, and what waits for each destination."""
    now_ms = console.world.now_ms()
    record = {
        "destinations": ["one.test", "two.test"],
        "active": 3,
        "limit": 7,
        "rate_per_minute": 60,
        "down_until_ms": now_ms + 1000,
        "failures": 4,
        "closed": {"": now_ms + 1000, "192.0.2.7": now_ms + 2000},
        "slowed_until_ms": now_ms + 3000,
        "last_error": {"at_ms": now_ms, "code": 421, "text": "busy", "host": "mx.one.test", "phase": "ehlo"},
        "delivered": 11,
        "failed": 5,
        "at_ms": now_ms,
    }
    console.engine.transact(lambda transaction: transaction.put((SITE, "mx.one.test"), encode(record)))
    console.world.manager.stop()
    console.world.enqueue("carol@two.test", "dave@two.test", "eve@three.test")
    text = console.text("sites", "--site", "mx.one.test")
    for words in (
        "mx.one.test: down",
        "3 of 7 connections in use, at most 60 messages a minute",
        "11 attempts delivered, 5 failed",
        "down, 4 times in a row; tried again at 2025-",
        "blocks mail from this server",
        "blocks mail from 192.0.2.7",
        "asked for less; gets more from 2025-",
        "421 busy (ehlo, mx.one.test)",
        "2 recipients wait:\n    two.test: 2\n    one.test: 0",
    ):
        assert words in text
    assert console.text("sites", "--site", "two.test") == text
    assert [row["site"] for row in console.json("sites", "--site", "mx.one.test")] == ["mx.one.test"]
    assert "three.test: not tried lately" in console.text("sites", "--site", "three.test")
    assert console.run("sites", "--site", "four.test") == REFUSED
    assert "queue sites" in console.err


def test_no_sites_at_all(console: QueueConsole) -> None:
    """An empty queue says so."""
    assert console.json("sites") == []
    assert "nothing is known of any site" in console.text("sites")


def test_stats_count_the_queue(console: QueueConsole) -> None:
    """The numbers for programs, and the same in words."""
    world = console.world
    assert "nothing waits" in console.text("stats")
    world.transport.answer = lambda address: GREYLISTED
    oldest = world.submit("carol@remote.test")
    world.pass_time(2 * HOUR)
    world.submit("dave@remote.test", BOB, account=None)
    counted = console.json("stats")
    assert counted["recipients"] == {"deferred": 2, "delivered": 1}
    assert counted["messages"] == {"deferred": 2}
    assert counted["oldest"]["id"] == oldest
    assert counted["categories"] == {"greylist": 2}
    text = console.text("stats")
    for words in (
        "messages:   2 deferred",
        "recipients: 2 deferred, 1 delivered",
        f"oldest:     {oldest}, accepted 2025-",
        "waits for 2h",
        "below 5m     1",
        "5d and more  0",
        "greylist      2",
        "remote.test  2",
        "(none)              1",
    ):
        assert words in text, text


def test_stats_name_only_the_first_of_many(console: QueueConsole) -> None:
    """Twenty destinations, and how many there are in all."""
    console.world.manager.stop()
    for number in range(25):
        console.world.enqueue(*(f"x{n}@d{number}.test" for n in range(1 + (number == 7))))
    counted = console.json("stats")
    assert len(counted["destinations"]) == 20
    assert counted["destinations"][0] == {"destination": "d7.test", "waiting": 2}
    assert counted["destinations_in_all"] == 25
    assert "DESTINATION (the first 20 of 25)" in console.text("stats")


@pytest.mark.parametrize(
    ("option", "value", "kind", "name"),
    [
        ("--domain", "REMOTE.test", "domain", "remote.test"),
        ("--account", "Alice+tag@example.test", "account", ALICE),
        ("--account", "gone@example.test", "account", "gone@example.test"),
        ("--site", "mx.remote.test", "site", "mx.remote.test"),
        ("--all", None, "all", ""),
    ],
)
def test_pause_and_resume(
    console: QueueConsole, option: str, value: str | None, kind: str, name: str
) -> None:
    """What is paused is listed with its reason until it is resumed; resuming it again is refused."""
    what = (option,) if value is None else (option, value)
    paused = console.json("pause", *what, "--why", "while they move")
    expected = {"kind": kind, "name": name, "since_ms": console.world.now_ms(), "why": "while they move"}
    assert paused == expected
    assert console.json("pauses") == [expected]
    assert "while they move" in console.text("pauses")
    assert console.json("resume", *what) == {"kind": kind, "name": name}
    assert console.json("pauses") == []
    assert console.text("pauses") == "nothing is paused\n"
    assert console.run("resume", *what) == REFUSED
    assert "is not paused" in console.err


def test_the_daemon_stands_still_while_everything_is_paused(console: QueueConsole) -> None:
    """A pause and its end reach a running daemon; show and sites name it."""
    world = console.world
    assert "all remote mail is paused by the administrator: storm" in console.text(
        "pause", "--all", "--why", "storm"
    )
    console.follow()
    queue_id = world.submit("carol@remote.test")
    world.pass_time(MINUTE)
    assert world.states(queue_id) == ["queued"]
    assert "waits: all remote mail is paused by the administrator: storm" in console.text("show", queue_id)
    assert [row["state"] for row in console.json("sites")] == ["paused"]
    assert "storm" in console.text("sites")
    console.text("pause", "--domain", "other.test")
    assert "still: the domain other.test is paused" in console.text("resume", "--all")
    console.follow()
    world.pass_time(2, step=1)
    assert world.states(queue_id) == ["delivered"]


def test_a_pause_must_say_of_what(console: QueueConsole) -> None:
    """One thing at a time; an empty name and a site that nobody knows are told."""
    assert console.run("pause") == USAGE
    assert console.run("pause", "--all", "--domain", "remote.test") == USAGE
    assert console.run("pause", "--site", "") == REFUSED
    assert console.json("pauses") == []
    assert "nothing is known of a site of that name" in console.text("pause", "--site", "mx.typo.test")
