"""The other side of the status socket: what fedaemonctl asks a running daemon.

It stands apart from ``status_socket`` because it blocks, and needs none of Twisted.

Theory of operation: the address of such a socket has room for 107 octets of path, and a data directory may have a
longer one, so both sides name it by a descriptor of the directory: /proc/self/fd/N/status.socket.

Limits: ``PATIENCE_S`` for each part of an answer, ``MAX_OCTETS`` of it.
"""

from __future__ import annotations

import json
import os
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from fedaemon.errors import Unavailable

NAME: Final = "status.socket"
PATIENCE_S: Final = 10
MAX_OCTETS: Final = 4 * 2**20


class NotRunning(Unavailable):
    """No daemon serves the data directory."""


def address(directory: int) -> str:
    """Return the address of the socket in a directory, given by its descriptor."""
    return f"/proc/self/fd/{directory}/{NAME}"


def read_status(data_dir: Path) -> dict[str, Any]:
    """Return the state of the daemon that serves *data_dir*, as ``Monitor.status`` gives it.

    :raises NotRunning: none does.
    :raises Unavailable: it does not answer, or may not be asked; the text says what to do.
    """
    try:
        status: dict[str, Any] = json.loads(_fetch(data_dir, "/status"))
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunning(f"no daemon is running on {data_dir}") from None
    except PermissionError:
        raise Unavailable(
            f"{data_dir / NAME} is not ours to open; run this as root or as the daemon's user"
        ) from None
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(f"the daemon on {data_dir} does not answer: {error}; look at its log") from None
    return status


def _fetch(data_dir: Path, path: str) -> bytes:
    directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(PATIENCE_S)
            client.connect(address(directory))
            connection = HTTPConnection("localhost")
            connection.sock = client
            connection.request("GET", path)
            return connection.getresponse().read(MAX_OCTETS)
    finally:
        os.close(directory)
