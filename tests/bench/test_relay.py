"""The measurement of relaying, made with few messages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    shutil.which("smtp-sink") is None, reason="smtp-sink and smtp-source come with the package postfix"
)


def test_fedaemon_passes_every_message_on(tmp_path: Path) -> None:
    """The measurement fails by itself when the sink has not had every message, or one is still queued."""
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench.relay", "--quick", "--server", "fedaemon", "--json", str(figures)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    row = json.loads(figures.read_text())["rows"]["plain-20-5k-keep"]["fedaemon"]
    assert len(row["samples"]) == 1
    assert row["median"]["rate"] > 0
    assert row["median"]["cpu_ms"] > 0
    assert row["median"]["load_cpu_ms"] > 0
