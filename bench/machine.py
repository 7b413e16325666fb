"""What every measurement needs of the machine: a disk that syncs, a certificate, loads that run, an end.

Invariants: an interrupt ends a measurement as an exception does, so that every server is stopped.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from bench.server import BenchError, run

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / "var/bench"
"""Where measurements are made unless another disk is named."""
LOAD_LIMIT_S = 600

Plan = TypeVar("Plan")
Measured = TypeVar("Measured")


@contextlib.contextmanager
def run_directory(parent: Path) -> Iterator[Path]:
    """Make a directory for one run, with ``certificate.pem`` and ``key.pem``; remove it afterwards.

    :raises BenchError: when it would be in memory.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _check_disk(parent)
    with tempfile.TemporaryDirectory(prefix="run-", dir=parent) as name:
        directory = Path(name)
        directory.chmod(0o755)  # Postfix's services run as other users
        _make_certificate(directory)
        yield directory


def describe(directory: Path) -> dict[str, str]:
    """Return what the figures depend on, the time of an fdatasync included."""
    times = []
    probe = directory / "probe"
    with probe.open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    probe.unlink()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "file system": _file_system(directory),
        "fdatasync of 4 kB, median": f"{statistics.median(times) * 1000:.2f} ms",
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def run_load(argv: Sequence[str], password: str = "") -> tuple[str, float]:
    """Run a program that sends mail; return its output and its CPU seconds.

    :param password: what it finds as BENCH_PASSWORD.
    :raises BenchError: when it cannot be run, fails, or takes more than LOAD_LIMIT_S.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "BENCH_PASSWORD": password}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=LOAD_LIMIT_S, env=environment, cwd=ROOT, check=False
        )
    except OSError as error:
        raise BenchError(f"cannot run {argv[0]}: {error}; apt-get install postfix brings it") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{' '.join(argv)} took more than {LOAD_LIMIT_S} s") from error
    if done.returncode != 0:
        raise BenchError(f"{' '.join(argv)} failed with {done.returncode}: {done.stderr[-2000:]}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime


def smtp_source(
    port: int, *, sessions: int, messages: int, octets: int, keep: bool, sender: str, recipient: str
) -> list[str]:
    """Return the command line of Postfix's load generator."""
    sizes = ["-s", str(min(sessions, messages)), "-m", str(messages), "-l", str(octets)]
    addresses = ["-f", sender, "-t", recipient]
    return ["smtp-source", *(["-d"] if keep else []), *sizes, *addresses, f"127.0.0.1:{port}"]


def progress(text: str) -> None:
    """Tell the reader on stderr what is done."""
    print(text, file=sys.stderr, flush=True)


def command_line(
    measure: Callable[[Plan], Measured],
    plan: Plan,
    json_file: Path | None,
    markdown: Callable[[Measured], str],
    as_json: Callable[[Measured], str],
) -> int:
    """Measure what *plan* says; Markdown on stdout, progress on stderr, JSON into a file; return the exit code."""
    end_on_signals()
    try:
        measured = measure(plan)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(markdown(measured))
    if json_file is not None:
        json_file.write_text(as_json(measured))
    return 0


def end_on_signals() -> None:
    """Have the signals that end us run every context manager's end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)


def _end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _make_certificate(directory: Path) -> None:
    files = ["-keyout", str(directory / "key.pem"), "-out", str(directory / "certificate.pem")]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run(["openssl", "req", "-x509", *key, *files, "-days", "2", "-subj", "/CN=mail.bench.test"])


def _file_system(directory: Path) -> str:
    return run(["findmnt", "-n", "-o", "FSTYPE", "-T", str(directory)]).strip()


def _check_disk(directory: Path) -> None:
    if _file_system(directory) in ("tmpfs", "ramfs"):
        raise BenchError(
            f"{directory} is in memory, where fsync does nothing; name a directory on a disk with --dir"
        )
