"""fedaemonctl webhook."""

from __future__ import annotations

import argparse
import io
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from fedaemon.ctl import account, domain, webhook
from fedaemon.delivery.hooks import backlog
from fedaemon.delivery.hooks.backlog import note_event, settle
from fedaemon.delivery.hooks.post import signature
from fedaemon.delivery.hooks.webhook import find
from fedaemon.delivery.schedule import Schedule
from tests.ctl.console import Console

URL = "https://crm.example/hook"
NOW_MS = 1_750_000_000_000


@pytest.fixture
def console(console: Console, cheap: None) -> Console:
    """A console on a directory with the account alice@example.org."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true")
    console.parser = argparse.ArgumentParser(prog="fedaemonctl")
    groups = console.parser.add_subparsers(required=True)
    for group in (domain, account, webhook):
        group.register(groups, common)
    console.text("domain", "add", "example.org")
    console.text("account", "add", "alice@example.org")
    return console


class Receiver(BaseHTTPRequestHandler):
    """Answers as the path says, and keeps what it was sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, self.headers, body))  # type: ignore[attr-defined]
        self.send_response(int(self.path[1:]))
        self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Nothing on standard error."""


@pytest.fixture
def receiver() -> Iterator[Any]:
    """A program on this machine that takes posts."""
    server: Any = HTTPServer(("127.0.0.1", 0), Receiver)
    server.posts = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def note(console: Console, count: int = 1) -> None:
    """Let events wait for whoever hears of deliveries of alice."""
    for number in range(count):
        event = {"event": "delivered", "queue_id": "ID", "recipient": f"{number}@remote.test"}
        console.engine.transact(
            partial(note_event, account="alice@example.org", event=event, now_ms=NOW_MS + number)
        )


def test_add_and_list(console: Console) -> None:
    """The secret is shown once, and good for checking signatures; the name comes from the URL."""
    added = console.json("webhook", "add", URL)
    secret = added.pop("secret")
    assert len(secret) == 64
    stored = console.engine.view(partial(find, name="crm.example"))
    assert stored is not None
    assert stored.secret == secret
    assert added.pop("created").endswith("Z")
    assert added == {
        "name": "crm.example",
        "url": URL,
        "events": ["delivered", "deferred", "bounced", "complaint"],
        "account": "",
        "domain": "",
        "disabled": "",
        "waiting": 0,
        "failures": 0,
        "retry": None,
    }
    text = console.text(
        "webhook", "add", URL, "--name", "two", "--account", "Alice@example.org", "--events", "bounced"
    )
    assert "two -> https://crm.example/hook (bounced)" in text
    assert "secret: " in text
    console.text("webhook", "add", URL, "--name", "three", "--domain", "Example.org")
    assert [each["name"] for each in console.json("webhook", "list")] == ["crm.example", "three", "two"]
    assert [line.split()[:3] for line in console.text("webhook", "list").splitlines()] == [
        ["NAME", "ABOUT", "EVENTS"],
        ["crm.example", "all", "delivered,deferred,bounced,complaint"],
        ["three", "example.org", "delivered,deferred,bounced,complaint"],
        ["two", "alice@example.org", "bounced"],
    ]
    assert secret not in console.text("webhook", "list")
    assert secret not in console.text("webhook", "list", "--json")


def test_a_secret_of_ones_own(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read from standard input and not shown; a short one is refused."""
    monkeypatch.setattr("sys.stdin", io.StringIO("my own long secret\n"))
    assert "long secret" not in console.text("webhook", "add", URL, "--secret-stdin", "--json")
    stored = console.engine.view(partial(find, name="crm.example"))
    assert stored is not None
    assert stored.secret == "my own long secret"
    for text in ("short\n", "", "x" * 300, "a secret with é in it\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert "printable" in console.refused("webhook", "add", URL, "--name", "x", "--secret-stdin")


def test_refusals(console: Console) -> None:
    """Each says what is wrong; nothing is stored."""
    assert "TLS only" in console.refused("webhook", "add", "http://crm.example/")
    assert "domain add else.example" in console.refused("webhook", "add", URL, "--domain", "else.example")
    assert "account list" in console.refused("webhook", "add", URL, "--account", "bob@example.org")
    assert "opened" in console.refused("webhook", "add", URL, "--events", "opened")
    assert "cannot name" in console.refused("webhook", "add", URL, "--name", "A B")
    for command in ("remove", "enable", "disable", "test", "backlog"):
        assert "webhook list" in console.refused("webhook", command, "nobody")
    assert console.json("webhook", "list") == []
    console.text("webhook", "add", URL)
    assert "another --name" in console.refused("webhook", "add", URL)


def test_disable_and_enable(console: Console) -> None:
    """Disabled: nothing new waits for it. Enabled: its failures are forgotten."""
    console.text("webhook", "add", URL)
    note(console)
    console.text("webhook", "disable", "crm.example")
    assert " disabled " in console.text("webhook", "list")
    note(console)
    [shown] = console.json("webhook", "list")
    assert (shown["waiting"], shown["disabled"]) == (1, "disabled with fedaemonctl")
    for _ in range(backlog.TOLERATED):
        fail(console)
        console.text("webhook", "enable", "crm.example")
        note(console)
    [shown] = console.json("webhook", "list")
    assert (shown["disabled"], shown["failures"], shown["retry"]) == ("", 0, None)


def fail(console: Console, code: int = 500) -> None:
    """Let the post of the event that is due longest fail."""
    [first] = console.engine.view(lambda each: backlog.waiting(each, "crm.example", 1))
    why, schedule = "the server answered 500", Schedule()
    console.engine.transact(lambda each: settle(each, "crm.example", first.key, code, why, schedule, NOW_MS))


def test_backlog(console: Console) -> None:
    """How many wait and why; with a name, which ones."""
    console.text("webhook", "add", URL)
    assert "0 events wait; enabled" in console.text("webhook", "backlog", "crm.example")
    note(console, 3)
    fail(console)
    [shown] = console.json("webhook", "backlog")
    assert (shown["waiting"], shown["failures"], shown["posted"], shown["dropped"]) == (3, 1, 0, 0)
    assert (shown["last_error"], shown["last_error_at"]) == (
        "the server answered 500",
        "2025-06-15T15:06:40Z",
    )
    assert "the server answered 500" in console.text("webhook", "backlog")
    events = console.json("webhook", "backlog", "crm.example")["events_waiting"]
    assert [(each["recipient"], each["attempts"]) for each in events] == [
        ("1@remote.test", 0),
        ("2@remote.test", 0),
        ("0@remote.test", 1),
    ]
    text = console.text("webhook", "backlog", "crm.example")
    assert "3 events wait; failing" in text
    assert "2025-06-15T15:06:40Z  0         delivered  ID        1@remote.test" in text


def test_remove(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """The webhook and whatever waits for it are gone, slice by slice; others stay."""
    monkeypatch.setattr(webhook, "SLICE", 3)
    console.text("webhook", "add", URL)
    console.text("webhook", "add", URL, "--name", "other")
    note(console, 10)
    assert console.json("webhook", "remove", "crm.example") == {"name": "crm.example", "removed": True}
    assert [each["waiting"] for each in console.json("webhook", "list")] == [10]
    assert console.engine.view(lambda each: list(each.scan(("hookdue", "crm.example")))) == []


def test_a_test_event(console: Console, receiver: Any) -> None:
    """It is posted and signed like any other, and nothing waits afterwards."""
    url = f"http://127.0.0.1:{receiver.server_port}/204"
    secret = console.json("webhook", "add", url, "--name", "here")["secret"]
    assert console.text("webhook", "test", "here") == "here: the server answered 204\n"
    [(path, headers, body)] = receiver.posts
    assert path == "/204"
    assert json.loads(body)["event"] == "test"
    assert headers["X-Webhook-Signature"] == signature(secret, body)
    assert headers["Content-Type"] == "application/json"
    assert [each["waiting"] for each in console.json("webhook", "list")] == [0]


@pytest.mark.parametrize("code", [302, 404, 500])
def test_a_test_that_fails(
    console: Console, receiver: Any, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is shown; redirects are not followed, and no proxy of the environment is asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    console.text("webhook", "add", f"http://127.0.0.1:{receiver.server_port}/{code}", "--name", "here")
    assert f"the server answered {code}" in console.refused("webhook", "test", "here")
    assert len(receiver.posts) == 1


def test_a_test_that_nobody_answers(console: Console) -> None:
    """With --json the reason is in the result, and the exit code says that it failed."""
    console.text("webhook", "add", "http://127.0.0.1:1/", "--name", "here")
    assert "refused" in console.refused("webhook", "test", "here", "--json")
    shown = json.loads(console.out)
    assert (shown["name"], shown["code"]) == ("here", 0)
    assert "refused" in shown["answer"]
