"""A very long queue: how fast fedaemon starts with it, what memory it takes, and what it costs to look at it.

Why: mail piles up when a large site is down, and that must not cost memory, delay a restart or hold up other
mail. The queue has one message for each recipient, all due at once, over many domains and accounts; every
domain has a mail exchanger of its own, whose port is closed, so that everything is tried and fails.
Theory of operation: the store is filled (``queue_fill``), claims are timed without the daemon, then the real
process is started, watched while it tries, asked by fedaemonctl beside it, stopped, and started again.
Limits: times of a machine; only fedaemon is measured.

Run: .venv/bin/python -m bench.queue_scale [--recipients N] [--verify] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.daemon import Fedaemon
from bench.dns import EveryDomain
from bench.figures import table_head, table_row
from bench.machine import DIRECTORY, command_line, describe, progress, run_directory
from bench.measured import Fate
from bench.queue_fill import ClaimTimes, Shape, fill, time_claims
from bench.server import BenchError, Memory, free_ports

ACCOUNT = "alice@bench.test"
PASSWORD = "correct-horse-battery-staple"
CLAIMS: Final = 100
SAMPLE_S: Final = 0.5
AIMS: Final = {
    "start with the full queue": "< 3 s",
    "start after a clean stop": "< 3 s",
    "memory after the start, without the store's map": "< 250 MiB",
    "highest memory while it tries, without the store's map": "< 250 MiB",
}
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for; *trying_s* is how long the daemon is watched."""

    shape: Shape
    trying_s: float
    verify: bool
    directory: Path


class Figures:
    """What was measured, in order: a name, a value, its unit."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[float, str]] = {}

    def add(self, name: str, value: float, unit: str) -> None:
        """Note a figure and tell of it."""
        self.rows[name] = (value, unit)
        progress(f"  {name}: {value:,.{_places(unit)}f} {unit}")

    def time(self, name: str, function: Callable[[], object]) -> None:
        """Note how many seconds *function* takes."""
        began = time.monotonic()
        function()
        self.add(name, time.monotonic() - began, "s")

    def as_markdown(self) -> str:
        """Return a table."""
        lines = table_head(["very long queue", "fedaemon", "aim"])
        for name, (value, unit) in self.rows.items():
            lines.append(table_row([name, f"{value:,.{_places(unit)}f} {unit}".strip(), AIMS.get(name, "")]))
        return "\n".join(lines)


def _places(unit: str) -> int:
    return {"s": 2, "ms": 2, "ms CPU": 2}.get(unit, 0)


def measure(plan: Plan) -> tuple[dict[str, str], Figures]:
    """Carry out a plan.

    :raises BenchError: when the daemon or fedaemonctl fails, or the queue is not what it must be.
    """
    figures = Figures()
    with run_directory(plan.directory) as directory, EveryDomain() as dns:
        machine = describe(directory)
        fate = Fate(
            f'[dns]\nnameservers = ["127.0.0.1:{dns.port}"]\n\n[delivery]\nmx_port = {free_ports(1)[0]}\n',
            "every domain has a mail exchanger of its own, whose port is closed",
        )
        files = (directory / "certificate.pem", directory / "key.pem")
        server = Fedaemon(directory / "fe", *files, ACCOUNT, PASSWORD, fate)
        server.prepare()
        figures.add("recipients", plan.shape.recipients, "")
        seconds = fill(server.data_dir, plan.shape)
        figures.add("messages put into the queue in a second", plan.shape.recipients / seconds, "")
        figures.add("store", (server.data_dir / "store/data.mdb").stat().st_blocks / 2048, "MiB")
        _add_claims(figures, time_claims(server.data_dir, CLAIMS))
        figures.time("start with the full queue", server.start)
        try:
            _watch(server, plan, figures)
            _ask(server, plan, figures)
        finally:
            figures.time("stop", server.stop)
        figures.time("start after a clean stop", server.start)
        server.stop()
        if plan.verify:
            figures.time("verify", lambda: server.control("verify"))
    return machine, figures


def _add_claims(figures: Figures, times: ClaimTimes) -> None:
    """Note the times of looking for what is due, and of claiming it."""
    for name, values in (
        ("look for what is due", times.look_ms),
        ("claim", times.claim_ms),
        ("claim and commit", times.committed_ms),
    ):
        figures.add(f"{name}, median of {len(values)}", statistics.median(values), "ms")
        figures.add(f"{name}, worst", max(values), "ms")
    figures.add("recipients in one claim, mean", times.recipients / len(times.claim_ms), "")


def _watch(server: Fedaemon, plan: Plan, figures: Figures) -> None:
    """Note memory and processor time while the daemon tries what it has."""
    _add_memory(figures, "memory after the start", [server.processes.memory()])
    used_s, began = server.processes.cpu_s(), time.monotonic()
    seen: list[Memory] = []
    while (elapsed_s := time.monotonic() - began) < plan.trying_s:
        time.sleep(min(SAMPLE_S, plan.trying_s - elapsed_s))
        server.processes.check_alive(server.log)
        seen.append(server.processes.memory())
    _add_memory(figures, "highest memory while it tries", seen)
    used = (server.processes.cpu_s() - used_s) / (time.monotonic() - began)
    figures.add("processor while it tries", used * 100, "%")


def _add_memory(figures: Figures, name: str, seen: list[Memory]) -> None:
    """Note the highest of *seen*: what the process needs, and with the pages of the store that it has met."""
    anonymous = max(each.anonymous_octets for each in seen)
    figures.add(f"{name}, without the store's map", anonymous / _MIB, "MiB")
    figures.add(f"{name}, with it (RSS)", max(each.rss_octets for each in seen) / _MIB, "MiB")


def _ask(server: Fedaemon, plan: Plan, figures: Figures) -> None:
    """Note how long fedaemonctl takes beside the daemon, and what it says."""
    began = time.monotonic()
    stats = server.stats()
    figures.add("queue stats", time.monotonic() - began, "s")
    began = time.monotonic()
    sites = json.loads(server.control("queue", "sites", "--json"))
    figures.add("queue sites", time.monotonic() - began, "s")
    figures.add("tried meanwhile", stats["recipients"].get("deferred", 0), "recipients")
    figures.add("sites met", sum(1 for site in sites if site["site"]), "")
    if stats["waiting"] != plan.shape.recipients:
        raise BenchError(f"{stats['waiting']} recipients wait, but {plan.shape.recipients} were queued")


def _parse_arguments() -> tuple[Plan, Path | None]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--domains", type=int, default=10_000)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--trying", type=float, default=60.0, metavar="SECONDS", help="default 60")
    parser.add_argument("--verify", action="store_true", help="also time fedaemonctl verify")
    parser.add_argument("--dir", type=Path, default=DIRECTORY)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    options = parser.parse_args()
    shape = Shape(options.recipients, options.domains, options.accounts)
    if min(options.recipients, options.domains, options.accounts) < 1 or options.trying <= 0:
        parser.error("nothing to measure")
    return Plan(shape, options.trying, options.verify, options.dir.resolve()), options.json


def as_markdown(measured: tuple[dict[str, str], Figures]) -> str:
    """Return the figures for people."""
    machine, figures = measured
    return "; ".join(f"{what} {value}" for what, value in machine.items()) + ".\n\n" + figures.as_markdown()


def as_json(measured: tuple[dict[str, str], Figures]) -> str:
    """Return the figures for programs."""
    machine, figures = measured
    return json.dumps({"machine": machine, "figures": figures.rows}, indent=1) + "\n"


def main() -> int:
    """Command line: Markdown on stdout, progress on stderr."""
    plan, json_file = _parse_arguments()
    return command_line(measure, plan, json_file, as_markdown, as_json)


if __name__ == "__main__":
    sys.exit(main())
