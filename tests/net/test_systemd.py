"""systemd: messages reach the socket it names, and nothing happens without it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fedaemon.net import systemd


@pytest.mark.parametrize("abstract", [False, True])
def test_states_reach_the_notify_socket(tmp_path: Path, abstract: bool) -> None:
    """Readiness, reload and stop arrive as sd_notify(3) writes them, by path and by abstract name."""
    name = f"@fedaemon-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    environ = {"NOTIFY_SOCKET": name}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(5)
        assert systemd.ready("3 listeners", environ)
        assert manager.recv(4096) == b"READY=1\nSTATUS=3 listeners"
        assert systemd.reloading(environ)
        first, second = manager.recv(4096).split(b"\n")
        assert first == b"RELOADING=1"
        assert int(second.removeprefix(b"MONOTONIC_USEC=")) > 0
        assert systemd.stopping(environ)
        assert manager.recv(4096) == b"STOPPING=1"
        assert systemd.notify("WATCHDOG=1", environ)
        assert manager.recv(4096) == b"WATCHDOG=1"
        assert systemd.cannot_start("one\nother", environ)
        assert manager.recv(4096) == b"STATUS=one; other"


@pytest.mark.parametrize(
    "environ", [{}, {"NOTIFY_SOCKET": "/nonexistent/notify"}, {"NOTIFY_SOCKET": "vsock:2:1"}]
)
def test_a_manager_that_does_not_listen_is_no_error(environ: dict[str, str]) -> None:
    """Started by hand, or by a manager that went away, the daemon goes on."""
    assert not systemd.notify("READY=1", environ)


def test_a_manager_that_does_not_read_never_blocks(tmp_path: Path) -> None:
    """The reactor does not wait for a full notify socket."""
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(environ["NOTIFY_SOCKET"])
        taken = [systemd.notify("WATCHDOG=1", environ) for _ in range(5000)]
    assert taken[0]
    assert not taken[-1]


def test_watchdog_interval_is_half_of_what_the_unit_allows() -> None:
    """WATCHDOG_USEC counts for the process it names, and for nobody else."""
    own = str(os.getpid())
    assert systemd.watchdog_interval_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": own}) == 15.0
    assert systemd.watchdog_interval_s({"WATCHDOG_USEC": "30000000"}) == 15.0
    assert systemd.watchdog_interval_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}) is None
    assert systemd.watchdog_interval_s({"WATCHDOG_USEC": "0"}) is None
    assert systemd.watchdog_interval_s({"WATCHDOG_USEC": "soon"}) is None
    assert systemd.watchdog_interval_s({}) is None


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    """LISTEN_PID protects a child that inherited the environment."""
    assert systemd.named_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}) == {}
    assert systemd.named_sockets({}) == {}
