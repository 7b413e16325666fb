"""docs/integrations/postfix.md, followed on a Debian machine: the files and the commands are those of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemon import Daemon, free_port, wait_until
from tests.interop.conftest import Local
from tests.interop.machine import Followed, Machine, need_machine, write_to
from tests.interop.pages import Page, replaced, says
from tests.interop.servers import Certified

PAGE = Page("postfix")
LOG = "cat /var/log/mail.log"

SYSTEMCTL = """\
postconf -e smtp_host_lookup=native maillog_file=/var/log/mail.log
postconf -MX smtp/inet
postfix status 2>/dev/null || /usr/lib/postfix/configure-instance.sh - 2>/dev/null
postfix reload 2>/dev/null || postfix start
"""
"""What its unit does, where there is no systemd. "localhost" is not in DNS, another test may have port 25, and
there is no system log."""

TRUSTING = """
[server]
hostname = "localhost"
data_dir = "{directory}/data"
[tls]
certificate = "{certified.certificate}"
private_key = "{certified.private_key}"
"""


@pytest.fixture(scope="module")
def machine(need: Callable[..., None]) -> Iterator[Machine]:
    need("postfix")
    need_machine()
    with Machine() as opened:
        opened.add_program("systemctl", SYSTEMCTL)
        yield opened


@pytest.fixture
def followed(machine: Machine, local: Local) -> Followed:
    """A machine that is set up as the page says, with nothing in its queue."""
    page = Followed(PAGE, machine, local)
    page.write()
    page.follow("start")
    machine.run("postsuper -d ALL; : >/var/log/mail.log")
    return page


@pytest.mark.parametrize("port", ["465", "587"])
def test_it_sends(followed: Followed, local: Local, port: str) -> None:
    """What root sends arrives as alice's; what is sent to root is alice's, too; the queue is empty afterwards."""
    if port == "587":
        followed.follow("port")
    followed.follow("send")
    followed.run(write_to("bob@example.test", f"postfix {port}"))
    followed.run(write_to("root", f"postfix cron {port}"))
    assert b"From: root <alice@example.test>" in local.wait_for("bob@example.test", f"postfix {port}")
    local.wait_for("bob@example.test", "from app1")
    local.wait_for("alice@example.test", f"postfix cron {port}")
    wait_until(lambda: followed.run("mailq") == "Mail queue is empty\n", "Postfix's queue to be empty")
    assert f"[localhost]:{followed.replacements[port]}\n" in followed.run("postconf relayhost")


def test_a_foreign_sender_is_told(followed: Followed, local: Local) -> None:
    """The report that Postfix writes about the refusal gets out, and says what the page says."""
    followed.run(write_to("bob@example.test", "postfix, foreign", "-f", "eve@example.org"))
    report = local.wait_for("outbox@example.test", "Undelivered Mail Returned to Sender").decode()
    assert says(report, PAGE.errors()["foreign-sender"], followed.replacements)


def test_a_wrong_password_waits(followed: Followed, local: Local) -> None:
    """Mail stays in Postfix's queue, and goes when the password is right."""
    followed.run(f"sed -i 's/:{local.alice}$/:wrong/' /etc/postfix/sasl_passwd; postfix reload")
    followed.run(write_to("bob@example.test", "postfix, late"))
    followed.shows("wrong-password", "mailq")
    followed.run(f"sed -i 's/:wrong$/:{local.alice}/' /etc/postfix/sasl_passwd; postfix reload")
    wait_until(lambda: "empty" in followed.run("postqueue -f; mailq"), "Postfix's queue to be empty")
    local.wait_for("bob@example.test", "postfix, late")


def test_no_password_for_this_host(followed: Followed) -> None:
    """The line of another port is not used."""
    followed.run("sed -i 's/^[^ ]*/[localhost]:1/' /etc/postfix/sasl_passwd; postfix reload")
    followed.run(write_to("bob@example.test", "postfix, nameless"))
    followed.shows("no-password", LOG)


def test_an_unknown_authority(followed: Followed) -> None:
    """Without a known authority nothing is sent, the password least of all."""
    followed.run("postconf -e smtp_tls_CAfile=; postfix reload")
    followed.run(write_to("bob@example.test", "postfix, never"))
    followed.shows("certificate", "mailq")


def test_tls_from_the_start_on_587(followed: Followed) -> None:
    """The port alone is not enough to change."""
    followed.follow("port")
    followed.run("postconf -e smtp_tls_wrappermode=yes; postfix reload")
    followed.run(write_to("bob@example.test", "postfix, confused"))
    followed.shows("wrong-tls", "mailq")


def test_each_sender_logs_in_itself(followed: Followed, local: Local) -> None:
    """Bob's mail is sent with bob's password, alice's with hers."""
    bob = local.settings["accounts"]["bob@example.test"]["password"]
    lines = PAGE.commands()["senders"].replace("shop@example.org", "bob@example.test")
    followed.run(replaced(lines, {"PASSWORD": bob}))
    for sender in ("alice@example.test", "bob@example.test"):
        followed.run(write_to("bob@example.test", f"postfix as {sender}", "-f", sender, "-F", "Name"))
        assert f"From: Name <{sender}>".encode() in local.wait_for("bob@example.test", f"postfix as {sender}")


def test_a_trusted_network(followed: Followed, local: Local, tmp_path: Path) -> None:
    """The listener of the page takes mail without a password from the host that it trusts, as any own address."""
    port = str(free_port())
    listener = replaced(PAGE.files()["listener.toml"], {"587": port}).replace("192.0.2.17", "127.0.0.1")
    daemon = Daemon(tmp_path, TRUSTING.format(directory=tmp_path, certified=Certified(local)) + listener)
    daemon.ctl("domain", "add", "example.test")
    daemon.ctl("account", "add", "bob@example.test", "--password-stdin", stdin="not needed")
    daemon.start()
    try:
        followed.replacements["587"] = port
        followed.follow("port", "trusted")
        followed.run(write_to("bob@example.test", "postfix, trusted", "-f", "anybody@example.test"))
        (message,) = wait_until(lambda: daemon.mailbox("bob@example.test"), "the message of the trusted host")
        assert b"with ESMTPS (" in message
    finally:
        assert daemon.stop() == 0
