"""``fedaemonctl log``: what is known of one message, on a real store, and beside a journal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedaemon.ctl import terminal
from fedaemon.ctl.command import REFUSED
from fedaemon.logs import Logger
from fedaemon.logs.journal import datagram
from tests.ctl.queue_console import QueueConsole
from tests.delivery.support import GREYLISTED
from tests.logs.reading import fields, read_datagram

JOURNALCTL = """\
#!/bin/sh
for argument do
    case $argument in
    --identifier=*) test "$argument" = --identifier=fedaemon || exit 3 ;;
    FEDAEMON_ID=*|FEDAEMON_SESSION=*) cat "$(dirname "$0")/$argument" 2>/dev/null ;;
    esac
done
cat "$(dirname "$0")/problem" >&2 2>/dev/null && exit 1
exit 0
"""
"""Answers as the real one does, from a file for each match."""


class Journal:
    """A journal that a test fills."""

    def __init__(self, directory: Path, now_s: float) -> None:
        self.directory = directory
        self.now_s = now_s
        program = directory / "journalctl"
        program.write_text(JOURNALCTL)
        program.chmod(0o755)

    def log(self, level: str, match: str, **event: Any) -> None:
        """Log an event and have it found by *match*."""
        logged: list[Any] = []
        observer: Any = logged.append
        getattr(Logger(observer=observer), level)(**event)
        entry: dict[str, Any] = dict(read_datagram(datagram(logged[0])))
        entry["__REALTIME_TIMESTAMP"] = str(int(self.now_s * 1_000_000))
        entry["_PID"] = "77"
        # As journalctl does with what is not all printable.
        shown = {name: _shown(value) for name, value in entry.items()}
        with (self.directory / match).open("a") as file:
            file.write(json.dumps(shown) + "\n")
        self.now_s += 0.001


def _shown(value: str) -> str | list[int]:
    return value if all(each.isprintable() or each == "\n" for each in value) else list(value.encode())


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueConsole]:
    console = QueueConsole(tmp_path / "store")
    console.group = "log"
    monkeypatch.setattr(terminal, "now_ms", console.world.now_ms)
    yield console
    console.engine.close()


@pytest.fixture
def journal(tmp_path: Path, console: QueueConsole, monkeypatch: pytest.MonkeyPatch) -> Journal:
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return Journal(directory, console.world.now_ms() / 1000)


def without_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_the_queue_s_own_records(
    console: QueueConsole, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each line as the log has it: an outcome for each recipient, with what is in the queue's timeline."""
    without_journal(monkeypatch, tmp_path)
    console.world.transport.answer = lambda address: GREYLISTED
    queue_id = console.world.submit("carol@remote.test", "dave@remote.test")
    lines = console.text(queue_id).splitlines()
    assert [line.split(" ")[1:3] for line in lines] == [["info", "accepted"]] + [["info", "deferred"]] * 2
    assert all(f" id={queue_id} from=<alice@example.test> " in line for line in lines)
    assert [fields(line.split(" ", 2)[2])["to"] for line in lines[1:]] == [
        "<carol@remote.test>",
        "<dave@remote.test>",
    ]
    assert "the journal was not read: there is no journalctl" in console.err
    first, second, _ = console.json(queue_id)
    assert (first["recipients"], first["size"] > 0, first["account"]) == (2, True, "alice@example.test")
    assert (second["event"], second["attempts"], second["category"]) == ("deferred", 1, "greylist")
    assert second["next"].endswith("Z")
    assert second["delay_s"] >= 0
    assert second["reason"]
    assert not {"at_ms", "attempt", "why", "next_attempt_ms"} & set(second)
    assert console.err == ""


def test_an_id_in_lower_case(console: QueueConsole, journal: Journal) -> None:
    """People type what they read."""
    queue_id = console.world.submit("carol@remote.test")
    assert console.text(queue_id.lower()) == console.text(queue_id)


def test_the_journal_s_lines_stand_among_them(console: QueueConsole, journal: Journal) -> None:
    """The session that brought the message, and warnings; the outcome is not said twice."""
    now_s = journal.now_s
    queue_id = console.world.submit("carol@remote.test")
    mine, session = f"FEDAEMON_ID={queue_id}", "FEDAEMON_SESSION=7"
    journal.now_s = now_s - 1
    journal.log("info", session, event="login", service="submission", session=7, account="alice@example.test")
    journal.now_s = now_s + 5
    brought = {"event": "accepted", "id": queue_id, "session": 7, "message_id": "<1@x>"}
    for match in (mine, session):
        journal.log("info", match, **brought)
    journal.log("info", session, event="accepted", id="ANOTHER", session=7)
    journal.log("info", mine, event="delivered", id=queue_id, reply="ok")
    journal.log("info", session, event="session-ended", service="submission", session=7, seconds=0.5)
    journal.log(
        "error", mine, format="it waits", event="outcomes-unrecorded", id=queue_id, reason="a\nb \x1b[2K"
    )
    records = console.json(queue_id)
    assert [record["event"] for record in records] == [
        "login",
        "accepted",
        "delivered",
        "session-ended",
        "outcomes-unrecorded",
    ]
    assert (records[1]["session"], records[1]["message_id"], records[1]["recipients"]) == (7, "<1@x>", 1)
    assert records[2]["host"]
    assert records[3]["seconds"] == 0.5
    problem = records[4]
    assert (problem["level"], problem["text"], problem["reason"]) == ("error", "it waits", "a\nb \x1b[2K")
    assert "reply" not in problem
    text = console.text(queue_id)
    assert text.endswith(
        "error outcomes-unrecorded: it waits id=" + queue_id + ' reason="a\\nb \\u001b[2K"\n'
    )
    assert len(text.splitlines()) == 5


def test_a_traceback_from_the_journal(console: QueueConsole, journal: Journal) -> None:
    queue_id = console.world.submit("carol@remote.test")
    from twisted.python.failure import Failure

    journal.now_s += 5
    failure = Failure(ZeroDivisionError("no"))
    match = f"FEDAEMON_ID={queue_id}"
    journal.log("failure", match, format="it failed", failure=failure, event="defect", id=queue_id)
    assert "ZeroDivisionError: no" in console.json(queue_id)[-1]["traceback"]
    assert console.text(queue_id).splitlines()[-1].startswith("\t")


def test_what_only_the_journal_knows(console: QueueConsole, journal: Journal) -> None:
    """The queue forgets a message after delivery.history; the journal may keep it for longer."""
    match = "FEDAEMON_ID=GONE"
    journal.log("info", match, event="accepted", id="GONE", **{"from": ""})
    journal.log("info", match, event="delivered", id="GONE", to="bob@example.test")
    assert [record["event"] for record in console.json("gone")] == ["accepted", "delivered"]


def test_an_unknown_id(console: QueueConsole, journal: Journal) -> None:
    """Exit code 1, and where to look."""
    assert console.run("NOTHING") == REFUSED
    assert "nothing is known of a message NOTHING; fedaemonctl queue list" in console.err


def test_a_journal_that_is_not_for_this_user(console: QueueConsole, journal: Journal) -> None:
    """What the queue knows is shown all the same, and what is missing is said."""
    (journal.directory / "problem").write_text(
        "No journal files were opened due to insufficient permissions.\n"
    )
    queue_id = console.world.submit("carol@remote.test")
    assert len(console.text(queue_id).splitlines()) == 2
    assert "the journal was not read: No journal files were opened" in console.err
    assert console.run("NOTHING") == REFUSED
    assert "insufficient permissions" in console.err
