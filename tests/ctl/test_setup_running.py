"""What ``fedaemonctl setup`` made is a server: the real daemon runs on it, and takes what setup changes."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.config import read_settings
from fedaemon.net.certificate_file import leaf
from tests.ctl.setup_server import ALICE, DOMAIN, SAMPLE, make_pair
from tests.daemon import Daemon, client_context, free_port, submission, wait_until

POSTMASTER = f"postmaster@{DOMAIN}"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """The sample, on ports that are free."""
    text = SAMPLE.replace('"/var/lib/fedaemon"', f'"{tmp_path / "data"}"')
    made = Daemon(
        tmp_path, re.sub(r"^port = \d+$", lambda _: f"port = {free_port()}", text, flags=re.MULTILINE)
    )
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.kill()


def port(daemon: Daemon) -> int:
    listeners = read_settings(daemon.config).listeners
    return next(each.port for each in listeners if (each.service, each.tls) == ("submission", "implicit"))


def test_the_first_message_to_the_postmaster_arrives(daemon: Daemon, tmp_path: Path) -> None:
    """From settings without a host name to mail in the first account, with nothing else done."""
    given = ("--hostname", "localhost", "--domain", DOMAIN, "--account", ALICE, "--password-stdin")
    daemon.ctl("setup", *given, stdin=PASSWORD + "\n")
    daemon.start()
    with submission(port(daemon), tmp_path / "data" / "tls" / "ca.pem", ALICE, PASSWORD) as client:
        client.sendmail(ALICE, [POSTMASTER], f"From: {ALICE}\r\nSubject: Hello\r\n\r\nHello!\r\n")
    (message,) = wait_until(lambda: daemon.mailbox(ALICE), "the message")
    assert b"Subject: Hello" in message
    assert daemon.stop() == 0


def test_a_running_daemon_takes_a_new_certificate_when_told(daemon: Daemon, tmp_path: Path) -> None:
    """As setup says how; the one before was its own."""
    daemon.ctl("setup", "--hostname", "localhost", "--domain", DOMAIN, "--account", ALICE)
    daemon.start()
    place = ("localhost", port(daemon))
    with (
        socket.create_connection(place) as connection,
        client_context(tmp_path / "data/tls/ca.pem").wrap_socket(connection, server_hostname="localhost"),
    ):
        pass
    pair = make_pair(tmp_path / "new", ["localhost"])
    said = daemon.ctl("setup", "certificate", "--certificate", str(pair.certificate))
    assert daemon.process is not None
    assert f"kill -HUP {daemon.process.pid}" in said
    daemon.hang_up()
    wanted = leaf(pair.certificate)
    wait_until(
        lambda: ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(place)) == wanted, "the new certificate"
    )
    assert daemon.stop() == 0
