"""Opens the listening sockets, or adopts those that systemd opened, and starts accepting on all at once.

Sockets are made here and not by Twisted, because three things must hold on every supported version: a ``::``
socket takes IPv4 as well, the backlog is deep enough for a burst, and TCP_NODELAY is set on the listening
socket, from which each accepted connection inherits it without a system call of its own.

Standards: RFC 3493 5.3 (IPV6_V6ONLY), sd_listen_fds_with_names(3).
Invariants: either all listeners are open or none.
Limits: ``BACKLOG`` connections that nobody has accepted yet (the kernel's net.core.somaxconn may lower it).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred

from fedaemon.logs import Logger
from fedaemon.net.systemd import AT_START, named_sockets

log = Logger()

BACKLOG = 1024
SYSTEMD = "systemd:"


class Place(Protocol):
    """Where to listen: an IP address or ``systemd:NAME``; *port* 0 is any free one."""

    @property
    def address(self) -> str: ...

    @property
    def port(self) -> int: ...


class ReactorSockets(Protocol):
    """What is needed of the reactor (IReactorSocket)."""

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:  # noqa: N802, N803
        """Accept connections on a copy of a listening socket."""


class CannotListen(Exception):
    """A listener cannot be opened; the text says which, why, and what to do."""


class Listeners:
    """Open listeners; ``ports`` has the (address, port) of each socket, in the order of the places."""

    def __init__(self, opened: list[Any], ports: list[tuple[str, int]]) -> None:
        self._opened = opened
        self._ports = tuple(ports)

    def ports(self) -> tuple[tuple[str, int], ...]:
        """Return (address, port) of every socket, as the system has them."""
        return self._ports

    def accepting(self) -> bool:
        """Tell whether every socket is open."""
        return bool(self._opened) and all(port.connected for port in self._opened)

    def stop_accepting(self) -> Deferred[None]:
        """Close the listening sockets; connections that exist go on. Fires when all are closed."""
        opened, self._opened = self._opened, []
        closed = [maybeDeferred(port.stopListening) for port in opened]
        done: Deferred[None] = gatherResults(closed).addCallback(lambda _: None)
        return done


class EagerConnection(tcp.Server):
    """An accepted connection that writes at once what the socket takes at once.

    Twisted leaves every write to the next turn of the reactor: two more system calls and a turn for each reply of
    a few octets. Here only what the socket does not take goes that way.
    """

    def write(self, data: bytes) -> None:
        """Send *data*, or queue what the socket does not take now; order is kept.

        Once TLS has started, *data* is the TLS layer's to encrypt.
        """
        if self.TLS:
            super().write(data)  # type: ignore[no-untyped-call]
        else:
            self._send(data)

    def startTLS(self, contextFactory: object, normal: bool = True) -> None:  # noqa: N802, N803
        """Put the TLS layer between us and the protocol; what it has encrypted is sent at once, too."""
        super().startTLS(contextFactory, normal)  # type: ignore[no-untyped-call]
        self.protocol.transport.write = self._send

    def _send(self, data: bytes) -> None:
        busy = self.disconnecting or self.dataBuffer or self._tempDataBuffer
        if self.connected and not busy:
            sent = self.writeSomeData(data)
            if sent == len(data):
                return
            # After an error the ordinary way meets it again, and ends the connection.
            if isinstance(sent, int):
                data = data[sent:]
        FileDescriptor.write(self, data)


def open_listeners(
    reactor: ReactorSockets,
    places: Sequence[Place],
    factories: Sequence[Any],
    environ: Mapping[str, str] = AT_START,
) -> Listeners:
    """Open every place and let its factory (IProtocolFactory, same position) take the connections.

    :raises CannotListen: one of them cannot be opened; then none is.
    """
    named = named_sockets(environ)
    sockets: list[tuple[socket.socket, Any]] = []
    try:
        for place, factory in zip(places, factories, strict=True):
            sockets.extend((opened, factory) for opened in _sockets_of(place, named))
        opened, ports = [], []
        for listening, factory in sockets:
            ports.append(listening.getsockname()[:2])
            port = reactor.adoptStreamPort(listening.fileno(), listening.family, factory)
            port.transport = EagerConnection
            opened.append(port)
    finally:
        for listening, _ in sockets:
            listening.close()  # the reactor has its own copy
    return Listeners(opened, ports)


def _sockets_of(place: Place, named: Mapping[str, tuple[int, ...]]) -> list[socket.socket]:
    if not place.address.startswith(SYSTEMD):
        return [_bind(place.address, place.port)]
    name = place.address.removeprefix(SYSTEMD)
    if name not in named:
        known = ", ".join(sorted(named)) or "none"
        raise CannotListen(
            f"cannot listen on {place.address}: systemd passed no socket of that name (passed: {known}); "
            f"set FileDescriptorName={name} in the socket unit"
        )
    return [_adopt(place.address, descriptor) for descriptor in named[name]]


def _adopt(address: str, descriptor: int) -> socket.socket:
    """Take a copy of a socket that systemd opened; the original stays open for a later reload."""
    listening = socket.socket(fileno=os.dup(descriptor))
    if listening.family not in (socket.AF_INET, socket.AF_INET6) or listening.type != socket.SOCK_STREAM:
        listening.close()
        raise CannotListen(f"cannot listen on {address}: not a TCP socket; use ListenStream=PORT in the unit")
    _tune(listening)
    listening.listen(BACKLOG)
    return listening


def _bind(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if address == "::" and not _has_ipv6():
        log.warn(
            "this system has no IPv6: listening on 0.0.0.0 in place of ::", event="ipv6-missing", port=port
        )
        address, family = "0.0.0.0", socket.AF_INET  # noqa: S104 - what the settings ask for
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address == "::" else 1)
        _tune(listening)
        listening.bind((address, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotListen(f"cannot listen on {address} port {port}: {_explain(error)}") from error
    return listening


def _tune(listening: socket.socket) -> None:
    """Set what accepted connections inherit: replies leave at once, dead peers are noticed."""
    listening.setblocking(False)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _explain(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program has that port; stop it (ss -ltnp shows which), or choose another port"
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            "ports below 1024 need a privilege; use the systemd unit "
            "(AmbientCapabilities=CAP_NET_BIND_SERVICE), a systemd socket, or a higher port"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address; use :: for all of them"
    return error.strerror or str(error)
