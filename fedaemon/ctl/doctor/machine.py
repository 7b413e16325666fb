"""This machine as checks want it: its addresses, its clock, its processes, and who listens where.

Everything is read from the kernel, so that the same is found with and without systemd, in a container and on
bookworm. Tests put a directory of theirs in the place of /proc.

Standards: proc(5), adjtimex(2).
Invariants: what cannot be known is None or empty, and nothing raises; without root the processes of others remain
unnamed.
"""

from __future__ import annotations

import ctypes
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

TCP_LISTEN: Final = "0A"
TIME_ERROR: Final = 5
"""What adjtimex returns while nothing disciplines the clock."""
_SOMEWHERE: Final = (("198.41.0.4", socket.AF_INET), ("2001:503:ba3e::2:30", socket.AF_INET6))
"""Hosts of the internet that a route is asked for; nothing is sent to them."""
_UNIT = re.compile(r"/([^/]+\.(?:service|socket|scope))$")
_OPEN_FILES = re.compile(r"^Max open files +(\d+|unlimited)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Program:
    """A process that holds a port. *unit* is its systemd unit, "" when it has none or that is not known."""

    pid: int
    name: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid}{f', {self.unit}' if self.unit else ''})"


class Machine:
    """Asks the kernel.

    :param proc: where its /proc is.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def holds(self, address: str) -> bool:
        """True when *address* is one of this machine's."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((address, 0))
        except OSError:
            return False
        return True

    def outgoing(self) -> tuple[str, ...]:
        """Return the addresses that connections to the internet come from, as this machine sees them."""
        found = []
        for host, family in _SOMEWHERE:
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as probe:
                    probe.connect((host, 53))
                    found.append(str(ip_address(probe.getsockname()[0].partition("%")[0])))
            except OSError:
                continue
        return tuple(found)

    def clock_is_set(self) -> bool | None:
        """True while something (chrony, systemd-timesyncd, ntpd) disciplines the clock; None: not known."""
        try:
            # struct timex begins with "modes", and 0 there asks and sets nothing; 512 octets hold all of it.
            state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
        except (OSError, AttributeError):
            return None
        return None if state < 0 else state != TIME_ERROR

    def is_alive(self, pid: int) -> bool:
        """True when there is a process *pid*."""
        return (self._proc / str(pid)).is_dir()

    def user_of(self, pid: int) -> int | None:
        """Return the user id of a process."""
        try:
            return (self._proc / str(pid)).stat().st_uid
        except OSError:
            return None

    def open_files_limit(self, pid: int) -> int | None:
        """Return how many descriptors a process may have; None when that is not limited or not known."""
        found = _OPEN_FILES.search(self._text(f"{pid}/limits"))
        return int(found[1]) if found and found[1].isdigit() else None

    def holds_lock(self, pid: int, path: Path) -> bool:
        """True when process *pid* has a flock on *path*. The lock itself is not touched: to try it could keep a
        daemon from starting at that moment."""
        try:
            inode = path.stat().st_ino
        except OSError:
            return False
        wanted = re.compile(rf"FLOCK +\S+ +WRITE +{pid} +\S+:{inode} ")
        return wanted.search(self._text("locks")) is not None

    def listening(self, port: int) -> bool:
        """True when somebody listens on TCP port *port*."""
        return bool(self._sockets(port))

    def who_listens(self, port: int) -> Program | None:
        """Return who listens on TCP port *port*; None when nobody does, or when that is not to be seen."""
        links = {f"socket:[{inode}]" for inode in self._sockets(port)}
        if not links:
            return None
        for process in self._processes():
            try:
                descriptors = list((process / "fd").iterdir())
            except OSError:
                continue
            if any(_link(each) in links for each in descriptors):
                return self._program(int(process.name))
        return None

    def _processes(self) -> Iterator[Path]:
        # The youngest first: systemd, process 1, holds copies of the sockets that it has given away.
        yield from sorted(
            (each for each in self._proc.iterdir() if each.name.isdigit()),
            key=lambda each: int(each.name),
            reverse=True,
        )

    def _sockets(self, port: int) -> set[str]:
        """Return the inodes of listening sockets."""
        found = set()
        for name in ("net/tcp", "net/tcp6"):
            for line in self._text(name).splitlines()[1:]:
                fields = line.split()
                if (
                    len(fields) > 9
                    and fields[3] == TCP_LISTEN
                    and int(fields[1].rpartition(":")[2], 16) == port
                ):
                    found.add(fields[9])
        return found

    def _program(self, pid: int) -> Program:
        name = self._text(f"{pid}/comm").strip() or "a program"
        executable = _link(self._proc / str(pid) / "exe")
        if "/postfix/" in executable:
            name = "postfix"
        lines = self._text(f"{pid}/cgroup").splitlines()
        unit = next((found[1] for line in lines if (found := _UNIT.search(line))), "")
        return Program(pid, name, unit if unit.endswith((".service", ".socket")) else "")

    def _text(self, name: str) -> str:
        try:
            return (self._proc / name).read_text(errors="replace")
        except OSError:
            return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
