"""Which layout of a mailbox suits one Python process: chunk sizes, records, and ways to append, compared.

Why: SELECT, STATUS, STORE 1:*, and SEARCH by flag, date, size or header text must not read a record for each
message, and appending one message must not write what a thousand others need.
Theory of operation: every design (``layout/design.py``) stores the same made-up mailbox through the real store,
durably. Times of reads are the best of some runs, after the pages are in memory; octets written are what the
process gave to the system (``wchar`` of /proc/self/io), LMDB's copied pages included. The contents of messages
are left out: they are the same blobs in every design. "a record a message" is a layout without chunks, in JSON.
Limits: one thread, no protocol: what remains of a command is what a layout cannot change.

Run: .venv/bin/python -m bench.mailbox_layout [--messages N] [--designs PATTERN] [--json FILE]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import table_head, table_row
from bench.layout.design import DESIGNS
from bench.layout.measuring import Figures, measure_design, measure_plain
from bench.machine import DIRECTORY, command_line, describe, progress, run_directory

PLAIN: Final = "a record a message"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the command line asked for."""

    sizes: tuple[int, ...]
    names: tuple[str, ...]
    directory: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured: for each size of mailbox the figures of each design, by name."""

    machine: dict[str, str]
    figures: dict[int, dict[str, Figures]]


def measure(plan: Plan) -> Outcome:
    """Carry out a plan.

    :raises BenchError: when the directory is in memory.
    :raises AssertionError: when a layout gives a wrong answer.
    """
    designs = {design.name: design for design in DESIGNS}
    with run_directory(plan.directory) as directory:
        outcome = Outcome(describe(directory), {size: {} for size in plan.sizes})
        for size, found in outcome.figures.items():
            for name in plan.names:
                progress(f"{size:,} messages: {name}")
                if name == PLAIN:
                    found[name] = measure_plain(size, directory)
                else:
                    found[name] = measure_design(designs[name], size, directory)
    return outcome


def as_markdown(outcome: Outcome) -> str:
    """Return a table for each size of mailbox."""
    lines = ["; ".join(f"{what} {value}" for what, value in outcome.machine.items()) + "."]
    for size, found in outcome.figures.items():
        lines += ["", *table_head([f"{size:,} messages", *found])]
        for title in dict.fromkeys(title for figures in found.values() for title in figures.rows):
            cells = (figures.rows.get(title) for figures in found.values())
            lines.append(table_row([title, *("" if cell is None else _number(cell) for cell in cells)]))
    return "\n".join(lines)


def as_json(outcome: Outcome) -> str:
    """Return everything as JSON."""
    figures = {
        size: {name: each.rows for name, each in found.items()} for size, found in outcome.figures.items()
    }
    return json.dumps({"machine": outcome.machine, "figures": figures}, indent=1) + "\n"


def _number(value: float) -> str:
    """Return *value* with about three digits."""
    return f"{value:,.{3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0}f}"


def _parse_arguments() -> tuple[Plan, Path | None]:
    names = (*(design.name for design in DESIGNS), PLAIN)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, action="append", help="repeatable (default 20000, 100000)")
    parser.add_argument("--designs", default="*", help="a pattern of these names: " + "; ".join(names))
    parser.add_argument("--dir", type=Path, default=DIRECTORY)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to this file")
    options = parser.parse_args()
    chosen = tuple(name for name in names if fnmatch.fnmatchcase(name, options.designs))
    sizes = tuple(options.messages or (20_000, 100_000))
    if not chosen or min(sizes) < 100:
        parser.error("no such design, or fewer than 100 messages")
    return Plan(sizes, chosen, options.dir.resolve()), options.json


def main() -> int:
    """Command line: Markdown on stdout, progress on stderr."""
    plan, json_file = _parse_arguments()
    return command_line(measure, plan, json_file, as_markdown, as_json)


if __name__ == "__main__":
    sys.exit(main())
