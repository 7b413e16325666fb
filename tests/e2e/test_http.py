"""The http listeners and the status socket of a real daemon."""

from __future__ import annotations

import http.client
import json
import plistlib
import re
import smtplib
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.daemon import PATIENCE_S, client_context, free_port, submission, wait_until
from tests.e2e.peers import ALICE, BOB, PASSWORD, World

MESSAGE = f"From: {ALICE}\r\nSubject: hello\r\n\r\nhello\r\n".encode()


class Web:
    """A daemon with http listeners, and a browser beside it."""

    def __init__(self, directory: Path) -> None:
        self.http, self.https, self.proxied = free_port(), free_port(), free_port()
        listeners = "".join(
            f'[[listener]]\nservice = "http"\naddress = "127.0.0.1"\nport = {port}\ntls = "{tls}"\n{more}'
            for port, tls, more in (
                (self.http, "none", ""),
                (self.https, "implicit", ""),
                (self.proxied, "none", "proxy_protocol = true\n"),
            )
        )
        self.world = World(directory, extra=listeners)
        self.daemon = self.world.daemon
        self.edit('hostname = "mail.example.test"', 'hostname = "localhost"')

    def edit(self, old: str, new: str) -> None:
        """Change the settings."""
        text = self.daemon.config.read_text()
        assert old in text
        self.daemon.config.write_text(text.replace(old, new))

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        tls: bool = False,
    ) -> Any:
        """Return (status, body, headers) of an answer."""
        connection: http.client.HTTPConnection
        if tls:
            context = client_context(self.world.ca_file)
            connection = http.client.HTTPSConnection(
                "localhost", self.https, context=context, timeout=PATIENCE_S
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def get(
        self, path: str, headers: dict[str, str] | None = None, *, tls: bool = False
    ) -> tuple[int, bytes]:
        """Return status and body of a page."""
        status, body, _ = self.ask("GET", path, headers=headers, tls=tls)
        return status, body

    def raw(self, data: bytes, *, tls: bool = False, port: int = 0) -> bytes:
        """Send octets as they are; return all that came back."""
        with socket.create_connection(
            ("127.0.0.1", port or (self.https if tls else self.http)), PATIENCE_S
        ) as plain:
            peer: socket.socket = plain
            if tls:
                peer = client_context(self.world.ca_file).wrap_socket(plain, server_hostname="localhost")
            peer.sendall(data)
            found = b""
            try:
                while piece := peer.recv(65_536):
                    found += piece
            except (ConnectionResetError, ssl.SSLEOFError):
                # The server closed with octets of ours unread.
                pass
            return found

    def number(self, name: str) -> float:
        """Return the value of one sample of /metrics."""
        _, text = self.get("/metrics")
        found = re.search(rf"^fedaemon_{re.escape(name)} (\S+)$", text.decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = Web(tmp_path)
    try:
        made.daemon.start()
        yield made
    finally:
        made.world.close()


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_mail_programs_find_their_settings(web: Web, tls: bool) -> None:
    """Autoconfig, Autodiscover and Apple's profile name the ports that are open, with and without TLS."""
    status, body = web.get(f"/mail/config-v1.1.xml?emailaddress={ALICE}", tls=tls)
    assert status == 200
    outgoing = [server.findtext("port") for server in ElementTree.fromstring(body).iter("outgoingServer")]
    assert outgoing == [str(web.world.ports["submissions"]), str(web.world.ports["submission"])]
    request = f"<Autodiscover><Request><EMailAddress>{ALICE}</EMailAddress></Request></Autodiscover>"
    status, body, _ = web.ask("POST", "/Autodiscover/Autodiscover.xml", request.encode(), tls=tls)
    assert (status, str(web.world.ports["submissions"]).encode() in body) == (200, True)
    assert (
        web.get("/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=x@other.test", tls=tls)[0] == 404
    )
    # This server has no IMAP listener, so that no profile can be made of it.
    assert web.get(f"/apple/mail.mobileconfig?email={ALICE}", tls=tls)[0] == 404
    status, body, headers = web.ask("HEAD", "/", tls=tls)
    assert (status, body, headers["Server"]) == (200, b"", "fedaemon")


def test_a_profile_of_a_server_that_has_imap(web: Web) -> None:
    """Another listener is offered as soon as the settings are read again."""
    port = free_port()
    config = web.daemon.config
    config.write_text(
        config.read_text()
        + f'[[listener]]\nservice = "imap"\naddress = "127.0.0.1"\nport = {port}\ntls = "implicit"\n'
    )
    web.daemon.hang_up()
    path = f"/apple/mail.mobileconfig?email={ALICE}"
    wait_until(lambda: web.get(path)[0] == 200, "the profile")
    [account] = plistlib.loads(web.get(path)[1])["PayloadContent"]
    assert account["IncomingMailServerPortNumber"] == port


def test_numbers_follow_what_happens(web: Web) -> None:
    """Accepted, delivered, logins, commits and sessions are in /metrics; it is not for a proxy's clients."""
    world = web.world
    with submission(world.ports["submissions"], world.ca_file, ALICE, PASSWORD) as client:
        client.sendmail(ALICE, [BOB], MESSAGE)
        assert web.number('sessions_logged_in{service="submission"}') == 1
        with pytest.raises(smtplib.SMTPAuthenticationError):
            with submission(world.ports["submissions"], world.ca_file, ALICE, "wrong"):
                pass
    wait_until(lambda: web.number('delivery_outcomes_total{result="delivered"}') == 1, "the delivery")
    assert web.number('messages_accepted_total{service="submission"}') == 1
    assert web.number('logins_total{service="submission"}') == 1
    assert web.number('login_failures_total{service="submission"}') >= 1
    assert web.number("store_commit_seconds_count") >= 2
    assert web.number("healthy") == 1
    assert web.number("process_open_fds") > 10
    wait_until(lambda: web.number("reactor_lag_seconds_count") > 0, "a measurement of the lag")
    assert web.get("/metrics", {"X-Forwarded-For": "127.0.0.1"})[0] == 403


def test_the_proxys_word_counts_for_the_address(web: Web) -> None:
    """Behind a balancer the peer is whom its header names: a stranger reads no numbers."""
    get = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    ours, stranger = (
        web.raw(f"PROXY TCP4 {address} 127.0.0.1 1234 80\r\n".encode() + get, port=web.proxied)
        for address in ("127.0.0.1", "192.0.2.1")
    )
    assert ours.startswith(b"HTTP/1.1 200 ")
    assert stranger.startswith(b"HTTP/1.1 403 ")


def test_the_policy_follows_the_settings(web: Web) -> None:
    """MTA-STS: after HUP the mode is the new one."""
    host = {"Host": "mta-sts.example.test"}
    assert b"mode: testing" in web.get("/.well-known/mta-sts.txt", host, tls=True)[1]
    config = web.daemon.config
    config.write_text(config.read_text() + '[http]\nmta_sts = "enforce"\n')
    web.daemon.hang_up()
    wait_until(
        lambda: b"mode: enforce" in web.get("/.well-known/mta-sts.txt", host, tls=True)[1], "the new mode"
    )


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_nonsense_is_refused_once_and_is_no_defect(web: Web, tls: bool) -> None:
    """What follows a bad request, or a good one, is never looked at; nothing of it is a traceback."""
    good = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for bad in (
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\nHost: x\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nzz\r\n",
        b"\x16\x03\x01\x00\x05hello",
    ):
        answer = web.raw(bad + b"\r\n" + good, tls=tls)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1
    assert web.raw(good * 50, tls=tls).count(b"HTTP/1.1 200") == 1
    assert web.get("/healthz", tls=tls)[0] == 200
    assert "Traceback" not in web.daemon.log.read_text()


def test_the_status_of_a_running_daemon(web: Web) -> None:
    """fedaemonctl status asks it; the socket is its user's alone and goes when it ends."""
    path = web.daemon.directory / "data" / "status.socket"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    status = web.daemon.ctl_json("status")
    assert web.daemon.process is not None
    assert (status["running"], status["healthy"], status["pid"]) == (True, True, web.daemon.process.pid)
    assert {"service": "http", "address": "127.0.0.1", "port": web.https, "tls": "implicit"} in status[
        "listeners"
    ]
    assert status["certificates"][0]["expires_ms"] > status["at_ms"]
    assert web.daemon.ctl("status").startswith("fedaemon ")
    web.daemon.ctl("queue", "pause", "--all", "--why", "a test")
    paused = wait_until(lambda: web.daemon.ctl_json("status")["paused"], "the pause")
    assert [(each["kind"], each["why"]) for each in paused] == [("all", "a test")]
    assert json.loads(web.get("/healthz")[1]) == {"status": "ok", "paused": True, "reasons": []}
    assert web.daemon.stop() == 0
    assert not path.exists()
    assert "is not running" in web.daemon.ctl("status", code=1)


def test_a_killed_daemon_leaves_a_socket_that_is_no_obstacle(web: Web) -> None:
    """The status says that nobody is there; the next daemon makes its own."""
    web.daemon.kill()
    assert (web.daemon.directory / "data" / "status.socket").exists()
    assert "is not running" in web.daemon.ctl("status", code=1)
    web.daemon.start()
    assert web.daemon.ctl_json("status")["running"] is True
    assert web.get("/healthz")[0] == 200
