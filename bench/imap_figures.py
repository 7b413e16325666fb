"""What is measured of IMAP servers, and how it is shown: a Markdown table for people, JSON for programs.

Why: docs/performance.md is copied from the table, so it names the machine and what was compared.
Invariants: a ratio above 1 says that the first server is ahead, whether of a rate, a time or a size.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from bench.figures import table_head, table_row
from bench.imap_measures import Figure


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: what row it is of, and a figure of each server; *limit* is what bounds it."""

    row: str
    title: str
    figures: dict[str, Figure]
    limit: str


@dataclass(slots=True)
class Outcome:
    """Everything measured; *failed* has the rows that could not be, and why."""

    machine: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def as_json(outcome: Outcome) -> str:
    """Return all figures for programs."""
    return json.dumps(asdict(outcome), indent=1) + "\n"


def as_markdown(outcome: Outcome) -> str:
    """Return the figures for people, with a line that says where they come from."""
    about = {**outcome.machine, **outcome.versions}
    names = list(outcome.versions)
    heads = ["under TLS", *names, *["ratio"] * (len(names) > 1)]
    heads += [*(f"{name} CPU ms" for name in names), *["ratio"] * (len(names) > 1), "what limits"]
    lines = ["; ".join(f"{what} {value}" for what, value in about.items()) + ".", "", *table_head(heads)]
    for line in outcome.lines:
        figures = [line.figures[name] for name in names]
        cells = [line.title, *(f"{_number(each.value)} {each.unit}" for each in figures)]
        cells += _ratio([each.value for each in figures], higher_is_better=figures[0].higher_is_better)
        cpu = [each.cpu_ms for each in figures]
        cells += ["" if each is None else _number(each) for each in cpu]
        cells += _ratio(cpu, higher_is_better=False)
        lines.append(table_row([*cells, line.limit]))
    lines += [f"\nNot measured: {row}: {why}" for row, why in outcome.failed.items()]
    return "\n".join(lines)


def _ratio(values: list[float] | list[float | None], *, higher_is_better: bool) -> list[str]:
    """Return the cell that says how far the first of two is ahead; nothing for one alone."""
    if len(values) < 2:
        return []
    ours, theirs = values[:2]
    if not ours or not theirs:
        return [""]
    return [f"{ours / theirs if higher_is_better else theirs / ours:.2f}"]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
