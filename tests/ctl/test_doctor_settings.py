"""doctor: settings, the daemon's process, the clock."""

from __future__ import annotations

import dataclasses
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fedaemon import __version__
from fedaemon.ctl.doctor import process, settings
from fedaemon.ctl.doctor.case import Stored
from fedaemon.ctl.doctor.finding import Finding
from fedaemon.errors import Unavailable
from tests.ctl.doctor_case import ADDRESS, DOMAIN, HOST, PLAIN, PaperMachine, bad, new_case, the

SUBMISSION = '[[listener]]\nservice = "submission"\nport = 465\ntls = "implicit"\n'
MX = '[[listener]]\nservice = "mx"\nport = 25\n'
IMAP = '[[listener]]\nservice = "imap"\nport = 993\ntls = "implicit"\n'


def test_the_defaults_are_right() -> None:
    """With a name, a domain, an account and a postmaster nothing is said of the settings."""
    assert bad(settings.check_settings(new_case())) == []


@pytest.mark.parametrize("name", ["mailserver", "mail.lan", "mail.home.arpa", "server.local"])
def test_a_name_that_is_none_of_the_internet(name: str) -> None:
    """Other servers would look it up in vain."""
    finding = the(settings.hostname(new_case(f'[server]\nhostname = "{name}"\n')), "problem", "hostname")
    assert finding.what == f"{name} is no name of the internet"
    assert "fedaemonctl setup hostname" in finding.todo


def test_localhost_is_there_to_try_things_with() -> None:
    """That is no problem, and the limits of real servers are not asked of it."""
    case = new_case('[server]\nhostname = "localhost"\n[limits]\ndaily_messages_per_account = 0\n')
    assert the(settings.check_settings(case), "note", "hostname").about == "localhost"


@pytest.mark.parametrize(
    ("listeners", "check", "words"),
    [
        (SUBMISSION + IMAP, "incoming", 'none with service = "mx" is open to others'),
        (SUBMISSION + IMAP + MX.replace("25", "2525"), "incoming", "port 2525 only"),
        (SUBMISSION + IMAP + MX.replace("port", 'address = "127.0.0.1"\nport'), "incoming", "no listener"),
        (MX + IMAP, "submission", "no listener takes mail from users"),
    ],
)
def test_a_way_in_that_is_missing(listeners: str, check: str, words: str) -> None:
    """Each service that a mail server has is missed, also where only this machine can reach it."""
    assert words in the(settings.listeners(new_case(PLAIN + listeners)), "warning", check).what


def test_nobody_can_read() -> None:
    """A server that only sends is possible: a note."""
    the(settings.listeners(new_case(PLAIN + MX + SUBMISSION)), "note", "reading")


def test_a_proxy_header_from_anybody() -> None:
    """A listener that believes PROXY headers must not be open to all."""
    mx = MX + "proxy_protocol = true\n"
    found = settings.listeners(new_case(PLAIN + SUBMISSION + IMAP + mx))
    assert the(found, "warning", "proxy").about == "mx port 25"
    inside = mx + 'address = "10.0.0.1"\n'
    assert bad(settings.listeners(new_case(PLAIN + SUBMISSION + IMAP + inside))) == []


def test_a_postmaster_is_missed() -> None:
    """The first of the domains without one is named, and how many more there are."""
    stored = Stored(
        ("a.example", "b.example", "c.example"), accounts=1, postmasters=frozenset(("b.example",))
    )
    finding = the(settings.postmaster(new_case(stored=stored)), "warning", "postmaster")
    assert finding.what == "nobody gets mail for postmaster@a.example and 1 more domain"
    assert "fedaemonctl alias add postmaster@a.example" in finding.todo


def test_a_store_without_domains_or_accounts() -> None:
    """What to do first is said."""
    assert "domain add" in the(settings.postmaster(new_case(stored=Stored())), "warning", "domains").todo
    stored = Stored((DOMAIN,), postmasters=frozenset((DOMAIN,)))
    assert f"alice@{DOMAIN}" in the(settings.postmaster(new_case(stored=stored)), "warning", "accounts").todo


def test_limits_that_were_taken_away() -> None:
    """A stolen password does harm without end, and so does guessing."""
    case = new_case(PLAIN + "[limits]\ndaily_messages_per_account = 0\nlogin_failures_per_hour = 0\n")
    assert [each.check for each in bad(settings.limits(case))] == ["daily-limit", "login-limit"]
    by_domain = "[limits]\ndaily_messages_per_account = 0\ndaily_messages_per_domain = 1000\n"
    assert bad(settings.limits(new_case(PLAIN + by_domain))) == []


@pytest.mark.parametrize("in_file", [True, False])
def test_a_relay_password_that_all_can_read(tmp_path: Path, *, in_file: bool) -> None:
    """The file that has it is named: the settings, or a file of its own."""
    secret, source = tmp_path / "relay.password", tmp_path / "fedaemon.toml"
    secret.write_text("secret\n")
    line = f'password_file = "{secret}"' if in_file else 'password = "secret"'
    route = f'[[route]]\ndomain = "*"\nhost = "relay.example.net"\nusername = "u"\n{line}\n'
    source.write_text(PLAIN + route)
    where = secret if in_file else source
    where.chmod(0o644)
    case = new_case(PLAIN + route, source=source)
    finding = the(settings.passwords(case), "problem", "relay-password")
    assert finding.about == str(where) and finding.todo == f"chmod o= {where}"
    where.chmod(0o640)
    assert bad(settings.passwords(case)) == []


@pytest.mark.parametrize(
    ("line", "check"),
    [("paused = true", "paused"), ('capture = "a@example.org"', "capture"), ("mx_port = 2525", "mx-port")],
)
def test_delivery_that_is_switched_off(line: str, check: str) -> None:
    """What is right for development is forgotten easily."""
    the(settings.delivery(new_case(f"{PLAIN}[delivery]\n{line}\n")), "warning", check)


def test_the_daemon_does_not_run() -> None:
    """How to start it is said, both ways."""
    finding = the(process.check_daemon(new_case()), "warning", "running")
    assert "systemctl start fedaemon" in finding.todo and "/etc/fedaemon/fedaemon.toml" in finding.todo


class Running(PaperMachine):
    """A machine on which the daemon runs as *uid* with *limit* descriptors."""

    def __init__(self, uid: int, limit: int | None) -> None:
        super().__init__(ADDRESS)
        self.uid, self.limit = uid, limit

    def user_of(self, pid: int) -> int | None:
        return self.uid

    def open_files_limit(self, pid: int) -> int | None:
        return self.limit


@pytest.mark.parametrize(
    ("uid", "limit", "sessions", "checks"),
    [
        (990, 65536, 10_000, []),
        (990, None, 10_000, []),
        (990, 10_600, 10_000, []),
        (990, 10_599, 10_000, ["descriptors"]),
        (990, 1024, 0, ["descriptors"]),
        (0, 65536, 10_000, ["root"]),
    ],
)
def test_the_process(tmp_path: Path, uid: int, limit: int | None, sessions: int, checks: list[str]) -> None:
    """It should not be root's, and have a descriptor for every session, delivery and file."""
    text = f'[server]\nhostname = "{HOST}"\ndata_dir = "{tmp_path}"\n[limits]\nsessions = {sessions}\n'
    (tmp_path / "service.lock").write_text("4711\n")
    case = new_case(text, pid=4711, machine=Running(uid, limit))
    assert [each.check for each in bad(process.check_daemon(case))] == checks


def test_what_the_daemon_says_of_itself() -> None:
    """It is asked over its socket; no answer, reasons, and another version are found."""

    def status(reasons: list[str], version: str) -> list[Finding]:
        answer = {"reasons": reasons, "version": version}
        return list(process.own_words(new_case(pid=4711, read_status=lambda data_dir: answer)))

    def silent(data_dir: Path) -> dict[str, Any]:
        raise Unavailable("the daemon does not answer")

    assert bad(status([], __version__)) == []
    assert "the disk is slow" in the(status(["the disk is slow"], __version__), "problem", "health").what
    assert "version 0.0.1" in the(status([], "0.0.1"), "warning", "version").what
    the(process.own_words(new_case(pid=4711, read_status=silent)), "problem", "health")


def test_how_long_it_runs(tmp_path: Path) -> None:
    """The lock is written at the start."""
    lock = tmp_path / "service.lock"
    lock.write_text("4711\n")
    case = new_case(f'[server]\nhostname = "{HOST}"\ndata_dir = "{tmp_path}"\n', pid=4711)
    os.utime(lock, (case.now.timestamp() - 7200, case.now.timestamp() - 7200))
    (running,) = [each for each in process.check_daemon(case) if each.check == "running"]
    assert running.what.endswith("(2h)")


def test_the_clock() -> None:
    """It is to be right, and kept so; where that cannot be seen, it is said."""
    assert bad(process.check_clock(new_case())) == []
    machine = PaperMachine()
    machine.clock = False
    assert (
        "timedatectl" in the(process.check_clock(new_case(machine=machine)), "warning", "synchronised").todo
    )
    machine.clock = None
    the(process.check_clock(new_case(machine=machine)), "note", "synchronised")
    past = dataclasses.replace(new_case(), now=datetime(1970, 1, 1, tzinfo=UTC))
    assert "1970-01-01" in the(process.check_clock(past), "problem", "year").what
