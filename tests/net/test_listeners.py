"""Listeners: real sockets on a reactor of the test's own: opened, adopted from systemd, refused in words."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.selectreactor import SelectReactor

from fedaemon.net import listeners, systemd
from fedaemon.net.listeners import CannotListen, open_listeners


@dataclass(frozen=True)
class Place:
    address: str
    port: int = 0


class Greeter(Protocol):
    """Says who it is and what it sees."""

    name = b""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        nodelay = transport.getHandle().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.write(b"%s nodelay=%d" % (self.name, nodelay))
        transport.loseConnection()


def greeter(name: bytes) -> Any:
    factory: Any = Factory.forProtocol(type("Named", (Greeter,), {"name": name}))
    factory.noisy = False
    return factory


@pytest.fixture
def reactor() -> Iterator[Any]:
    own: Any = SelectReactor()
    yield own
    own.disconnectAll()
    own.removeAll()
    own.iterate(0)


def greeting(reactor: Any, address: str, port: int) -> bytes:
    """Connect and return what the listener says."""
    with socket.create_connection((address, port), timeout=10) as client:
        client.setblocking(False)
        received = b""
        for _ in range(1000):
            reactor.iterate(0.01)
            try:
                block = client.recv(100)
            except BlockingIOError:
                continue
            if not block:
                return received
            received += block
    raise AssertionError("the listener did not answer")


def listening_socket(family: int = socket.AF_INET, address: str = "127.0.0.1") -> socket.socket:
    """A socket as systemd would have opened it."""
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.bind((address, 0))
    opened.listen()
    return opened


def pass_sockets(monkeypatch: pytest.MonkeyPatch, *named: tuple[str, socket.socket]) -> dict[str, str]:
    """Give descriptors their names as if they began at *FIRST_SOCKET*."""
    first = 700
    for position, (_, opened) in enumerate(named):
        os.dup2(opened.fileno(), first + position)
    monkeypatch.setattr(systemd, "FIRST_SOCKET", first)
    names = ":".join(name for name, _ in named)
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(named)), "LISTEN_FDNAMES": names}


def test_every_place_answers_with_its_own_factory(reactor: Any) -> None:
    """Several places are open at once, replies leave without delay, and the ports are known."""
    opened = open_listeners(
        reactor, [Place("127.0.0.1"), Place("127.0.0.1")], [greeter(b"a"), greeter(b"b")], {}
    )
    (_, first), (_, second) = opened.ports()
    assert greeting(reactor, "127.0.0.1", first) == b"a nodelay=1"
    assert greeting(reactor, "127.0.0.1", second) == b"b nodelay=1"


def test_the_unspecified_ipv6_address_takes_ipv4_too(reactor: Any) -> None:
    """ "::" means every address of the machine, of both families."""
    opened = open_listeners(reactor, [Place("::")], [greeter(b"dual")], {})
    ((_, port),) = opened.ports()
    assert greeting(reactor, "127.0.0.1", port) == b"dual nodelay=1"


def test_without_ipv6_the_unspecified_address_is_ipv4(reactor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with IPv6 turned off in the kernel still gets its mail."""
    monkeypatch.setattr(listeners, "_has_ipv6", lambda: False)
    opened = open_listeners(reactor, [Place("::")], [greeter(b"four")], {})
    assert opened.ports()[0][0] == "0.0.0.0"
    assert greeting(reactor, "127.0.0.1", opened.ports()[0][1]) == b"four nodelay=1"


def test_systemd_sockets_are_found_by_name(reactor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Socket activation: the name chooses, the order does not, and one name may have several sockets."""
    sockets = [listening_socket() for _ in range(3)]
    environ = pass_sockets(monkeypatch, ("mx", sockets[0]), ("submission", sockets[1]), ("mx", sockets[2]))
    places = [Place("systemd:submission"), Place("systemd:mx")]
    opened = open_listeners(reactor, places, [greeter(b"submission"), greeter(b"mx")], environ)
    expected = [sockets[1], sockets[0], sockets[2]]
    assert list(opened.ports()) == [each.getsockname() for each in expected]
    for each, name in zip(expected, (b"submission", b"mx", b"mx"), strict=True):
        assert greeting(reactor, *each.getsockname()) == name + b" nodelay=1"


def test_a_systemd_socket_survives_closing_and_opens_again(
    reactor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd's socket is not shut down with the listener: it queues connections for the next one."""
    own = listening_socket()
    environ = pass_sockets(monkeypatch, ("mx", own))
    first = open_listeners(reactor, [Place("systemd:mx")], [greeter(b"first")], environ)
    closed: list[object] = []
    first.stop_accepting().addCallback(closed.append)
    reactor.iterate(0)
    reactor.iterate(0)
    assert closed == [None]
    open_listeners(reactor, [Place("systemd:mx")], [greeter(b"second")], environ)
    assert greeting(reactor, *own.getsockname()) == b"second nodelay=1"


def test_a_name_systemd_did_not_pass_is_said_with_those_it_did(
    reactor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message shows both sides of the misunderstanding."""
    environ = pass_sockets(monkeypatch, ("smtp", listening_socket()))
    with pytest.raises(CannotListen, match=r"systemd:mx: .*passed: smtp.*FileDescriptorName=mx"):
        open_listeners(reactor, [Place("systemd:mx")], [greeter(b"")], environ)
    with pytest.raises(CannotListen, match="passed: none"):
        open_listeners(reactor, [Place("systemd:mx")], [greeter(b"")], {})


def test_a_systemd_socket_that_is_not_tcp_is_refused(reactor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Unix socket has no client addresses, on which limits rest."""
    with socket.socket(socket.AF_UNIX) as unix:
        environ = pass_sockets(monkeypatch, ("mx", unix))
        with pytest.raises(CannotListen, match="not a TCP socket"):
            open_listeners(reactor, [Place("systemd:mx")], [greeter(b"")], environ)


def test_a_port_in_use_is_said_and_nothing_stays_open(reactor: Any) -> None:
    """All listeners or none: the one that could be opened is closed again."""
    with listening_socket() as taken, socket.socket() as probe:
        free = listening_socket()
        free_port = free.getsockname()[1]
        free.close()
        places = [Place("127.0.0.1", free_port), Place("127.0.0.1", taken.getsockname()[1])]
        with pytest.raises(CannotListen, match=r"127\.0\.0\.1 port \d+: another program has that port"):
            open_listeners(reactor, places, [greeter(b"")] * 2, {})
        with pytest.raises(ConnectionRefusedError):
            probe.connect(("127.0.0.1", free_port))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(13, "Permission denied"), "CAP_NET_BIND_SERVICE"),
        (OSError(99, "Cannot assign requested address"), "does not have that address"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_other_failures_say_what_to_do(
    reactor: Any, monkeypatch: pytest.MonkeyPatch, error: OSError, text: str
) -> None:
    """A missing privilege or a foreign address is explained."""

    class Failing(socket.socket):
        def bind(self, _: object) -> None:
            raise error

    monkeypatch.setattr(socket, "socket", Failing)
    with pytest.raises(CannotListen, match=text):
        open_listeners(reactor, [Place("192.0.2.1", 25)], [greeter(b"")], {})


def test_stop_accepting_refuses_new_connections(reactor: Any) -> None:
    """After TERM nobody new comes in."""
    opened = open_listeners(reactor, [Place("127.0.0.1")], [greeter(b"a")], {})
    closed: list[object] = []
    opened.stop_accepting().addCallback(closed.append)
    reactor.iterate(0)
    reactor.iterate(0)
    assert closed == [None]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(opened.ports()[0], timeout=5)
