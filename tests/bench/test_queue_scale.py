"""The measurement of a long queue, made with a shorter one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.queue_fill import Shape, fill, time_claims
from fedaemon.delivery.check import DeliveryChecker
from fedaemon.delivery.records import recipients_of
from fedaemon.mailbox.check import MailboxChecker
from fedaemon.store.interface import Snapshot
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.spaces import CLAIM, MESSAGE
from fedaemon.store.verify import Checker, verify

ROOT = Path(__file__).parents[2]


def _queued(snapshot: Snapshot) -> list[tuple[str, str, int, str]]:
    """Return destination, lane, attempts and claim of every recipient."""
    return [
        (each.destination, each.lane, each.attempts, each.claim)
        for key, _ in snapshot.scan((MESSAGE,))
        for _, each in recipients_of(snapshot, str(key[1]))
    ]


def _findings(engine: LmdbEngine) -> list[str]:
    """Return the kinds of what is wrong."""
    checkers: list[Checker] = [DeliveryChecker(), MailboxChecker()]
    return [each.kind for each in verify(engine, checkers, repair=False, progress=lambda text: None)]


def test_a_filled_store_is_sound_and_spread(tmp_path: Path) -> None:
    """Every reference to the one content is counted; domains and accounts have equal shares."""
    fill(tmp_path, Shape(recipients=2400, domains=60, accounts=4))
    engine = LmdbEngine.open(tmp_path, create=False)
    try:
        assert _findings(engine) == []
        queued = engine.view(_queued)
    finally:
        engine.close()
    assert set(Counter(destination for destination, *_ in queued).values()) == {40}
    assert set(Counter(lane for _, lane, *_ in queued).values()) == {600}
    assert len({(destination, lane) for destination, lane, *_ in queued}) == 240


def test_timing_claims_leaves_nothing_claimed(tmp_path: Path) -> None:
    """What was claimed is put back, so that the daemon finds the queue as it was filled."""
    fill(tmp_path, Shape(recipients=3000, domains=30, accounts=2))
    times = time_claims(tmp_path, 3)
    assert times.recipients > 0
    assert len(times.look_ms) == len(times.claim_ms) == len(times.committed_ms) <= 3
    assert all(claim < committed for claim, committed in zip(times.claim_ms, times.committed_ms, strict=True))
    engine = LmdbEngine.open(tmp_path, create=False)
    try:
        assert {(attempts, claim) for *_, attempts, claim in engine.view(_queued)} == {(0, "")}
        assert engine.view(lambda snapshot: list(snapshot.scan((CLAIM,)))) == []
        # The turns of lanes have moved on, to after what is due; nothing but that may be different.
        assert list(_findings(engine)) == []
    finally:
        engine.close()


def test_the_whole_measurement_runs(tmp_path: Path) -> None:
    """From filling to the second start, with the real process trying ports that are closed."""
    figures = tmp_path / "figures.json"
    size = ["--recipients", "20000", "--domains", "200", "--trying", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.queue_scale", *size, "--json", str(figures)],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(figures.read_text())["figures"]
    assert rows["recipients"] == [20000, ""]
    assert rows["tried meanwhile"][0] > 0
    assert rows["sites met"][0] > 0
    assert "| start with the full queue | " in done.stdout
