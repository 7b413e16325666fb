"""Connections that send at once what the socket takes, in the clear and under TLS; no reactor runs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactor

from fedaemon.net.listeners import EagerConnection
from fedaemon.net.selfsigned import LocalCa
from fedaemon.net.tls import ServerTls

LARGE = 8 << 20
"""More than a socket takes at once."""


@pytest.fixture
def pair() -> Iterator[tuple[EagerConnection, socket.socket, MemoryReactor]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    reactor = MemoryReactor()
    connection = EagerConnection(ours, Protocol(), ("", 0), None, 1, reactor)  # type: ignore[arg-type]
    yield connection, theirs, reactor
    theirs.close()
    ours.close()


def test_what_the_socket_takes_is_sent_at_once(pair: Any) -> None:
    connection, theirs, reactor = pair
    connection.write(b"220 ready\r\n")
    assert theirs.recv(100) == b"220 ready\r\n"
    assert reactor.getWriters() == []


def test_what_it_does_not_take_follows_in_order(pair: Any) -> None:
    connection, theirs, reactor = pair
    connection.write(b"x" * LARGE)
    connection.write(b"end")
    assert reactor.getWriters() == [connection]
    received = b""
    while not received.endswith(b"end"):
        received += theirs.recv(LARGE)
        connection.doWrite()
    assert received == b"x" * LARGE + b"end"


def test_what_the_tls_layer_encrypts_is_sent_at_once(pair: Any, local_ca: LocalCa) -> None:
    """The server's part of the handshake is there as soon as the client's has been read."""
    connection, theirs, reactor = pair
    connection.startTLS(ServerTls(local_ca.certificate, local_ca.private_key).factory)
    client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    client.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    theirs.send(client.bio_read(65536))
    connection.doRead()
    client.bio_write(theirs.recv(65536))
    client.do_handshake()
    assert reactor.getWriters() == []
