"""``fedaemonctl status``: the screen, and what there is to say without a daemon."""

from __future__ import annotations

import argparse
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedaemon.config import Server, Settings
from fedaemon.ctl import status, terminal
from fedaemon.ctl.command import DONE, REFUSED, Context
from fedaemon.ctl.status_screen import screen, size
from fedaemon.delivery import pauses
from fedaemon.errors import Unavailable
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.web.status_client import NAME, NotRunning, read_status
from tests.delivery.support import World

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

RUNNING: dict[str, Any] = {
    "running": True,
    "version": "1.0",
    "hostname": "mail.example.org",
    "pid": 4711,
    "at_ms": NOW_MS,
    "started_ms": NOW_MS - 2 * DAY_MS - 4 * HOUR_MS,
    "healthy": True,
    "reasons": [],
    "listeners": [
        {"service": "mx", "address": "::", "port": 25, "tls": "starttls"},
        {"service": "submission", "address": "::", "port": 465, "tls": "implicit"},
        {"service": "imap", "address": "::", "port": 993, "tls": "implicit"},
        {"service": "http", "address": "127.0.0.1", "port": 8080, "tls": "none"},
    ],
    "sessions": {
        "mx": {"open": 3, "logged_in": 0},
        "imap": {"open": 12, "logged_in": 11},
    },
    "queue": {
        "counted_ms": NOW_MS - 5000,
        "recipients": {"queued": 2, "deferred": 7},
        "oldest_ms": NOW_MS - 3 * HOUR_MS,
        "attempts": 1,
    },
    "rates": {
        period: {"seconds": seconds, "accepted": 5, "delivered": 4, "deferred": 3, "bounced": 2, "expired": 1}
        for period, seconds in (("minute", 60), ("hour", 3600), ("day", 86_400))
    },
    "reactor_lag": {"latest_ms": 0.4, "largest_ms": 12.5},
    "store": {
        "octets": 5 * 2**20,
        "free_octets": 40 * 2**30,
        "reserve_octets": 256 * 2**20,
        "commits": 99,
        "commit_ms": 2.1,
        "commit_largest_ms": 14.0,
        "batch": 3.2,
    },
    "memory_octets": 90 * 2**20,
    "certificates": [{"name": "mail.example.org", "expires_ms": NOW_MS + 60 * DAY_MS}],
    "paused": [],
    "problems": [],
}


def lines(**changed: Any) -> list[str]:
    return list(screen({**RUNNING, **changed}, NOW_MS))


def line(title: str, **changed: Any) -> str:
    [found] = [each for each in lines(**changed) if each.startswith(title)]
    return found


def test_a_small_server_fits_a_screen() -> None:
    """80 columns and 24 lines, with problems and a pause."""
    problems = [
        {"at": NOW_MS, "level": "warn", "event": "x", "text": f"login-failed number={number} " + "x" * 99}
        for number in range(20)
    ]
    paused = [{"kind": "all", "name": "", "since_ms": NOW_MS, "why": "moving"}]
    shown = lines(problems=problems, paused=paused)
    assert len(shown) < 24
    assert max(map(len, shown)) <= 80
    assert "login-failed number=19" in shown[-1] and shown[-1].endswith("…")


def test_the_lines_say_what_there_is() -> None:
    """Who listens, who is there, what waits, how fast, how late, how full."""
    head = lines()[0]
    assert head == "fedaemon 1.0 on mail.example.org: well, running for 2d4h, process 4711, 90 MiB"
    assert line("listeners") == "listeners   mx 25, submission 465 TLS, imap 993 TLS,"
    assert "            http 8080 no TLS at 127.0.0.1" in lines()
    assert line("sessions") == "sessions    mx 3, imap 12 (11 logged in)"
    assert line("queue") == "queue       2 queued, 7 deferred, 1 under way, the oldest waits for 3h"
    assert line("last hour").split() == ["last", "hour", "5", "4", "3", "2", "1"]
    assert line("delay") == "delay       0.4 ms now, 12.5 ms at most in 5 minutes"
    assert line("store") == "store       5.0 MiB, 40 GiB free; commits 2.1 ms (14.0 at most), 3.2 writes each"
    assert line("certificate").startswith("certificate mail.example.org until ")


def test_what_is_wrong_stands_at_the_top() -> None:
    """Reasons follow the first line."""
    shown = lines(healthy=False, reasons=["the store cannot commit: disk full"])
    assert "NOT WELL" in shown[0]
    assert shown[1] == "  because   the store cannot commit: disk full"


@pytest.mark.parametrize(
    ("left_ms", "text"), [(60 * DAY_MS, "(60 days)"), (13 * DAY_MS, "SOON"), (-1, "NEW ONE NEEDED")]
)
def test_certificates_that_end_are_marked(left_ms: int, text: str) -> None:
    """Two weeks before, and afterwards."""
    certificate = {"name": "mail.example.org", "expires_ms": NOW_MS + left_ms}
    assert line("certificate", certificates=[certificate]).endswith(text)


def test_periods_that_are_not_known_are_not_shown() -> None:
    """A daemon that has run for a minute knows no hour: the row would only repeat."""
    rates = {period: {**RUNNING["rates"]["minute"], "seconds": 40} for period in ("minute", "hour", "day")}
    titles = [each.split("  ")[0] for each in lines(rates=rates) if each.startswith("last")]
    assert titles == ["last minute"]


def test_what_peers_said_cannot_drive_the_terminal() -> None:
    """Control characters become question marks."""
    problem = {"at": NOW_MS, "level": "warn", "event": "x", "text": "evil\x1b[2Jname"}
    assert lines(problems=[problem])[-1].endswith("evil?[2Jname")


@pytest.mark.parametrize(
    ("octets", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (90 * 2**20, "90 MiB"), (2**50, "1024 TiB")],
)
def test_sizes(octets: int, text: str) -> None:
    """In the unit that suits."""
    assert size(octets) == text


# -- without a daemon


class Console:
    """``fedaemonctl status`` on a data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.out = ""

    def run(self, *arguments: str) -> int:
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument("--json", action="store_true")
        parser = argparse.ArgumentParser()
        status.register(parser.add_subparsers(), common)
        parsed = parser.parse_args(["status", *arguments])
        out = io.StringIO()
        context = Context(self.directory / "unused", json=parsed.json, out=out)
        server = Server(hostname="mail.example.test", data_dir=self.directory)
        context.__dict__["settings"] = Settings(server=server)
        try:
            code: int = parsed.run(context, parsed)
        finally:
            context.close()
        self.out = out.getvalue()
        return code


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


def test_a_stopped_daemon_is_said_to_be(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store says what waits and what is paused; the exit code is 1."""
    engine = LmdbEngine.open(console.directory)
    world = World(engine)
    world.enqueue("carol@remote.test")
    engine.transact(lambda transaction: pauses.pause(transaction, "all", "", "moving", world.now_ms()))
    engine.close()
    monkeypatch.setattr(terminal, "now_ms", lambda: world.now_ms() + HOUR_MS)
    assert console.run() == REFUSED
    first, *rest = console.out.splitlines()
    assert first == f"fedaemon is not running on {console.directory}."
    assert "queue       1 queued, 0 deferred, 0 under way, the oldest waits for 1h" in rest
    assert any(each.startswith("paused      all remote mail since") for each in rest)
    assert console.run("--json") == REFUSED
    shown = json.loads(console.out)
    assert (shown["running"], shown["queue"]["recipients"]["queued"]) == (False, 1)


def test_watching_goes_on_until_ctrl_c(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is shown again and again; where the output is no terminal it is not cleared."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    assert console.run("--watch", "5") == DONE
    assert slept == [5, 5, 5]
    assert console.out.count("is not running") == 3
    assert "\x1b" not in console.out


def test_looking_makes_no_store(console: Console) -> None:
    """Where there was nothing there is nothing afterwards."""
    assert console.run() == REFUSED
    assert "not counted yet" in console.out
    assert list(console.directory.iterdir()) == []


# -- the socket


def serve(directory: Path, answer: bytes) -> Iterator[None]:
    """Answer one request on the status socket of *directory*."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(directory / NAME))
        listening.listen()

        def once() -> None:
            client, _ = listening.accept()
            with client:
                client.recv(4096)
                client.sendall(answer)

        thread = threading.Thread(target=once)
        thread.start()
        yield
        thread.join()


def test_a_running_daemon_is_asked(console: Console) -> None:
    """What it says is shown, and with --json as it is."""
    body = json.dumps({name: value for name, value in RUNNING.items() if name != "running"}).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for _ in serve(console.directory, answer):
        assert console.run("--json") == DONE
    assert json.loads(console.out) == RUNNING


def test_a_socket_that_a_dead_daemon_left_is_none(tmp_path: Path) -> None:
    """After kill -9 the file is still there, and nobody behind it."""
    with pytest.raises(NotRunning):
        read_status(tmp_path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / NAME))
    with pytest.raises(NotRunning):
        read_status(tmp_path)


def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    """The address of a socket has room for 107 octets only."""
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    with pytest.raises(NotRunning):
        read_status(deep)


def test_an_answer_that_makes_no_sense_is_explained(tmp_path: Path) -> None:
    """A daemon of another kind, or in trouble."""
    for _ in serve(tmp_path, b"220 hello\r\n"):
        with pytest.raises(Unavailable, match="does not answer"):
            read_status(tmp_path)
