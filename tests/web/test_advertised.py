"""What mail programs are told, from listeners as they are set."""

from __future__ import annotations

from typing import Any

import pytest

from fedaemon.config import DEFAULT_LISTENERS, Listener
from fedaemon.web.advertised import SRV_LABELS, Advertised, advertised, from_here, https_port

HOST = "mail.example.org"


def told(*listeners: Listener, hostname: str = HOST) -> list[tuple[str, str, int]]:
    return [(each.service, each.tls, each.port) for each in advertised(hostname, listeners)]


def test_the_best_way_of_each_service_comes_first() -> None:
    """Whatever the order of the settings: TLS from the first octet, then STARTTLS (RFC 8314 3)."""
    ports = {"submission": (465, 587), "imap": (993, 143), "pop3": (995, 110)}
    listeners = [
        Listener(service, "::", port, tls)
        for service, pair in ports.items()
        for port, tls in zip(reversed(pair), ("starttls", "implicit"), strict=True)
    ]
    assert [port for _, _, port in told(*listeners)] == [993, 143, 995, 110, 465, 587]


def test_the_listeners_without_settings() -> None:
    """A new server offers what it listens on; port 25 is for other servers."""
    assert advertised(HOST, DEFAULT_LISTENERS) == (
        Advertised("imap", "implicit", HOST, 993),
        Advertised("pop3", "implicit", HOST, 995),
        Advertised("submission", "implicit", HOST, 465),
        Advertised("submission", "starttls", HOST, 587),
    )


def test_a_usual_port_comes_before_another() -> None:
    """A second listener on a port of its own is told too, but later; the same port is told once."""
    assert told(
        Listener("imap", "192.0.2.1", 10_993, "implicit"),
        Listener("imap", "192.0.2.1", 993, "implicit"),
        Listener("imap", "2001:db8::1", 993, "implicit"),
    ) == [("imap", "implicit", 993), ("imap", "implicit", 10_993)]


@pytest.mark.parametrize(
    "hidden",
    [
        {"address": "127.0.0.1"},
        {"address": "::1"},
        {"service": "mx"},
        {"service": "http", "tls": "implicit"},
        {"tls": "none"},
        {"port": 0},
    ],
    ids=lambda hidden: " ".join(f"{key}={value}" for key, value in hidden.items()),
)
def test_what_is_not_for_people_is_not_told(hidden: dict[str, Any]) -> None:
    """Loopback, other servers' port, ports without TLS (trusted networks), and ports that nobody knows."""
    place: dict[str, Any] = {"service": "submission", "address": "::", "port": 587, "tls": "starttls"}
    assert told(Listener(**place)) == [("submission", "starttls", 587)]
    assert told(Listener(**{**place, **hidden})) == []


def test_localhost_tells_of_itself() -> None:
    """Local mode is for programs on the same machine."""
    assert told(Listener("imap", "127.0.0.1", 10_993, "implicit"), hostname="localhost")


def test_systemd_sockets_have_the_port_they_say_or_the_usual_one() -> None:
    """The unit's port is not ours to see before the start."""
    assert told(
        Listener("imap", "systemd:imaps", 0, "implicit"), Listener("pop3", "systemd:pop", 1995, "implicit")
    ) == [("imap", "implicit", 993), ("pop3", "implicit", 1995)]


@pytest.mark.parametrize(
    ("address", "dialled"),
    [
        ("::", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("systemd:465", "127.0.0.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
    ],
)
def test_this_machine_reaches_every_listener(address: str, dialled: str) -> None:
    """All addresses are nowhere to connect to."""
    assert from_here(address) == dialled


def test_srv_labels() -> None:
    """RFC 6186 3 names them, and RFC 8314 5.1 _submissions."""
    labels = {each.port: SRV_LABELS[each.service, each.tls] for each in advertised(HOST, DEFAULT_LISTENERS)}
    assert labels == {993: "_imaps", 995: "_pop3s", 465: "_submissions", 587: "_submission"}


@pytest.mark.parametrize(
    ("listeners", "port"),
    [
        ((), None),
        ((Listener("http", "::", 80, "none"),), None),
        ((Listener("http", "127.0.0.1", 443, "implicit"),), None),
        ((Listener("http", "::", 8443, "implicit"),), 8443),
        ((Listener("http", "::", 400, "implicit"), Listener("http", "::", 443, "implicit")), 443),
        ((Listener("http", "systemd:https", 0, "implicit"),), 443),
    ],
)
def test_the_port_of_https(listeners: tuple[Listener, ...], port: int | None) -> None:
    """Only TLS that others reach counts; 443 comes first."""
    assert https_port(HOST, listeners) == port
