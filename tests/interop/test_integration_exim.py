"""docs/integrations/exim.md, followed on a Debian machine in both ways: Debian's configuration, and one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.daemon import wait_until
from tests.interop.conftest import Local
from tests.interop.machine import DOWNLOADS, Followed, Machine, need_machine, write_to
from tests.interop.pages import Page, says

PAGE = Page("exim")
LOG = "cat /var/log/exim4/mainlog"
PASSWORD_FILES = {"debian": "/etc/exim4/passwd.client", "plain": "/etc/exim4/password"}

CLEAN = """
rm -f /etc/exim4/exim4.conf /etc/exim4/exim4.conf.localmacros
exim4 -bpr | awk '/</ { print $3 }' | xargs --no-run-if-empty exim4 -Mrm >/dev/null
rm -f /var/log/exim4/* /var/spool/exim4/db/*
"""

TO_ITSELF = r"""
sed -i -e '/^  self = send$/d' -e '/^  allow_localhost$/d' -e 's/^  route_list = .* byname$/&\n  self = send/' \
    -e 's/^  driver = smtp$/&\n  allow_localhost/' /etc/exim4/exim4.conf*
"""
"""Exim does not send to its own machine, and that is where the server under test is."""


@pytest.fixture(scope="module")
def machine(need: Callable[..., None]) -> Iterator[Machine]:
    """A machine with Exim. Whatever sends a message there delivers it, so that no service needs to run."""
    need("dpkg", str(DOWNLOADS / "exim"))
    need_machine()
    with Machine() as opened:
        opened.install("exim", instead_of="postfix")
        opened.add_program("systemctl", "")
        yield opened


@pytest.fixture(params=["debian", "plain"])
def followed(machine: Machine, local: Local, request: pytest.FixtureRequest) -> Followed:
    """A machine that is set up in one of the two ways of the page, with nothing in its queue."""
    page = Followed(PAGE, machine, local, request.param)
    machine.run(CLEAN)
    page.write()
    machine.run(TO_ITSELF)
    page.follow("start")
    return page


@pytest.mark.parametrize("port", ["465", "587"])
def test_it_sends(followed: Followed, local: Local, port: str) -> None:
    """What root sends arrives as alice's; what is sent to root is alice's, too; the queue is empty afterwards."""
    if port == "587":
        followed.follow("port")
    followed.follow("send")
    subject = f"exim {followed.variant} {port}"
    followed.run(write_to("bob@example.test", subject))
    followed.run(write_to("root", f"{subject} to root"))
    message = local.wait_for("bob@example.test", subject)
    assert b"Return-Path: <alice@example.test>" in message
    assert b"From: root <alice@example.test>" in message
    local.wait_for("alice@example.test", f"{subject} to root")
    wait_until(lambda: followed.run("mailq") == "", "Exim's queue to be empty")
    assert f"localhost::{followed.replacements[port]} " in followed.run("exim4 -bP routers | grep route_list")


def test_a_foreign_sender_is_told(followed: Followed, local: Local) -> None:
    """The report that Exim writes about the refusal gets out, and says what the page says."""
    sender = f"eve-{followed.variant}@example.org"
    followed.run(write_to("bob@example.test", "exim, foreign", "-f", sender))
    quoted = PAGE.errors()["foreign-sender"].replace("eve@example.org", sender)

    def reported() -> bool:
        mail = local.inbox("outbox@example.test")
        return any(says(report.decode(), quoted, followed.replacements) for report in mail)

    wait_until(reported, "Exim's report")


def test_a_wrong_password_waits(followed: Followed, local: Local) -> None:
    """Mail stays in Exim's queue, and goes when the password is right."""
    subject, file = f"exim {followed.variant}, late", PASSWORD_FILES[followed.variant]
    followed.run(f"sed -i 's/{local.alice}/wrong/' {file}")
    followed.run(write_to("bob@example.test", subject))
    followed.shows("wrong-password", LOG)
    followed.run(f"sed -i 's/wrong/{local.alice}/' {file}")
    # A queue run passes over a message while its first attempt goes on.
    wait_until(lambda: followed.run("exim4 -qff; mailq") == "", "Exim's queue to be empty")
    local.wait_for("bob@example.test", subject)


@pytest.mark.parametrize("followed", ["debian"], indirect=True)
def test_no_password_for_this_host(followed: Followed) -> None:
    """A line for another host is not used, and nothing is sent."""
    followed.run(f"sed -i 's/^localhost:/elsewhere:/' {PASSWORD_FILES['debian']}")
    followed.run(write_to("bob@example.test", "exim, nameless"))
    followed.shows("no-password", LOG)


def test_an_unknown_authority(followed: Followed) -> None:
    """Without a known authority nothing is sent, the password least of all."""
    followed.run("echo >/etc/ssl/certs/ca-certificates.crt")
    followed.run(write_to("bob@example.test", "exim, never"))
    followed.shows("certificate", LOG)
    assert "bob@example.test" in followed.run("mailq")
