"""Talks to systemd without its library: readiness, watchdog, and the sockets it opened for us.

Standards: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds_with_names(3).
Invariants: everything here is a no-op outside systemd; a service manager that does not listen never stops us.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

AT_START = {name: value for name, value in os.environ.items() if name.startswith("LISTEN_")}
"""What systemd said about sockets; kept here because Twisted's endpoints take it out of the environment."""

FIRST_SOCKET = 3
"""SD_LISTEN_FDS_START: descriptors are handed over from here on."""


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell the service manager *state* (lines such as ``READY=1``); False when nobody took it."""
    path = environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in ("/", "@"):
        return False
    # "@" stands for the NUL octet that begins an abstract socket's name.
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            # The reactor calls this: a manager that does not read its socket must not stop the mail.
            sender.setblocking(False)
            sender.sendto(state.encode(), address)
    except OSError:
        return False
    return True


def ready(status: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Say that all listeners are up, at start or after ``reloading``; *status* is for people."""
    return notify(f"READY=1\nSTATUS={status}", environ)


def reloading(environ: Mapping[str, str] = os.environ) -> bool:
    """Say that settings are being read again; ``ready`` must follow."""
    # Type=notify-reload wants the time at which the reload began.
    return notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}", environ)


def stopping(environ: Mapping[str, str] = os.environ) -> bool:
    """Say that the service is draining."""
    return notify("STOPPING=1", environ)


def cannot_start(reason: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Say why the service ends before it was ready; "systemctl status" shows *reason* until the next start."""
    return notify("STATUS=" + reason.replace("\n", "; "), environ)


def watchdog_interval_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Return how often to send ``WATCHDOG=1``: half of what the unit allows; None when it has no watchdog."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or int(microseconds) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 2e6


def named_sockets(environ: Mapping[str, str] = AT_START) -> dict[str, tuple[int, ...]]:
    """Return the descriptors of the sockets systemd opened for this process, by ``FileDescriptorName=``.

    A name may have several (one socket unit with IPv4 and IPv6 lines). Nothing is consumed: asking again
    after a reload gives the same.
    """
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return {}
    descriptors = range(FIRST_SOCKET, FIRST_SOCKET + int(count))
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, tuple[int, ...]] = {}
    for position, descriptor in enumerate(descriptors):
        os.set_inheritable(descriptor, False)
        name = names[position] if position < len(names) and names[position] else "unknown"
        found[name] = (*found.get(name, ()), descriptor)
    return found
