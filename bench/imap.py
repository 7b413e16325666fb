"""Mail programs' commands per second and their CPU time: fedaemon beside Debian's Dovecot.

Why: the two are measured in the same run, in alternating rounds on the same disk, because a figure from
another day or machine says nothing. Both are asked under TLS, as mail programs do; durability is each one's
default. CPU time is user + system of all of a server's processes.
Theory of operation: both servers are started and their mailboxes filled; then they are started anew and left
alone until they are quiet. Rows come in their order (``imap_rows``); what is asked for the first time is a
figure of its own, other figures are medians of rounds. Memory of idle sessions is measured at the end, each
server alone and fresh; Dovecot as it is, and as its documentation advises for many sessions.
Limits: load and servers share the machine. What is first is measured once.
Standards: RFC 9051, RFC 1939.

Run: .venv/bin/python -m bench.imap [--quick] [--rows NAME…] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.dovecot import HIBERNATING, MANY, Dovecot
from bench.imap_figures import Line, Outcome, as_json, as_markdown
from bench.imap_idle import idle_sessions
from bench.imap_load import Connection, LoadError, fill
from bench.imap_measures import Figure, Scale
from bench.imap_rows import FULL, QUICK, ROWS, Row
from bench.imap_server import Fedaemon, ImapServer
from bench.machine import DIRECTORY, command_line, describe, progress, run_directory
from bench.server import BenchError

PASSWORD = "correct-horse"
DOVECOT_SESSIONS = 100
MEMORY = "memory of all processes after all of it (PSS)"
IDLE_LIMIT = "TLS handshakes; what OpenSSL keeps for each connection"
SERVERS: dict[str, type[ImapServer]] = {"fedaemon": Fedaemon, "dovecot": Dovecot}


@dataclass(frozen=True, slots=True)
class IdleRow:
    """Idle sessions over *accounts*; *settings* are further ones of Dovecot, which *note* tells the reader."""

    name: str
    sessions: int
    settings: str
    note: str
    accounts: int = 20


IDLE_ROWS = (
    IdleRow("sessions-stock", 2_000, MANY, "Dovecot: stock"),
    IdleRow("sessions-2000", 2_000, HIBERNATING, "Dovecot: hibernating"),
    IdleRow("sessions-10000", 10_000, HIBERNATING, "Dovecot: hibernating"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for."""

    servers: tuple[type[ImapServer], ...]
    rows: tuple[Row, ...]
    idle_rows: tuple[IdleRow, ...]
    scale: Scale
    directory: Path


def measure(plan: Plan) -> Outcome:
    """Carry out a plan.

    :raises BenchError: when a server does not start, or cannot be filled.
    """
    with run_directory(plan.directory) as directory:
        outcome = Outcome(describe(directory))
        if plan.rows:
            _measure_rows(plan, directory, outcome)
        for row in plan.idle_rows:
            with _noted(outcome, row.name):
                _measure_idle(plan, row, directory, outcome)
    return outcome


@contextlib.contextmanager
def _noted(outcome: Outcome, name: str) -> Iterator[None]:
    """Note it when a row fails, so that one does not cost what was measured of the others."""
    progress(name)
    try:
        yield
    except (BenchError, LoadError, OSError) as error:
        outcome.failed[name] = str(error)
        progress(f"{name}: {error}")


def _measure_rows(plan: Plan, directory: Path, outcome: Outcome) -> None:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_make(kind, directory)) for kind in plan.servers]
        for server in servers:
            outcome.versions[server.name] = server.version
            progress(f"filling {server.name}")
            try:
                fill_mailboxes(server, plan.scale, {name for row in plan.rows for name in row.mailboxes})
            except (LoadError, OSError) as error:
                raise BenchError(f"{server.name} cannot be filled: {error}") from error
            server.stop()
            server.start()
        for server in servers:
            server.settle()
        for row in plan.rows:
            with _noted(outcome, row.name):
                _measure_row(servers, row, plan.scale, outcome)
        octets = {server.name: server.processes.memory().pss_octets for server in servers}
        figures = {name: Figure(MEMORY, "MB", each / 1e6, None) for name, each in octets.items()}
        outcome.lines.append(Line("memory", MEMORY, figures, "what was read and is kept; pages of the store"))


def _make(kind: type[ImapServer], directory: Path, row: IdleRow | None = None) -> ImapServer:
    server = kind(
        directory / kind.name[:2].lower(), directory / "certificate.pem", directory / "key.pem", PASSWORD
    )
    if row is not None:
        accounts = row.accounts
        if isinstance(server, Dovecot):
            server.settings = row.settings
            # It shares nothing between sessions of an account, and more accounts are more system users.
            accounts = max(accounts, row.sessions // DOVECOT_SESSIONS)
        server.accounts = [f"user{number}@bench.test" for number in range(accounts)]
    return server


def fill_mailboxes(server: ImapServer, scale: Scale, wanted: set[str]) -> None:
    """Make every mailbox of the rows, and fill those that are *wanted*.

    :raises LoadError: when the server refuses it.
    """
    with Connection(server) as connection:
        for made in (b"appended", b"idle", b"list", b"fields", b"attached", b"search", b"large"):
            connection.command(b"CREATE " + made)
        for name in sorted({"INBOX", "list", "fields"} & wanted):
            fill(connection, name.encode(), scale.listed)
        if "attached" in wanted:
            fill(connection, b"attached", scale.attached, 100_000)
        if {"search", "large"} & wanted:
            fill(connection, b"search", scale.searched)
        if "large" in wanted:
            # Copies cost a fraction of what storing as many messages would.
            connection.command(b"SELECT search")
            for _ in range(scale.copies):
                connection.command(b"COPY 1:* large")


def _measure_row(servers: Sequence[ImapServer], row: Row, scale: Scale, outcome: Outcome) -> None:
    """Alternate between the servers, and note the medians."""
    rounds: dict[str, list[tuple[Figure, ...]]] = {server.name: [] for server in servers}
    with contextlib.ExitStack() as stack:
        measured = [
            (server, stack.enter_context(contextlib.closing(row.measure(server, scale))))
            for server in servers
        ]
        for _ in range(row.first + (row.rounds or scale.rounds)):
            for server, figures in measured:
                rounds[server.name].append(next(figures))
            measured.reverse()
    _note(outcome, row, {name: each[: row.first] for name, each in rounds.items()}, ", first")
    again = ", again" if row.first else ""
    _note(outcome, row, {name: each[row.first :] for name, each in rounds.items()}, again)


def _note(outcome: Outcome, row: Row, rounds: dict[str, list[tuple[Figure, ...]]], suffix: str) -> None:
    for same in zip(*(zip(*each, strict=True) for each in rounds.values()), strict=True):
        by_server = {name: _median(figures) for name, figures in zip(rounds, same, strict=True)}
        title = same[0][0].title + suffix
        outcome.lines.append(Line(row.name, title, by_server, row.limit))


def _median(figures: Sequence[Figure]) -> Figure:
    cpu = [each.cpu_ms for each in figures if each.cpu_ms is not None]
    value = statistics.median(each.value for each in figures)
    return replace(figures[0], value=value, cpu_ms=statistics.median(cpu) if cpu else None)


def _measure_idle(plan: Plan, row: IdleRow, directory: Path, outcome: Outcome) -> None:
    by_server: dict[str, tuple[Figure, ...]] = {}
    for kind in plan.servers:
        with _make(kind, directory, row) as server:
            outcome.versions[server.name] = server.version
            by_server[server.name] = idle_sessions(server, row.sessions)
    for same in zip(*by_server.values(), strict=True):
        title = f"{same[0].title} ({row.note})"
        outcome.lines.append(Line(row.name, title, dict(zip(by_server, same, strict=True)), IDLE_LIMIT))


def _parse_arguments() -> tuple[Plan, Path | None]:
    names = [row.name for row in (*ROWS, *IDLE_ROWS)]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="small mailboxes, few sessions: does it work?")
    parser.add_argument(
        "--server", action="append", choices=sorted(SERVERS), help="measure this one; repeatable"
    )
    parser.add_argument(
        "--rows", nargs="+", default=["*"], metavar="NAME", help="or patterns, of: " + ", ".join(names)
    )
    parser.add_argument("--dir", type=Path, default=DIRECTORY)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to this file")
    options = parser.parse_args()
    chosen = {name for name in names for pattern in options.rows if fnmatch.fnmatchcase(name, pattern)}
    if not chosen:
        parser.error("no such row")
    idle_rows = tuple(row for row in IDLE_ROWS if row.name in chosen)
    if options.quick:
        idle_rows = tuple(replace(row, sessions=20, accounts=2) for row in idle_rows)
    plan = Plan(
        tuple(SERVERS[name] for name in options.server or SERVERS),
        tuple(row for row in ROWS if row.name in chosen),
        idle_rows,
        QUICK if options.quick else FULL,
        options.dir.resolve(),
    )
    return plan, options.json


def main() -> int:
    """Command line: Markdown on stdout, progress on stderr."""
    plan, json_file = _parse_arguments()
    return command_line(measure, plan, json_file, as_markdown, as_json)


if __name__ == "__main__":
    sys.exit(main())
