"""Paths, methods, who may read what, and the small pages: MTA-STS, challenges, the page for people."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import pytest

from fedaemon.delivery.tls_policy.sts_policy import parse_policy
from fedaemon.web import acme
from fedaemon.web.front_page import ENGLISH, RUSSIAN, document, preferred
from fedaemon.web.monitor import Monitor
from fedaemon.web.mta_sts import document as policy
from fedaemon.web.offer import Offer
from fedaemon.web.site import StatusSite
from tests.web.conftest import FakeMonitor, Visitor, result

MONITOR_ADDRESS = "10.1.2.3"


@pytest.mark.parametrize(
    "path", ["/nothing", "/mail/", "/metrics/", "/status", "//", "/apple/x.mobileconfig"]
)
def test_other_paths_are_not_found(visitor: Visitor, path: str) -> None:
    """404, also for what only the status socket has."""
    assert visitor.ask(path, address=MONITOR_ADDRESS).status == 404


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/", "POST", "GET, HEAD"),
        ("/", "get", "GET, HEAD"),
        ("/metrics", "DELETE", "GET, HEAD"),
        ("/autodiscover/autodiscover.xml", "PUT", "GET, HEAD, POST"),
    ],
)
def test_other_methods_are_not_allowed(visitor: Visitor, path: str, method: str, allowed: str) -> None:
    """405 says which are (RFC 9110 15.5.6); a method's name has its case."""
    answer = visitor.ask(path, method)
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


def test_numbers_are_for_their_networks(visitor: Visitor) -> None:
    """A stranger is refused with what to set; so is whatever another web server passes on."""
    answer = visitor.ask("/metrics", address=MONITOR_ADDRESS)
    assert (answer.status, answer.body) == (200, b"fedaemon_healthy 1\n")
    assert answer.media_type.startswith("text/plain; version=0.0.4")
    stranger = visitor.ask("/metrics", address="192.0.2.1")
    assert stranger.status == 403
    assert b"metrics_networks" in stranger.body
    for name in ("x-forwarded-for", "forwarded", "via", "x-real-ip"):
        passed_on = visitor.ask("/metrics", address=MONITOR_ADDRESS, headers={name: "10.0.0.1"})
        assert passed_on.status == 403


def test_health_tells_strangers_little(visitor: Visitor) -> None:
    """200 or 503 for everybody; reasons for those who may read numbers. A pause is no fault."""
    visitor.monitor.delivery.paused = True
    assert json.loads(visitor.ask("/healthz").body) == {"status": "ok"}
    visitor.monitor.reasons = ["the disk is full"]
    answer = visitor.ask("/healthz")
    assert (answer.status, json.loads(answer.body)) == (503, {"status": "failing"})
    known = json.loads(visitor.ask("/healthz", address=MONITOR_ADDRESS).body)
    assert known == {"status": "failing", "paused": True, "reasons": ["the disk is full"]}


def test_the_status_socket_has_the_state() -> None:
    """What fedaemonctl reads, and nothing of the public pages."""
    from fedaemon.web.exchange import Asked

    site = StatusSite(cast(Monitor, FakeMonitor()))
    assert json.loads(result(site.answer(Asked("GET", "/status"))).body) == {"version": "1"}
    assert result(site.answer(Asked("GET", "/metrics"))).status == 200
    assert result(site.answer(Asked("GET", "/"))).status == 404


# -- MTA-STS


@pytest.mark.parametrize("mode", ["none", "testing", "enforce"])
def test_our_own_reader_takes_the_policy(mode: str) -> None:
    """RFC 8461 3.2: what we tell is what we would believe of others."""
    read = parse_policy(policy("mail.example.org", mode), "1", 0)
    assert (read.mode, read.mx) == (mode, ("mail.example.org",))
    assert read.allows("mail.example.org")
    assert read.max_age_s == (604_800 if mode == "enforce" else 86_400)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("mta-sts.example.org", 200),
        ("mta-sts.example.net", 404),
        ("example.org", 404),
        ("mta-sts.", 404),
        ("", 404),
    ],
)
def test_a_policy_belongs_to_a_host_name(visitor: Visitor, host: str, status: int) -> None:
    """It is asked of mta-sts.DOMAIN (RFC 8461 3.3), for domains of ours."""
    answer = visitor.ask("/.well-known/mta-sts.txt", host=host)
    assert answer.status == status
    if status == 200:
        assert answer.media_type.startswith("text/plain")
        assert b"mode: testing\r\n" in answer.body


# -- challenges of an authority


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / ".well-known" / "acme-challenge"
    directory.mkdir(parents=True)
    return directory


def challenge(visitor: Visitor, token: str) -> Any:
    return visitor.ask(f"/.well-known/acme-challenge/{token}")


def test_a_challenge_is_shown(visitor: Visitor, directory: Path) -> None:
    """RFC 8555 8.3: the file that certbot puts there, as it is."""
    (directory / "abc_DEF-123").write_bytes(b"abc.thumbprint")
    answer = challenge(visitor, "abc_DEF-123")
    assert (answer.status, answer.body) == (200, b"abc.thumbprint")


@pytest.mark.parametrize(
    "token", ["", ".", "..", "../../secret", "a/b", "a.b", "..%2fsecret", "x" * 129, "absent"]
)
def test_no_way_leads_out(visitor: Visitor, directory: Path, token: str) -> None:
    """A token has no dots and no slashes, so that it names a file of this directory or none."""
    (directory.parent.parent / "secret").write_text("secret")
    assert challenge(visitor, token).status == 404


def test_links_pipes_and_large_files_are_not_shown(visitor: Visitor, directory: Path) -> None:
    """Whoever may write there shows no other file of ours, and does not hold up a thread."""
    (directory.parent / "secret").write_text("secret")
    (directory / "link").symlink_to(directory.parent / "secret")
    os.mkfifo(directory / "pipe")
    (directory / "folder").mkdir()
    (directory / "large").write_bytes(bytes(acme.MAX_OCTETS + 1))
    assert [challenge(visitor, name).status for name in ("link", "pipe", "folder", "large")] == [404] * 4


# -- the page for people


class Reader(HTMLParser):
    """Notes elements, and the cells of the table."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "td" and data.strip():
            self.cells.append(data)


def test_the_page_shows_settings_and_gives_profiles(visitor: Visitor) -> None:
    """Every way with host, port and security; the form leads to a profile; no script, nothing from elsewhere."""
    answer = visitor.ask("/")
    reader = Reader()
    reader.feed(answer.body.decode())
    assert reader.cells[:8] == [
        *("Reading (IMAP)", "mail.example.org", "993", "SSL/TLS"),
        *("Reading (IMAP)", "mail.example.org", "143", "STARTTLS"),
    ]
    assert len(reader.cells) == 24
    [form] = [attributes for tag, attributes in reader.elements if tag == "form"]
    fields = {
        str(attributes["name"]): "alice@example.org"
        for _, attributes in reader.elements
        if "name" in attributes
    }
    fields["protocol"] = "pop3"
    del fields["viewport"]
    assert visitor.ask(str(form["action"]), query=fields).status == 200
    assert not [
        tag
        for tag, attributes in reader.elements
        if tag == "script" or "src" in attributes or "href" in attributes
    ]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("en-GB,en;q=0.9,ru;q=0.8", "en"),
        ("de,ru;q=0.5", "ru"),
        ("fr", "en"),
        ("," * 5000 + "ru", "en"),
    ],
)
def test_the_language_is_the_browsers(accepted: str, language: str) -> None:
    """The first one that we have; English otherwise, however long the field is."""
    assert preferred(accepted).code == language


def test_a_server_without_services_says_so() -> None:
    """In both languages, without an empty table."""
    for words in (ENGLISH, RUSSIAN):
        page = document(words, Offer("mail.example.org", ()))
        assert words.nothing in page
        assert "<table" not in page
