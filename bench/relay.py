"""Messages accepted and passed on per second, and CPU time for each: fedaemon beside Debian's Postfix.

Why: accepting is half of the work; this measures the whole way of a message, from the first connection of
the load until the next server has the last message. The two servers are measured in the same run, in
alternating rounds on the same disk. CPU time is user + system of all of a server's processes, and does not
include the load and the sink.
Theory of operation: per row both servers start with an empty queue. All mail goes to one smtp-sink, which
says how many messages it has had. The warm-up lets fedaemon earn its connections to the sink: both servers
begin with 5 and stop at 20, which is the default of both. At the end of a row the sink must have had exactly
the messages that were sent, and the queues must be empty.
Limits: without TLS towards the sink, which has none; load, sink and servers share the machine.

Run: .venv/bin/python -m bench.relay [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import daemon, postfix
from bench.figures import Outcome, Result, Row, as_json, as_markdown
from bench.machine import DIRECTORY, command_line, describe, progress, run_directory, run_load, smtp_source
from bench.measured import Fate, MeasuredServer
from bench.rounds import Rounds
from bench.server import BenchError
from bench.sink import Sink

ACCOUNT = "alice@bench.test"
PASSWORD = "correct-horse-battery-staple"
RECIPIENT = "someone@remote.test"
SESSIONS = 20
ROWS = tuple(
    Row(False, SESSIONS, size, keep_alive, 1.0 if size <= 5000 else 0.3)
    for size in (5000, 100_000)
    for keep_alive in (False, True)
)
QUICK_ROWS = "plain-20-5k-keep"
SETTLE_S = 1.0
"""After the sink has the last message, its server still writes down that it was delivered."""
DRAIN_S = 30.0

_Make = Callable[[Path, Path, Path, str, str, Fate], MeasuredServer]
SERVERS: dict[str, tuple[_Make, Callable[[int], Fate]]] = {
    "postfix": (postfix.Postfix, postfix.pass_on),
    "fedaemon": (daemon.Fedaemon, daemon.pass_on),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for."""

    servers: tuple[str, ...]
    rows: tuple[Row, ...]
    messages: int
    rounds: int
    directory: Path


def measure(plan: Plan) -> Outcome:
    """Carry out a plan.

    :raises BenchError: when a server or a load fails, or a message is lost, doubled or still queued.
    """
    with run_directory(plan.directory) as directory, Sink(directory) as sink:
        outcome = Outcome(describe(directory))
        for row in plan.rows:
            progress(row.title)
            outcome.rows.append((row, _measure_row(plan, row, directory, sink, outcome)))
    return outcome


def _measure_row(plan: Plan, row: Row, directory: Path, sink: Sink, outcome: Outcome) -> dict[str, Result]:
    count = max(row.sessions, int(plan.messages * row.weight))
    files = (directory / "certificate.pem", directory / "key.pem")
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(make(directory / kind[:2], *files, ACCOUNT, PASSWORD, fate(sink.port)))
            for kind, (make, fate) in SERVERS.items()
            if kind in plan.servers
        ]
        rounds = Rounds(partial(_relay, sink), plan.rounds, SETTLE_S)
        results = rounds.measure(servers, row, count, outcome)
        for server in servers:
            _check_empty(server)
    return results


def _relay(sink: Sink, server: MeasuredServer, row: Row, count: int) -> tuple[float, float]:
    """Send messages and see them arrive; returns elapsed seconds, and the CPU seconds of load and sink."""
    had, sink_cpu_s = sink.received(), sink.cpu_s()
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
    _, load_cpu_s = run_load(argv)
    arrived = sink.wait_for(had + count) - had
    elapsed_s = time.monotonic() - began
    if arrived != count:
        raise BenchError(f"{server.name} passed {arrived} messages on, but {count} were sent")
    return elapsed_s, load_cpu_s + sink.cpu_s() - sink_cpu_s


def _check_empty(server: MeasuredServer) -> None:
    """Nothing may be left over: what waits now would have been sent again."""
    deadline = time.monotonic() + DRAIN_S
    while (left := server.queued()) and time.monotonic() < deadline:
        time.sleep(SETTLE_S)
    if left:
        raise BenchError(f"{server.name} still has {left} messages in its queue")


def _parse_arguments() -> tuple[Plan, Path | None]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help=f"few messages, one round, row {QUICK_ROWS}")
    parser.add_argument(
        "--server", action="append", choices=sorted(SERVERS), help="measure this one; repeatable"
    )
    parser.add_argument(
        "--rows", help="names or patterns, with commas: " + ", ".join(row.name for row in ROWS)
    )
    parser.add_argument("--messages", type=int, help="in a round of a 5 kB row (default 5000)")
    parser.add_argument("--rounds", type=int, help="per row and server (default 2)")
    parser.add_argument("--dir", type=Path, default=DIRECTORY)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to this file")
    options = parser.parse_args()
    patterns = (options.rows or (QUICK_ROWS if options.quick else "*")).split(",")
    rows = tuple(row for row in ROWS if any(fnmatch.fnmatchcase(row.name, pattern) for pattern in patterns))
    messages = options.messages or (100 if options.quick else 5000)
    rounds = options.rounds or (1 if options.quick else 2)
    if not rows or messages < 1 or rounds < 1:
        parser.error("no such row, or nothing to send")
    servers = tuple(options.server or SERVERS)
    return Plan(servers, rows, messages, rounds, options.dir.resolve()), options.json


def main() -> int:
    """Command line: Markdown on stdout, progress on stderr."""
    plan, json_file = _parse_arguments()
    return command_line(measure, plan, json_file, as_markdown, as_json)


if __name__ == "__main__":
    sys.exit(main())
