"""doctor: conversations with servers that do as they are told: outbound, relays, blocklists."""

from __future__ import annotations

import dataclasses
import errno
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fedaemon.config import Route
from fedaemon.ctl.doctor import blocklists, outbound
from fedaemon.ctl.doctor.case import Case
from fedaemon.ctl.doctor.dialogue import Broken, Conversation
from fedaemon.ctl.doctor.lookup import Lookup
from tests.ctl.doctor_case import HOST, PLAIN, PaperDns, PaperMachine, Refusing, bad, new_case, the
from tests.daemon import free_port
from tests.lab.authority import Authority
from tests.lab.listening import Listening
from tests.lab.mx import Moment, MxHost

PEER = "mx.remote.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def remote(authority: Authority) -> Iterator[tuple[MxHost, int]]:
    """A good mail exchanger elsewhere, and its port."""
    listening = Listening(free_port())
    try:
        yield listening.start(MxHost(PEER, "127.0.0.1", tls=authority.good(PEER))), listening.port
    finally:
        listening.close()


def case_for(authority: Authority, more: str = "", **others: Any) -> Case:
    text = f'{PLAIN}[delivery]\nca_file = "{authority.ca_file}"\n{more}'
    return new_case(text, records={(PEER, "A"): ["127.0.0.1"]}, **others)


def test_a_good_server(authority: Authority, remote: tuple[MxHost, int]) -> None:
    """Greeted by our name, STARTTLS, certificate checked, and nothing sent."""
    host, port = remote
    found = list(outbound.check_host(case_for(authority), PEER, port))
    assert [(each.level, each.check) for each in found] == [("ok", "connect"), ("ok", "tls")]
    assert "TLSv1.3" in found[1].what
    assert set(host.names) == {HOST} and host.messages == [] and host.offered == []


def test_tls_that_is_not_good(authority: Authority, remote: tuple[MxHost, int]) -> None:
    """An untrusted certificate is common, and a note; no TLS at all, or a broken one, a warning."""
    host, port = remote
    host.tls = authority.self_signed(PEER)
    finding = the(outbound.check_host(case_for(authority), PEER, port), "note", "tls")
    assert "cannot be trusted" in finding.what
    host.tls = None
    assert "STARTTLS" in the(outbound.check_host(case_for(authority), PEER, port), "warning", "tls").what
    host.tls = "broken"
    the(outbound.check_host(case_for(authority), PEER, port), "warning", "tls")


def test_a_server_that_turns_us_away(authority: Authority, remote: tuple[MxHost, int]) -> None:
    """What it says is shown, without what could drive a terminal."""
    host, port = remote

    def refuse(moment: Moment) -> str | None:
        return "554 5.7.1 192.0.2.1 is listed \x1b[31m" if moment.phase == "connect" else None

    host.behave(refuse)
    finding = the(outbound.check_host(case_for(authority), PEER, port), "problem", "greeting")
    assert "554 5.7.1 192.0.2.1 is listed ?[31m" in finding.what


@pytest.mark.parametrize(
    ("error", "port", "words"),
    [
        (TimeoutError("timed out"), 25, "[[route]] with port = 587"),
        (TimeoutError("timed out"), 587, "firewall"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), 25, "firewall"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), 25, "ip route"),
    ],
)
def test_no_connection(authority: Authority, error: OSError, port: int, words: str) -> None:
    """A port 25 that does not answer is what providers block; other failures have other reasons."""
    case = case_for(authority, connect=Refusing(error))
    assert words in the(outbound.check_host(case, PEER, port), "problem", "connect").todo


def test_one_of_two_ways(authority: Authority, remote: tuple[MxHost, int]) -> None:
    """IPv4 works, and IPv6 that this machine has does not: a warning. Without IPv6 here it is not tried."""
    _, port = remote
    records = {(PEER, "A"): ["127.0.0.1"], (PEER, "AAAA"): ["2606:2800::1"]}

    def connect(address: tuple[str, int], timeout_s: float, source: tuple[str, int] | None) -> socket.socket:
        if ":" in address[0]:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return socket.create_connection(address, timeout_s, source)

    case = dataclasses.replace(case_for(authority, connect=connect), lookup=Lookup(PaperDns(records)))
    assert bad(outbound.check_host(case, PEER, port)) == []
    both = dataclasses.replace(case, machine=PaperMachine("11.22.33.44", "2606:2800::25"))
    finding = the(outbound.check_host(both, PEER, port), "warning", "connect")
    assert "2606:2800::1" in finding.what and "[[source]]" in finding.todo


def test_connections_come_from_where_mail_does(authority: Authority, remote: tuple[MxHost, int]) -> None:
    """[[source]] holds for the examination, too."""
    host, port = remote
    case = case_for(authority, '[[source]]\naddress = "127.0.0.9"\n')
    assert bad(outbound.check_host(case, PEER, port)) == []
    assert set(host.peers) == {"127.0.0.9"}


def test_a_name_that_does_not_exist(authority: Authority) -> None:
    """Nothing is dialled."""
    the(outbound.check_host(case_for(authority), "nowhere.test", 25), "problem", "address")


def test_nobody_was_named(authority: Authority) -> None:
    """How to check is said, unless a relay takes everything."""
    finding = outbound.unknown(case_for(authority))
    assert finding.level == "note" and "--outbound HOST" in finding.todo
    relay = '[[route]]\ndomain = "*"\nhost = "relay.example.net"\n'
    assert outbound.unknown(case_for(authority, relay)).level == "ok"


def test_a_relay(authority: Authority, remote: tuple[MxHost, int]) -> None:
    """It is as its settings demand, or that is a problem: then all mail waits."""
    host, port = remote
    host.under_tls = ("AUTH PLAIN LOGIN",)
    route = Route("*", PEER, port, "verify", "user", "secret")
    case = case_for(authority)
    assert bad(outbound.check_route(case, route)) == []
    host.under_tls = ()
    the(outbound.check_route(case, route), "problem", "route-login")
    host.tls = authority.expired(PEER)
    assert "expired" in the(outbound.check_route(case, route), "problem", "route-tls").what
    taken = dataclasses.replace(route, tls="required", username=None, password=None)
    the(outbound.check_route(case, taken), "note", "tls")
    host.tls = None
    the(outbound.check_route(case, taken), "problem", "route-tls")
    plain = dataclasses.replace(taken, tls="none")
    assert bad(outbound.check_route(case, plain)) == []


def serve(lines: bytes) -> tuple[int, threading.Thread]:
    """Say *lines* to the first who connects, and hang up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listening, listening.accept()[0] as client:
            client.sendall(lines)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return listening.getsockname()[1], thread


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak SMTP"),
        (b"x" * 20_000, "line without end"),
        (b"220-a\r\n" * 300, "reply without end"),
        (b"", "closes the connection"),
    ],
)
def test_nonsense_ends_the_conversation(lines: bytes, words: str) -> None:
    """Whatever answers, it is bounded, and said in words."""
    port, thread = serve(lines)
    with (
        Conversation(socket.create_connection, "127.0.0.1", port) as talk,
        pytest.raises(Broken, match=words),
    ):
        talk.smtp()
    thread.join()


def test_a_server_that_says_nothing() -> None:
    """The whole conversation has one time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with Conversation(socket.create_connection, "127.0.0.1", port, 0.05) as talk:
            with pytest.raises(Broken, match="does not answer in time"):
                talk.line()
            with pytest.raises(Broken, match="does not answer in time"):
                talk.say("QUIT")


@pytest.mark.parametrize(
    ("address", "answer", "level"),
    [
        ("192.0.2.1", [], None),
        ("192.0.2.1", ["127.0.0.2"], "problem"),
        ("192.0.2.1", ["127.255.255.254"], "note"),
        ("192.0.2.1", ["203.0.113.7"], None),
    ],
)
def test_blocklists(address: str, answer: list[str], level: str | None) -> None:
    """Listed, refused, or a list that is gone and answers with somebody's web server."""
    case = new_case(
        records={("1.2.0.192.list.test", "A"): answer, ("1.2.0.192.list.test", "TXT"): ['"spam"']}
    )
    found = bad(blocklists.check_list(case, address, "list.test"))
    assert [each.level for each in found] == ([level] if level else [])
    assert level != "problem" or "spam" in found[0].what
