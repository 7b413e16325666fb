"""Promise 1 at the store: kill -9 at any moment loses nothing that was said to be durable."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedaemon.store.blobs import INLINE_OCTETS
from fedaemon.store.content import whole
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.verify import Finding, verify

# Writes numbered records in groups, each with an own blob, every third one large; releases the blob of every
# fifth later; prints a number once its group is durable.
CHILD = f"""
import sys
from pathlib import Path
from fedaemon.store.content import MemoryContent
from fedaemon.store.lmdb_engine import LmdbEngine
engine = LmdbEngine.open(Path(sys.argv[1]), reserve_octets=0)
blobs = engine.blobs
def write(number):
    size = {INLINE_OCTETS} + 1 if number % 3 == 0 else 100
    staged = blobs.stage(MemoryContent(b"%08d" % number + bytes(size)))
    def function(transaction):
        blob_id = blobs.add(transaction, staged)
        transaction.put(("note", number), blob_id.encode())
        old = number - 10
        if old >= first and old % 5 == 0:
            blobs.release(transaction, transaction.get(("note", old)).decode())
            transaction.put(("note", old), b"")
    return function
number = first = int(sys.argv[2])
while True:
    group = range(number, number + 4)
    engine.transact_all([write(each) for each in group])
    for each in group:
        print(each, flush=True)
    number += 4
"""


class Notes:
    """What the child's records refer to."""

    def references(self, snapshot: Snapshot) -> Iterator[str]:
        for _, value in snapshot.scan(("note",)):
            if value:
                yield value.decode()

    def problems(self, snapshot: Snapshot) -> Iterator[Finding]:
        return iter(())

    def repair(self, transaction: Transaction) -> None:
        raise AssertionError("nothing to repair")


def run_until_killed(data_dir: Path, first: int, lines: int, faults: str = "") -> list[int]:
    """Run the child until it has printed so many lines, or has killed itself; return all that it printed."""
    environment = {**os.environ, "FEDAEMON_FAULTS": faults}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(data_dir), str(first)],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as child:
        assert child.stdout is not None
        printed = []
        for line in child.stdout:
            if line.endswith("\n"):
                printed.append(int(line))
            if len(printed) == lines:
                child.kill()
        assert child.wait() == -9
    return printed


def check_promises(data_dir: Path, printed: list[int]) -> None:
    engine = LmdbEngine.open(data_dir, create=False, reserve_octets=0)

    def look(snapshot: Snapshot) -> None:
        for number in printed:
            blob_id = snapshot.get(("note", number))
            assert blob_id is not None, f"{number} was said to be durable and is lost"
            if blob_id:
                content = whole(engine.blobs.open(snapshot, blob_id.decode()))
                assert content.startswith(b"%08d" % number)

    engine.view(look)
    engine.blobs.sweep(engine, age_s=-1)
    assert verify(engine, [Notes()], repair=False, progress=lambda text: None) == []
    named = set(engine.view(lambda snapshot: list(Notes().references(snapshot))))
    files = {path.name for path in engine.layout.blobs.rglob("*") if path.is_file()}
    assert files <= named, "the sweep left a file that nothing names"
    engine.close()


def test_kill_9_at_random_moments_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    chance = random.Random(20240229)
    printed: list[int] = []
    for round_number in range(10):
        printed += run_until_killed(tmp_path, round_number * 10_000, chance.randint(1, 120))
        check_promises(tmp_path, printed)


@pytest.mark.parametrize(
    "point",
    ["commit", "committed", "blob.write", "blob.fsync", "blob.rename", "blob.renamed", "blob.unlink"],
)
def test_kill_9_at_each_named_point_loses_nothing_that_was_answered(tmp_path: Path, point: str) -> None:
    printed: list[int] = []
    for round_number in range(2):
        printed += run_until_killed(tmp_path, round_number * 10_000, 10**6, f"{point}:kill:0.1")
        check_promises(tmp_path, printed)
