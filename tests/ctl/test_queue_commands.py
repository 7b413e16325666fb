"""``fedaemonctl queue``, on a real store."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedaemon.ctl import queue
from fedaemon.ctl.command import DONE, REFUSED, USAGE, Context
from fedaemon.ctl.queue import SLICE
from fedaemon.errors import MailError
from fedaemon.store.lmdb_engine import LmdbEngine
from tests.delivery.support import ACCEPTED, BOB, GREYLISTED, UNKNOWN, World


class QueueConsole:
    """A world on a real store, and the command line beside it."""

    def __init__(self, directory: Path) -> None:
        self.engine = LmdbEngine.open(directory)
        self.world = World(self.engine)
        self.world.manager.start()
        self.out = self.err = ""
        self.paused = False
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument("--json", action="store_true")
        self.parser = argparse.ArgumentParser(prog="fedaemonctl")
        queue.register(self.parser.add_subparsers(required=True), common)

    def run(self, *arguments: str) -> int:
        """Run a command line; return its exit code."""
        try:
            parsed = self.parser.parse_args(("queue", *arguments))
        except SystemExit as exit_:
            return int(str(exit_.code))
        context = Context(Path("unused"), json=parsed.json, out=io.StringIO(), err=io.StringIO())
        delivery = SimpleNamespace(lifetime_s=432000.0, delay_notice_s=14400.0, paused=self.paused)
        context.__dict__["engine"] = self.engine
        context.__dict__["settings"] = SimpleNamespace(delivery=delivery)
        try:
            code: int = parsed.run(context, parsed)
        except MailError as error:
            code = context.refuse(error.text)
        assert isinstance(context.out, io.StringIO)
        assert isinstance(context.err, io.StringIO)
        self.out, self.err = context.out.getvalue(), context.err.getvalue()
        return code

    def json(self, *arguments: str) -> Any:
        assert self.run(*arguments, "--json") == DONE
        return json.loads(self.out)


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueConsole]:
    console = QueueConsole(tmp_path)
    monkeypatch.setattr(queue, "_now_ms", console.world.now_ms)
    yield console
    console.engine.close()


def test_list_shows_messages_in_order_with_their_status(console: QueueConsole) -> None:
    """Fields and their values, as programs read them."""
    first = console.world.submit("carol@remote.test")
    console.world.transport.answer = lambda address: GREYLISTED
    second = console.world.submit("dave@remote.test", sender="", account=None)
    rows = console.json("list")
    assert [row["id"] for row in rows] == [first, second]
    assert rows[0]["status"] == "sent"
    assert rows[0]["recipients"] == [{"address": "carol@remote.test", "state": "delivered"}]
    assert (rows[1]["status"], rows[1]["sender"], rows[1]["account"]) == ("deferred", "", None)
    assert rows[1]["next_attempt_ms"] == console.world.now_ms() + 300_000
    assert rows[1]["finished_ms"] is None
    assert console.run("list") == DONE
    assert first in console.out
    assert "<> -> dave@remote.test" in console.out


def test_list_filters(console: QueueConsole) -> None:
    """By status, account, domain and number, alone and together."""
    console.world.transport.answer = lambda address: GREYLISTED if "slow" in address else ACCEPTED
    waiting = console.world.submit("carol@slow.test")
    sent = console.world.submit("carol@fast.test", account="bob@example.test")
    assert [row["id"] for row in console.json("list", "--state", "deferred")] == [waiting]
    assert [row["id"] for row in console.json("list", "--account", "BOB@example.test")] == [sent]
    assert [row["id"] for row in console.json("list", "--domain", "SLOW.test")] == [waiting]
    assert [row["id"] for row in console.json("list", "--limit", "1")] == [waiting]
    assert console.json("list", "--state", "deferred", "--domain", "fast.test") == []
    assert console.run("list", "--state", "nonsense") == USAGE
    assert console.run("list", "--limit", "0") == USAGE
    assert console.run("list", "--domain", "slow.test", "--state", "bounced") == DONE
    assert "no such messages" in console.out


def test_list_reads_on_beyond_a_slice(console: QueueConsole) -> None:
    """More messages than are read in one view come each once and in order."""
    for _ in range(SLICE + 5):
        console.world.enqueue("carol@remote.test")
    ids = [row["id"] for row in console.json("list")]
    assert len(set(ids)) == SLICE + 5
    assert ids == sorted(ids)
    assert len(console.json("list", "--limit", str(SLICE + 2))) == SLICE + 2


def test_show_explains_a_wait(console: QueueConsole) -> None:
    """Why, what next, and when: for programs and for people."""
    console.world.transport.answer = lambda address: GREYLISTED
    queue_id = console.world.submit("carol@remote.test", BOB, via={"tls": "TLSv1.3"})
    shown = console.json("show", queue_id.lower())
    assert [recipient["state"] for recipient in shown["recipients"]] == ["deferred", "delivered"]
    carol = shown["recipients"][0]
    assert "451 4.7.1 greylisted" in carol["why"]
    assert carol["next"] == "another attempt"
    assert carol["given_up_ms"] == shown["accepted_ms"] + 432_000_000 == shown["expires_ms"]
    assert shown["recipients"][1]["local"] is True
    assert [entry["event"] for entry in shown["timeline"]] == ["accepted", "delivered", "deferred"]
    assert console.run("show", queue_id) == DONE
    assert "why:  the last attempt failed (rcpt, mx.remote.test): 451 4.7.1 greylisted" in console.out
    assert "next: another attempt, at 2025-" in console.out
    assert "accepted: size=" in console.out


def test_show_says_that_delivery_is_paused(console: QueueConsole) -> None:
    """The settings are part of the explanation."""
    console.paused = True
    queue_id = console.world.enqueue("carol@remote.test")
    assert "delivery.paused" in console.json("show", queue_id)["recipients"][0]["next"]


@pytest.mark.parametrize("command", ["show", "retry", "hold", "release", "delete"])
def test_an_unknown_message_is_refused(console: QueueConsole, command: str) -> None:
    """Exit code 1, and where to look."""
    assert console.run(command, "0000000000000000") == REFUSED
    assert "queue list" in console.err


@pytest.mark.parametrize("command", ["retry", "hold", "release", "delete"])
def test_ids_or_all_must_be_given(console: QueueConsole, command: str) -> None:
    """Neither and both are a usage error: nothing happens to a whole queue by mistake."""
    assert console.run(command) == USAGE
    assert console.run(command, "X", "--all") == USAGE


def test_retry_hold_release_and_delete(console: QueueConsole) -> None:
    """Each does what it says to what it names, and reports it."""
    world = console.world
    world.transport.answer = lambda address: GREYLISTED
    one, two = world.submit("carol@remote.test"), world.submit("dave@remote.test", "eve@remote.test")
    assert console.json("hold", one, two) == {"messages": [one, two], "recipients": 3}
    assert world.states(two) == ["held", "held"]
    assert console.json("release", two) == {"messages": [two], "recipients": 2}
    world.transport.answer = lambda address: UNKNOWN
    assert console.json("retry", two) == {"messages": [two], "recipients": 2}
    world.manager.wake()
    world.settle()
    assert world.states(two) == ["bounced", "bounced"]
    assert console.json("delete", one) == {"messages": [one], "recipients": 1}
    assert console.run("show", one) == REFUSED


def test_all_means_what_is_not_finished(console: QueueConsole) -> None:
    """--all works on every unfinished message, slice by slice; without any it is done."""
    world = console.world
    done = world.submit("carol@remote.test")
    for _ in range(SLICE + 5):
        world.enqueue("dave@remote.test")
    assert console.json("hold", "--all")["recipients"] == SLICE + 5
    assert console.json("retry", "--all") == {"messages": [], "recipients": 0}
    assert len(console.json("delete", "--all")["messages"]) == SLICE + 5
    assert [row["id"] for row in console.json("list")] == [done]
    assert console.json("retry", "--all") == {"messages": [], "recipients": 0}
