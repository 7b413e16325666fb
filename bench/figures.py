"""What is measured, and how it is shown: a Markdown table for people, JSON for programs.

Why: docs/performance.md is copied from the table, so it names the machine and what was compared; the JSON
keeps every round, so that the spread behind a median can be looked up.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field

from bench.server import Memory
from bench.synccalls import SyncCalls

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of load; ``weight`` scales the number of messages so that rows take about equally long."""

    tls: bool
    sessions: int
    size_octets: int
    keep_alive: bool
    weight: float

    @property
    def name(self) -> str:
        """For --rows and JSON: "tls-50-5k-each"."""
        kind = "tls" if self.tls else "plain"
        return f"{kind}-{self.sessions}-{self.size_octets // 1000}k-{'keep' if self.keep_alive else 'each'}"

    @property
    def title(self) -> str:
        """For people."""
        kind = "STARTTLS + AUTH" if self.tls else "plain"
        connections = "kept connection" if self.keep_alive else "connection each"
        plural = "s" if self.sessions > 1 else ""
        return f"{kind}, {self.sessions} session{plural}, {self.size_octets // 1000} kB, {connections}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One round: messages per second, and CPU milliseconds per message of the server and of the load."""

    rate: float
    cpu_ms: float
    load_cpu_ms: float


@dataclass(slots=True)
class Result:
    """One row with one server."""

    samples: list[Sample] = field(default_factory=list)
    idle: Memory | None = None
    peak: Memory | None = None

    def median(self) -> Sample:
        """The median of each figure by itself."""
        return Sample(
            statistics.median(each.rate for each in self.samples),
            statistics.median(each.cpu_ms for each in self.samples),
            statistics.median(each.load_cpu_ms for each in self.samples),
        )


@dataclass(frozen=True, slots=True)
class SyncResult:
    """Calls that wait for the disk while so many messages were accepted."""

    messages: int
    counted: SyncCalls

    @property
    def per_message(self) -> float:
        """Calls of all kinds per message."""
        return self.counted.total / self.messages


@dataclass(slots=True)
class Outcome:
    """Everything measured; the maps of rows go from server name to figures."""

    machine: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[Row, dict[str, Result]]] = field(default_factory=list)
    sync_rows: list[tuple[Row, dict[str, SyncResult]]] = field(default_factory=list)


def as_json(outcome: Outcome) -> str:
    """All figures, the single rounds included."""
    rows = {
        row.name: {
            server: {"median": asdict(result.median()), **asdict(result)}
            for server, result in results.items()
        }
        for row, results in outcome.rows
    }
    sync_rows = {
        row.name: {
            server: {"per_message": result.per_message, **asdict(result)}
            for server, result in results.items()
        }
        for row, results in outcome.sync_rows
    }
    whole = {
        "machine": outcome.machine,
        "versions": outcome.versions,
        "notes": outcome.notes,
        "rows": rows,
        "sync_calls": sync_rows,
    }
    return json.dumps(whole, indent=1) + "\n"


def as_markdown(outcome: Outcome) -> str:
    """Tables of medians, calls that wait for the disk, and memory."""
    servers = list(outcome.versions)
    lines = ["; ".join(f"{what} {value}" for what, value in outcome.machine.items()) + ".", ""]
    lines += [f"- {name} {outcome.versions[name]}: {outcome.notes[name]}." for name in servers]
    for part in (
        _speed_table(outcome, servers),
        _sync_table(outcome, servers),
        _memory_table(outcome, servers),
    ):
        if part:
            lines += ["", *part]
    return "\n".join(lines)


def _speed_table(outcome: Outcome, servers: list[str]) -> list[str]:
    if not outcome.rows:
        return []
    pair = len(servers) == 2
    heads = [*(f"{name} msg/s" for name in servers), *(["ratio"] if pair else [])]
    heads += [*(f"{name} CPU ms" for name in servers), *(["ratio"] if pair else []), "load CPU ms"]
    lines = table_head(["load", *heads])
    for row, results in outcome.rows:
        medians = [results[name].median() for name in servers]
        cells = [f"{each.rate:,.0f}" for each in medians]
        cells += [f"{medians[1].rate / medians[0].rate:.2f}"] if pair else []
        cells += [f"{each.cpu_ms:.2f}" for each in medians]
        cells += [f"{medians[1].cpu_ms / medians[0].cpu_ms:.2f}"] if pair else []
        cells.append(" / ".join(f"{each.load_cpu_ms:.2f}" for each in medians))
        lines.append(table_row([row.title, *cells]))
    return lines


def _sync_table(outcome: Outcome, servers: list[str]) -> list[str]:
    if not outcome.sync_rows:
        return []
    lines = table_head(["calls that wait for the disk, per message", *servers])
    for row, results in outcome.sync_rows:
        cells = []
        for name in servers:
            result = results[name]
            kinds = ", ".join(f"{call} {n / result.messages:.2f}" for call, n in result.counted.calls.items())
            cells.append(f"{result.per_message:.2f} ({kinds})")
        lines.append(table_row([row.title, *cells]))
    return lines


def _memory_table(outcome: Outcome, servers: list[str]) -> list[str]:
    if not outcome.rows:
        return []
    lines = table_head(["memory: PSS (RSS) of all processes, MiB", *servers])
    per_server = [[results[name] for _, results in outcome.rows] for name in servers]
    idle = [max((each.idle for each in results if each.idle), key=_pss) for results in per_server]
    peak = [max((each.peak for each in results if each.peak), key=_pss) for results in per_server]
    lines.append(table_row(["idle after start", *map(_memory_cell, idle)]))
    lines.append(table_row(["highest under any load above", *map(_memory_cell, peak)]))
    return lines


def _pss(memory: Memory) -> int:
    return memory.pss_octets


def _memory_cell(memory: Memory) -> str:
    plural = "es" if memory.processes != 1 else ""
    sizes = f"{memory.pss_octets / _MIB:.0f} ({memory.rss_octets / _MIB:.0f})"
    return f"{sizes}, {memory.processes} process{plural}"


def table_head(cells: list[str]) -> list[str]:
    return [table_row(cells), "|---" + "|--:" * (len(cells) - 1) + "|"]


def table_row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
