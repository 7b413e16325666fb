"""`fedaemonctl probe` on a real daemon: what works is said step by step, and what does not is said plainly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon, free_port
from tests.e2e.peers import ALICE, BOB, DOMAIN, World


def settings(directory: Path, *listeners: tuple[str, str]) -> str:
    """Return settings with listeners (service, tls) on free ports of this machine, and our own certificate."""
    return f'[server]\nhostname = "localhost"\ndata_dir = "{directory}/data"\n' + "".join(
        f'[[listener]]\nservice = "{service}"\nport = {free_port()}\ntls = "{tls}"\n'
        for service, tls in listeners
    )


def started(directory: Path, *listeners: tuple[str, str]) -> Daemon:
    """Return a running daemon with alice and bob."""
    daemon = Daemon(directory, settings(directory, *listeners))
    daemon.ctl("domain", "add", DOMAIN)
    for address in (ALICE, BOB):
        daemon.ctl("account", "add", address)
    daemon.start()
    return daemon


@pytest.fixture(params=["implicit", "starttls"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon whose listeners have TLS from the first octet, or by STARTTLS."""
    made = started(tmp_path, ("submission", request.param), ("imap", request.param))
    yield made
    assert made.stop() == 0


def test_a_message_goes_all_the_way_and_leaves_nothing_behind(daemon: Daemon) -> None:
    """Submission, delivery and IMAP are told; mailbox and passwords are as before."""
    told = daemon.ctl_json("probe", ALICE)
    assert told["delivered"]
    assert [(step["step"], step["ok"]) for step in told["steps"]] == [
        ("submission", True),
        ("delivery", True),
        ("imap", True),
    ]
    assert f"queued as {told['id']}" in told["steps"][0]["text"]
    assert daemon.ctl_json("queue", "show", told["id"])["status"] == "sent"
    assert daemon.mailbox(ALICE) == []
    assert [password["name"] for password in daemon.ctl_json("password", "list", ALICE)] == ["main"]


def test_a_message_to_somebody_else_is_left_to_them(daemon: Daemon) -> None:
    """Nobody's mailbox is opened but the sender's own."""
    shown = daemon.ctl("probe", ALICE, "--to", BOB)
    assert "delivered to bob@example.test" in shown
    assert "imap" not in shown
    (message,) = daemon.mailbox(BOB)
    assert b"\r\nSubject: Test message of fedaemonctl probe\r\n" in message


def test_a_refusal_is_shown_as_it_was_said(daemon: Daemon) -> None:
    """Who probes reads our own words, and the exit code says that it failed."""
    shown = daemon.ctl("probe", ALICE, "--to", f"nobody@{DOMAIN}", code=1)
    assert "NO  submission  550 5.1.1" in shown


def test_what_does_not_run_is_said_with_what_to_do(daemon: Daemon) -> None:
    """The app password is removed all the same."""
    assert daemon.stop() == 0
    shown = daemon.ctl("probe", ALICE, code=1)
    assert "is it running? systemctl start fedaemon" in shown
    assert [password["name"] for password in daemon.ctl_json("password", "list", ALICE)] == ["main"]
    daemon.start()


def test_without_submission_there_is_nothing_to_probe(tmp_path: Path) -> None:
    """It says which listener is missing."""
    daemon = started(tmp_path, ("imap", "implicit"))
    try:
        assert 'no [[listener]] with service = "submission"' in daemon.ctl("probe", ALICE, code=1)
    finally:
        assert daemon.stop() == 0


def test_a_delivery_that_has_to_wait_is_told_with_its_reason(world: World) -> None:
    """Who waits in vain learns what the other server said."""
    world.mx1.rcpt = world.mx2.rcpt = lambda recipient: "450 4.2.0 try again later"
    for host in (world.mx1, world.mx2):
        host.start()
    world.daemon.start()
    shown = world.daemon.ctl("probe", ALICE, "--to", "someone@remote.test", "--json", code=1)
    told = json.loads(shown.partition("fedaemonctl:")[0])
    assert not told["delivered"]
    assert told["steps"][-1]["text"].startswith("deferred after ")
    assert "try again later" in told["steps"][-1]["text"]
    assert f"fedaemonctl queue show {told['id']}" in shown
