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
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import daemon, postfix
from bench.figures import Outcome, Result, Row, SyncResult, as_json, as_markdown
from bench.machine import DIRECTORY, command_line, describe, progress, run_directory, run_load, smtp_source
from bench.measured import MeasuredServer
from bench.rounds import SETTLE_S, Rounds, warm_up_count
from bench.server import BenchError
from bench.synccalls import count_sync_calls

ACCOUNT = "alice@bench.test"
PASSWORD = "correct-horse-battery-staple"
RECIPIENT = "someone@remote.test"
SERVERS = {"postfix": (postfix.Postfix, postfix.KEEP), "fedaemon": (daemon.Fedaemon, daemon.KEEP)}

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
    with run_directory(plan.directory) as directory:
        outcome = Outcome(describe(directory))
        for row in plan.rows:
            progress(row.title)
            outcome.rows.append((row, _measure_row(plan, row, directory, outcome)))
        for row in plan.sync_rows:
            progress(f"calls that wait for the disk: {row.title}")
            counted = {kind: _measure_sync_calls(plan, row, kind, directory) for kind in plan.servers}
            outcome.sync_rows.append((row, {SERVERS[kind][0].name: each for kind, each in counted.items()}))
    return outcome


def _measure_row(plan: Plan, row: Row, directory: Path, outcome: Outcome) -> dict[str, Result]:
    count = _count(plan, row)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_make_server(kind, directory)) for kind in plan.servers]
        results = Rounds(_send, plan.rounds).measure(servers, row, count, outcome)
        for server in servers:
            _check_queued(server, warm_up_count(row, count) + plan.rounds * count)
    return results


def _measure_sync_calls(plan: Plan, row: Row, kind: str, directory: Path) -> SyncResult:
    count = _count(plan, row)
    warm_up = warm_up_count(row, count)
    with tempfile.TemporaryDirectory(prefix="trace-", dir=directory) as name:
        with _make_server(kind, directory, Path(name) / "strace") as server:
            _send(server, row, warm_up)
            time.sleep(SETTLE_S)
            began_s = time.time()
            _send(server, row, count)
            time.sleep(SETTLE_S)
            ended_s = time.time()
            _check_queued(server, warm_up + count)
        return SyncResult(count, count_sync_calls(server.processes.traces(), began_s, ended_s))


def _send(server: MeasuredServer, row: Row, count: int) -> tuple[float, float]:
    """Send messages; returns elapsed and the load's CPU seconds."""
    if row.tls:
        told = json.loads(run_load(_submit_load(server.submission_port, row, count), PASSWORD)[0])
        return told["elapsed_s"], told["cpu_s"]
    argv = smtp_source(
        server.plain_port,
        sessions=row.sessions,
        messages=count,
        octets=row.size_octets,
        keep=row.keep_alive,
        sender=ACCOUNT,
        recipient=RECIPIENT,
    )
    began = time.monotonic()
    _, cpu_s = run_load(argv)
    return time.monotonic() - began, cpu_s


def _submit_load(port: int, row: Row, count: int) -> list[str]:
    keep = ["--keep-alive"] if row.keep_alive else []
    sizes = ["--sessions", str(row.sessions), "--messages", str(count), "--size", str(row.size_octets)]
    whom = ["--account", ACCOUNT, "--recipient", RECIPIENT]
    return [sys.executable, "-m", "bench.submit_load", "--port", str(port), *keep, *sizes, *whom]


def _make_server(kind: str, directory: Path, trace: Path | None = None) -> MeasuredServer:
    certificate, private_key = directory / "certificate.pem", directory / "key.pem"
    make, fate = SERVERS[kind]
    return make(directory / kind[:2], certificate, private_key, ACCOUNT, PASSWORD, fate, trace)


def _check_queued(server: MeasuredServer, expected: int) -> None:
    found = server.queued()
    if found != expected:
        raise BenchError(f"{server.name} has {found} messages in its queue, but {expected} were accepted")


def _count(plan: Plan, row: Row) -> int:
    return max(row.sessions, int(plan.messages * row.weight))


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
    parser.add_argument("--dir", type=Path, default=DIRECTORY)
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


def main() -> int:
    """Command line: Markdown on stdout, progress on stderr."""
    plan, json_file = _parse_arguments()
    return command_line(measure, plan, json_file, as_markdown, as_json)


if __name__ == "__main__":
    sys.exit(main())
