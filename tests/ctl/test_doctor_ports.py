"""doctor: what answers at each listener, or who has its place."""

from __future__ import annotations

import dataclasses
import errno

import pytest

from fedaemon.config import Listener
from fedaemon.ctl.doctor import ports
from fedaemon.ctl.doctor.greetings import Seen
from fedaemon.ctl.doctor.machine import Program
from fedaemon.ctl.doctor.web_page import Page
from tests.ctl.doctor_case import HOST, PaperMachine, Refusing, bad, new_case, the

IMAP = Listener("imap", "::", 993, "implicit")


def test_ports_without_a_daemon() -> None:
    """Free ports are right; who has another's place is named with the command that ends it."""
    assert bad(ports.check_listener(new_case(), IMAP)) == []
    dovecot = PaperMachine(programs={993: Program(77, "dovecot", "dovecot.service")})
    finding = the(ports.check_listener(new_case(machine=dovecot), IMAP), "problem", "port")
    assert "dovecot (process 77, dovecot.service)" in finding.what
    assert finding.todo == "systemctl disable --now dovecot.service"
    unseen = PaperMachine(programs={993: None})
    assert "ss -ltnp" in the(ports.check_listener(new_case(machine=unseen), IMAP), "problem", "port").todo
    systemd = PaperMachine(programs={993: Program(1, "systemd")})
    assert "NAME.socket" in the(ports.check_listener(new_case(machine=systemd), IMAP), "problem", "port").todo
    by_socket = dataclasses.replace(IMAP, address="systemd:imaps")
    assert bad(ports.check_listener(new_case(machine=systemd), by_socket)) == []
    the(ports.check_listener(new_case(), dataclasses.replace(IMAP, port=0)), "note", "port")


def test_a_daemon_that_does_not_answer() -> None:
    """Somebody else has the port, or the daemon has not opened it."""
    refuse = Refusing(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))
    case = new_case(pid=4711, connect=refuse)
    finding = the(ports.check_listener(case, IMAP), "problem", "answer")
    assert "127.0.0.1 port 993: refuses the connection" in finding.what and "reload" in finding.todo
    other = PaperMachine(programs={993: Program(77, "nc")})
    case = new_case(pid=4711, connect=refuse, machine=other)
    assert "stop nc" in the(ports.check_listener(case, IMAP), "problem", "port").todo


MX, SUBMISSION = Listener("mx", "::", 25, "starttls"), Listener("submission", "::", 587, "starttls")
BASIC = frozenset(("SIZE", "PIPELINING", "8BITMIME"))


@pytest.mark.parametrize(
    ("listener", "seen", "checks"),
    [
        (MX, Seen(HOST, plain=BASIC | {"STARTTLS"}, secured=BASIC), []),
        (MX, Seen("old.example.org", plain=BASIC, secured=BASIC), ["name"]),
        (MX, Seen(HOST, plain=BASIC, secured=frozenset(("SIZE",))), ["offers"]),
        (MX, Seen(HOST, plain=BASIC | {"AUTH"}, secured=BASIC), ["early-login"]),
        (SUBMISSION, Seen(HOST, plain=BASIC, secured=BASIC | {"AUTH"}), []),
        (SUBMISSION, Seen(HOST, plain=BASIC, secured=BASIC), ["offers"]),
    ],
)
def test_what_a_listener_says(listener: Listener, seen: Seen, checks: list[str]) -> None:
    """Our name, what clients need, and no passwords before TLS."""
    assert [each.check for each in bad(ports.judge(new_case(), listener, seen))] == checks


def test_health() -> None:
    """What the daemon says of itself is shown."""
    assert bad(ports.judge_health("http port 80", Page(200, "application/json", "{}"))) == []
    finding = the(ports.judge_health("http", Page(503, "", "disk\n full")), "problem", "health")
    assert finding.what.endswith("disk full")
