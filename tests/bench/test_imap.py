"""fedaemon beside Dovecot: the whole measurement with small mailboxes, and what its table says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.dovecot import IMAP, POP3
from bench.imap import IDLE_ROWS
from bench.imap_figures import Line, Outcome, as_markdown
from bench.imap_measures import Figure
from bench.imap_rows import ROWS

ROOT = Path(__file__).parents[2]


def test_the_whole_measurement_runs(tmp_path: Path) -> None:
    """Every row of both servers: as table and as JSON, all figures above nothing."""
    if os.geteuid() != 0 or not (IMAP.exists() and POP3.exists()):
        reason = "Dovecot is not installed, or not startable without root: tests/prepare says how"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and CI skips nothing")
        pytest.skip(reason)
    file = tmp_path / "figures.json"
    rows = [*(row.name for row in ROWS), IDLE_ROWS[1].name]
    done = subprocess.run(
        [sys.executable, "-m", "bench.imap", "--quick", "--json", str(file), "--rows", *rows],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(file.read_text())
    assert measured["failed"] == {}
    lines = measured["lines"]
    assert list(dict.fromkeys(line["row"] for line in lines)) == [*rows[:-1], "memory", rows[-1]]
    firsts = [line["row"] for line in lines if line["title"].endswith(", first")]
    assert firsts == [row.name for row in ROWS if row.first]
    for line in lines:
        assert sorted(line["figures"]) == ["Dovecot", "fedaemon"]
        # Twenty sessions need less than what a process gives back meanwhile.
        if "memory of an idle" not in line["title"]:
            assert all(figure["value"] > 0 for figure in line["figures"].values()), line
    assert len(done.stdout.splitlines()) == len(lines) + 4


def test_a_ratio_above_one_is_ahead() -> None:
    """Whether more or less of something is better; nothing is divided by nothing."""
    ours = Figure("x", "/s", 300.0, 2.0, higher_is_better=True)
    theirs = replace(ours, value=200.0, cpu_ms=1.0)
    time = Figure("y", "ms", 0.5, None)
    outcome = Outcome({"cores": "2"}, {"fedaemon": "1", "Dovecot": "2"})
    outcome.lines.append(Line("x", "x", {"fedaemon": ours, "Dovecot": theirs}, "the disk"))
    outcome.lines.append(Line("y", "y", {"fedaemon": time, "Dovecot": replace(time, value=1.0)}, ""))
    assert as_markdown(outcome).splitlines()[-2:] == [
        "| x | 300 /s | 200 /s | 1.50 | 2 | 1 | 0.50 | the disk |",
        "| y | 0.5 ms | 1 ms | 2.00 |  |  |  |  |",
    ]


def test_one_server_alone_has_no_ratio() -> None:
    """The columns are those of the heads."""
    outcome = Outcome({}, {"fedaemon": "1"}, [Line("x", "x", {"fedaemon": Figure("x", "ms", 2.0, 1.0)}, "")])
    head, rule, line = as_markdown(outcome).splitlines()[-3:]
    assert line == "| x | 2 ms | 1 |  |"
    assert head.count("|") == rule.count("|") == line.count("|")
