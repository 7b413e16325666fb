"""Durable accepts per second and CPU time per message: fedaemon beside Debian's Postfix.

Why: the two are measured in the same run, in alternating rounds on the same disk, because a figure from
another day or machine says nothing. Each row is one kind of load. CPU time is user + system of all of a
server's processes.
Theory of operation: per row both servers start with an empty queue. A warm-up round (in which memory is
sampled) comes first; then the rounds, whose order changes every time. A row's result is the median. At the
end every message must be in the queue, or the row fails. A separate run under strace counts the calls that
wait for the disk.
Limits: load and servers share the machine, so the load's own CPU time is shown as well.

Run: .venv/bin/python -m bench.accept [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.daemon import Fedaemon
from bench.figures import Outcome, Result, Row, Sample, SyncResult, as_json, as_markdown
from bench.postfix import Postfix
from bench.server import BenchError, Memory, Server, run
from bench.synccalls import count_sync_calls

ACCOUNT = "alice@bench.test"
PASSWORD = "correct-horse-battery-staple"
RECIPIENT = "someone@remote.test"
SERVERS: dict[str, type[Postfix] | type[Fedaemon]] = {"postfix": Postfix, "fedaemon": Fedaemon}
LOAD_LIMIT_S = 600
# Servers finish a connection after the client has gone; that work belongs to the round.
SETTLE_S = 0.3
SAMPLE_S = 0.2
WARM_UP_SHARE = 0.25


ROWS = (
    *(
        Row(
            False, sessions, size, keep_alive, (0.5 if sessions == 1 else 1.0) * (0.3 if size > 5000 else 1.0)
        )
        for size in (5000, 100_000)
        for sessions in (1, 10, 50)
        for keep_alive in (False, True)
    ),
    *(Row(True, sessions, 5000, keep_alive, 1.0) for sessions in (10, 50) for keep_alive in (False, True)),
)
SYNC_ROWS = tuple(row for row in ROWS if row.name in ("plain-10-5k-each", "plain-10-5k-keep"))
QUICK_ROWS = "plain-10-5k-keep,tls-10-5k-each"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for."""

    servers: tuple[str, ...]
    rows: tuple[Row, ...]
    sync_rows: tuple[Row, ...]
    messages: int
    rounds: int
    directory: Path


def measure(plan: Plan) -> Outcome:
    """Carry out a plan.

    :raises BenchError: when a server or a load fails, or a message is missing from a queue.
    """
    plan.directory.mkdir(parents=True, exist_ok=True)
    _check_disk(plan.directory)
    with tempfile.TemporaryDirectory(prefix="run-", dir=plan.directory) as name:
        directory = Path(name)
        directory.chmod(0o755)  # Postfix's services run as other users
        _make_certificate(directory)
        outcome = Outcome(_machine(directory))
        for row in plan.rows:
            _progress(row.title)
            outcome.rows.append((row, _measure_row(plan, row, directory, outcome)))
        for row in plan.sync_rows:
            _progress(f"calls that wait for the disk: {row.title}")
            counted = {kind: _measure_sync_calls(plan, row, kind, directory) for kind in plan.servers}
            outcome.sync_rows.append((row, {SERVERS[kind].name: each for kind, each in counted.items()}))
    return outcome


def _measure_row(plan: Plan, row: Row, directory: Path, outcome: Outcome) -> dict[str, Result]:
    count = _count(plan, row)
    warm_up = max(row.sessions, int(count * WARM_UP_SHARE))
    with contextlib.ExitStack() as stack:
        servers: list[Server] = [stack.enter_context(_make_server(kind, directory)) for kind in plan.servers]
        results = {server.name: Result() for server in servers}
        for server in servers:
            outcome.versions[server.name] = f"{server.version}; CPU time from {server.processes.cpu_source}"
            outcome.notes[server.name] = server.note
            time.sleep(SETTLE_S)
            results[server.name].idle = server.processes.memory()
            with _peak_memory(server, results[server.name]):
                _run_load(server, row, warm_up)
        for number in range(plan.rounds):
            for server in servers if number % 2 == 0 else reversed(servers):
                sample = _measure_round(server, row, count)
                results[server.name].samples.append(sample)
                _progress(f"  {server.name}: {sample.rate:.0f}/s, {sample.cpu_ms:.2f} ms CPU")
        for server in servers:
            _check_queued(server, warm_up + plan.rounds * count)
    return results


def _measure_round(server: Server, row: Row, count: int) -> Sample:
    os.sync()  # what the other server left to write back is not this one's business
    before_s = server.processes.cpu_s()
    elapsed_s, load_cpu_s = _run_load(server, row, count)
    time.sleep(SETTLE_S)
    cpu_s = server.processes.cpu_s() - before_s
    return Sample(count / elapsed_s, cpu_s / count * 1000, load_cpu_s / count * 1000)


def _measure_sync_calls(plan: Plan, row: Row, kind: str, directory: Path) -> SyncResult:
    count = _count(plan, row)
    warm_up = max(row.sessions, int(count * WARM_UP_SHARE))
    with tempfile.TemporaryDirectory(prefix="trace-", dir=directory) as name:
        with _make_server(kind, directory, Path(name) / "strace") as server:
            _run_load(server, row, warm_up)
            time.sleep(SETTLE_S)
            began_s = time.time()
            _run_load(server, row, count)
            time.sleep(SETTLE_S)
            ended_s = time.time()
            _check_queued(server, warm_up + count)
        return SyncResult(count, count_sync_calls(server.processes.traces(), began_s, ended_s))


def _run_load(server: Server, row: Row, count: int) -> tuple[float, float]:
    """Send messages; returns elapsed and the load's CPU seconds."""
    if not row.tls:
        used_before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        _run_program(_smtp_source(server.plain_port, row, count))
        elapsed_s = time.monotonic() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return elapsed_s, used.ru_utime + used.ru_stime - used_before.ru_utime - used_before.ru_stime
    told = json.loads(_run_program(_submit_load(server.submission_port, row, count)))
    return told["elapsed_s"], told["cpu_s"]


def _smtp_source(port: int, row: Row, count: int) -> list[str]:
    keep = ["-d"] if row.keep_alive else []
    sizes = ["-s", str(min(row.sessions, count)), "-m", str(count), "-l", str(row.size_octets)]
    return ["smtp-source", *keep, *sizes, "-f", ACCOUNT, "-t", RECIPIENT, f"127.0.0.1:{port}"]


def _submit_load(port: int, row: Row, count: int) -> list[str]:
    keep = ["--keep-alive"] if row.keep_alive else []
    sizes = ["--sessions", str(row.sessions), "--messages", str(count), "--size", str(row.size_octets)]
    whom = ["--account", ACCOUNT, "--recipient", RECIPIENT]
    return [sys.executable, "-m", "bench.submit_load", "--port", str(port), *keep, *sizes, *whom]


def _run_program(argv: list[str]) -> str:
    environment = {**os.environ, "BENCH_PASSWORD": PASSWORD}
    root = Path(__file__).resolve().parent.parent
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=LOAD_LIMIT_S, env=environment, cwd=root, check=False
        )
    except OSError as error:
        raise BenchError(f"cannot run {argv[0]}: {error}; apt-get install postfix brings it") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{' '.join(argv)} took more than {LOAD_LIMIT_S} s") from error
    if done.returncode != 0:
        raise BenchError(f"{' '.join(argv)} failed with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


@contextlib.contextmanager
def _peak_memory(server: Server, result: Result) -> Iterator[None]:
    """Sample a server's memory meanwhile and keep the highest."""
    done = threading.Event()
    seen: list[Memory] = []

    def sample() -> None:
        while not done.wait(SAMPLE_S):
            seen.append(server.processes.memory())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        seen.append(server.processes.memory())
        result.peak = max(seen, key=lambda memory: memory.pss_octets)


def _make_server(kind: str, directory: Path, trace: Path | None = None) -> Server:
    certificate, private_key = directory / "certificate.pem", directory / "key.pem"
    return SERVERS[kind](directory / kind[:2], certificate, private_key, ACCOUNT, PASSWORD, trace)


def _check_queued(server: Server, expected: int) -> None:
    found = server.queued()
    if found != expected:
        raise BenchError(f"{server.name} has {found} messages in its queue, but {expected} were accepted")


def _count(plan: Plan, row: Row) -> int:
    return max(row.sessions, int(plan.messages * row.weight))


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


def _machine(directory: Path) -> dict[str, str]:
    """What the figures depend on, the time of an fdatasync included."""
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


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parse_arguments() -> tuple[Plan, Path | None]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help=f"few messages, one round, rows {QUICK_ROWS}")
    parser.add_argument(
        "--server", action="append", choices=sorted(SERVERS), help="measure this one; repeatable"
    )
    parser.add_argument(
        "--rows", help="names or patterns, with commas: " + ", ".join(row.name for row in ROWS)
    )
    parser.add_argument("--messages", type=int, help="in a round of an ordinary row (default 3000)")
    parser.add_argument("--rounds", type=int, help="per row and server (default 5)")
    parser.add_argument("--no-sync-calls", action="store_true", help="leave out the run under strace")
    parser.add_argument("--dir", type=Path, default=Path(__file__).resolve().parent.parent / "var/bench")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to this file")
    options = parser.parse_args()
    patterns = (options.rows or (QUICK_ROWS if options.quick else "*")).split(",")
    rows = tuple(row for row in ROWS if any(fnmatch.fnmatchcase(row.name, pattern) for pattern in patterns))
    messages = options.messages or (100 if options.quick else 3000)
    rounds = options.rounds or (1 if options.quick else 5)
    if not rows or messages < 1 or rounds < 1:
        parser.error("no such row, or nothing to send")
    sync_rows = () if options.no_sync_calls else (SYNC_ROWS[-1:] if options.quick else SYNC_ROWS)
    servers = tuple(options.server or ("postfix", "fedaemon"))
    return Plan(servers, rows, sync_rows, messages, rounds, options.dir.resolve()), options.json


def _end_on_signal(number: int, frame: object) -> None:
    raise SystemExit(128 + number)  # so that every context manager ends what it started


def main() -> int:
    """Command line: Markdown on stdout, progress on stderr."""
    plan, json_file = _parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end_on_signal)
    try:
        outcome = measure(plan)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(as_markdown(outcome))
    if json_file:
        json_file.write_text(as_json(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
