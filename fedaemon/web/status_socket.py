"""DATA_DIR/status.socket: where a running daemon tells fedaemonctl how it is.

It is for reading only; what fedaemonctl changes it changes in the store.

Invariants: the socket is made after the store was locked, so one that stands there already is a dead daemon's; it
belongs to the daemon's user alone.
Limits: ``PATIENCE_S`` for a request.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import ServerFactory

from fedaemon.logs import Logger
from fedaemon.web.protocol import Channel, Site
from fedaemon.web.status_client import NAME, PATIENCE_S, address

BACKLOG: Final = 16

log = Logger()


class StatusSocket:
    """The daemon's side.

    :raises OSError: the socket cannot be made.
    """

    def __init__(self, reactor: Any, data_dir: Path, site: Site) -> None:
        self._directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            listening = _listen(self._directory)
        except OSError:
            os.close(self._directory)
            raise
        with listening:
            self._port = reactor.adoptStreamPort(
                listening.fileno(), socket.AF_UNIX, StatusFactory(reactor, site)
            )
        # Twisted opens such a socket to the world.
        os.chmod(NAME, 0o600, dir_fd=self._directory)

    def stop(self) -> Deferred[None]:
        """Close and remove the socket; fires when that is done."""
        closed: Deferred[None] = maybeDeferred(self._port.stopListening)
        return closed.addBoth(lambda _: os.close(self._directory))


class StatusFactory(ServerFactory):
    """Makes the connections."""

    noisy = False

    def __init__(self, reactor: Any, site: Site) -> None:
        self._reactor = reactor
        self._site = site

    def buildProtocol(self, addr: object) -> Any:  # noqa: N802
        """Return the protocol of a new connection."""
        channel: Any = Channel(self._site, "")
        channel.timeOut = PATIENCE_S
        channel.callLater = self._reactor.callLater
        return channel


def open_status_socket(reactor: Any, data_dir: Path, site: Site) -> StatusSocket | None:
    """Return the open socket; None, and a line in the log, where there can be none: mail goes on without it."""
    try:
        return StatusSocket(reactor, data_dir, site)
    except OSError as error:
        log.warn("fedaemonctl status will not work", event="status-socket-missing", reason=str(error))
        return None


def _listen(directory: int) -> socket.socket:
    with suppress(FileNotFoundError):
        os.unlink(NAME, dir_fd=directory)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(address(directory))
        listening.setblocking(False)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
