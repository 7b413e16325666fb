"""The processes of one server under measurement: start, CPU time, memory, and a sure end.

Why: a mail server is one process or seventy, some of which live for a tenth of a second. What counts is the
sum, so a server's processes are started into a control group of their own, whose kernel counter also holds
those that have ended. Without cgroup v2 the sum is taken from /proc: the started processes, what they
waited for, and all living descendants.
Invariants: nothing outlives the measurement: processes end by pid (TERM, then KILL), and a guard sends TERM
when the measuring process is killed.
Limits: Linux only. Without cgroup v2, processes that left their parent (double fork) are not seen.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0
POLL_S = 0.01
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# What makes file content durable, and what could do so through a descriptor opened O_(D)SYNC.
_TRACED_CALLS = "fsync,fdatasync,sync,syncfs,sync_file_range,msync,openat,pwrite64,pwritev,pwritev2"


class BenchError(Exception):
    """The measurement cannot go on; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of all processes of a server together.

    *anonymous_octets* leaves out the pages of mapped files, such as a store, which the system takes away when
    it needs them.
    """

    processes: int
    rss_octets: int
    pss_octets: int
    anonymous_octets: int


class Processes:
    """The processes of one server, started together and ended together.

    :param label: a short word for the control group's name.
    :param trace: file for strace's record of the synchronising system calls; None runs the server untraced.
    """

    def __init__(self, label: str, trace: Path | None = None) -> None:
        self._started: list[subprocess.Popen[bytes]] = []
        self._guards: list[subprocess.Popen[bytes]] = []
        self._trace = trace
        self._group = _make_group(f"bench-{label}-{os.getpid()}")

    @property
    def cpu_source(self) -> str:
        """Where CPU time comes from: "cgroup" or "proc"."""
        return "cgroup" if self._group else "proc"

    def spawn(self, argv: Sequence[str], log: Path, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a process in the foreground, its output going to ``log``."""
        command = list(argv)
        if self._trace:
            # --seccomp-bpf stops the tracee only for the calls asked for, so the rest runs at full speed.
            number = len(self._started)
            strace = ["strace", "-f", "--seccomp-bpf", "-ttt", "-y", "-qq", "-e", "signal=none"]
            output = f"{self._trace}.{number}"
            command = [*strace, "-e", f"trace={_TRACED_CALLS}", "-o", output, "--", *command]
        if self._group:
            # A process must be in the group before its first fork, hence the shell in between.
            command = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', f"{self._group}/cgroup.procs", *command]
        with log.open("ab") as output_file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output_file,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                start_new_session=True,  # an interrupt typed at us is ours to pass on
            )
        self._started.append(process)
        self._guards.append(_guard(process.pid))
        return process

    def traces(self) -> list[Path]:
        """The record of each started process; complete once ``stop`` has returned."""
        if self._trace is None:
            return []
        return [Path(f"{self._trace}.{number}") for number in range(len(self._started))]

    def pids(self) -> list[int]:
        """All living processes of the server."""
        if self._group:
            return [int(pid) for pid in (self._group / "cgroup.procs").read_text().split()]
        return sorted(
            pid for root in self._started if root.poll() is None for pid in (root.pid, *descendants(root.pid))
        )

    def cpu_s(self) -> float:
        """User and system time in seconds of all processes so far, ended ones included."""
        if self._group:
            fields = dict(line.split() for line in (self._group / "cpu.stat").read_text().splitlines())
            return int(fields["usage_usec"]) / 1e6
        return sum(_cpu_with_children_s(pid) for pid in self.pids())

    def memory(self) -> Memory:
        """Resident and proportional memory of all living processes."""
        totals = Counter[str]()
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
                    name, size = line.split()[:2]
                    totals[name] += int(size) * 1024
                totals["processes"] += 1
        return Memory(totals["processes"], totals["Rss:"], totals["Pss:"], totals["Anonymous:"])

    def check_alive(self, log: Path) -> None:
        """:raises BenchError: when a started process has ended by itself."""
        for process in self._started:
            if process.poll() is not None:
                tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
                raise BenchError(
                    f"a server process ended with code {process.returncode}; {log} ends:\n{tail}"
                )

    def stop(self) -> None:
        """End every process, the tracer's child first, and remove the control group."""
        for process in self._started:
            if process.poll() is None:
                inner = children(process.pid) if self._trace else []
                for pid in inner or [process.pid]:
                    _send(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_LIMIT_S
        while self.pids() and time.monotonic() < deadline:
            for process in self._started:
                process.poll()
            time.sleep(0.02)
        for pid in self.pids():
            _send(pid, signal.SIGKILL)
        for process in self._started:
            process.wait()
        for guard in self._guards:
            guard.communicate(b"done\n")
        self._guards.clear()
        if self._group:
            _remove_group(self._group)
            self._group = None


def wait_for_greeting(processes: Processes, port: int, log: Path) -> None:
    """Return once a server greets with 220 on a loopback port.

    :raises BenchError: when it ends or says nothing within START_LIMIT_S.
    """
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        processes.check_alive(log)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            if probe.recv(512).startswith(b"220"):
                probe.sendall(b"QUIT\r\n")
                probe.recv(512)
                return
        time.sleep(POLL_S)
    tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
    raise BenchError(f"no greeting on port {port} after {START_LIMIT_S:.0f} s; {log} ends:\n{tail}")


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def run(argv: Sequence[str], stdin: str | None = None) -> str:
    """Run a command to its end and return its output.

    :raises BenchError: when it cannot be started or fails, with what it said.
    """
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BenchError(f"cannot run {argv[0]}: {error}") from error
    if done.returncode != 0:
        raise BenchError(f"{' '.join(argv)} failed with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def children(pid: int) -> list[int]:
    """The living children of a process, those of all its threads."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def descendants(pid: int) -> Iterator[int]:
    """The living descendants of a process."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def _cpu_with_children_s(pid: int) -> float:
    """Time of a process and of the children it has waited for (0 when it has just ended)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    # The command name may hold blanks and brackets; utime, stime, cutime, cstime are fields 14 to 17.
    fields = stat.rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS_PER_S


def _guard(pid: int) -> subprocess.Popen[bytes]:
    """A shell that ends a process when we die: then its standard input closes without a "done".

    The kernel's parent-death signal would not do: Postfix's master changes its user for a moment, which
    clears it.
    """
    command = ["sh", "-c", 'read -r _ || kill -TERM "$0"', str(pid)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _make_group(name: str) -> Path | None:
    """A new cgroup v2 group below our own, or None where there is none to be had."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    mount = next((fields[4] for fields in mounts if fields[fields.index("-") + 1] == "cgroup2"), None)
    own = [line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
    if mount is None or not own:
        return None
    group = Path(mount) / own[0].strip("/") / name
    try:
        group.mkdir()
    except OSError:
        return None
    usable = os.access(group / "cgroup.procs", os.W_OK) and (group / "cpu.stat").exists()
    if not usable:
        _remove_group(group)
    return group if usable else None


def _remove_group(group: Path) -> None:
    # The kernel takes a moment to let go of the last process.
    for _ in range(50):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return
