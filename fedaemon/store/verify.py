"""Does the store hold together: every reference resolves, counts agree, contents are what was written.

The store knows blobs; what other records there are, and which blobs they name, is known above it, so each
package there gives a ``Checker``.

Invariants: everything is compared in one snapshot, so that a daemon at work causes no false findings; a
repair applies the difference found to what the record says at the time of the repair, so that counting
meanwhile is kept. Without *repair* nothing is changed. Contents are compared with their CRC-32: LMDB has no
checksums of its own.
Limits: some 150 octets of memory for each blob; pages are not reused while it runs.
Known gaps: what was lost (a missing or damaged content) is told, not brought back: that takes a backup.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

from fedaemon.store import records
from fedaemon.store.blobs import ORPHAN_AGE_S
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.spaces import BLOB, BLOB_BYTES

PROGRESS_EVERY = 10_000
"""Blobs between two lines of progress."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: its *kind* ("blob.references"), *what* it is about, in words."""

    kind: str
    what: str
    repaired: bool = False


class Checker(Protocol):
    """What a package above the store knows about its own records."""

    def references(self, snapshot: Snapshot) -> Iterator[str]:
        """Yield the id of a blob for each reference that a record of the package holds."""

    def problems(self, snapshot: Snapshot) -> Iterator[Finding]:
        """Yield what is wrong among the package's own records."""

    def repair(self, transaction: Transaction) -> None:
        """Make derived data (indexes, counters) anew from the records."""


@dataclass(slots=True)
class _Report:
    """What one look at the store found, and the repairs of it as (finding, function) pairs."""

    findings: list[Finding]
    repairs: list[tuple[Finding, Callable[[Transaction], object]]]


def verify(
    engine: LmdbEngine, checkers: Sequence[Checker], *, repair: bool, progress: Progress
) -> list[Finding]:
    """Look at the whole store, and put right what can be derived.

    :param checkers: one for each package above that has records; references are counted over all of them.
    :param repair: correct what follows from the records: indexes, reference counts, contents without owner.
    :param progress: called with a line of text now and then.
    Returns what was found, each with whether it was repaired. Raises StoreError when the store cannot be
    read.
    """
    report = _Report([], [])
    engine.view(partial(_look, engine, checkers, report, progress))
    findings = report.findings
    for finding, function in report.repairs:
        if repair:
            engine.transact(function)
        findings.append(replace(finding, repaired=repair))
    for checker in checkers:
        findings += _check_records(engine, checker, repair)
    findings += _orphan_files(engine, repair)
    return findings


def _check_records(engine: LmdbEngine, checker: Checker, repair: bool) -> list[Finding]:
    """Ask one checker, let it repair, and see what is left."""

    def problems(snapshot: Snapshot) -> list[Finding]:
        return list(checker.problems(snapshot))

    before = engine.view(problems)
    if not before or not repair:
        return before
    engine.transact(checker.repair)
    left = engine.view(problems)
    return [replace(finding, repaired=finding not in left) for finding in before]


def _look(
    engine: LmdbEngine, checkers: Sequence[Checker], report: _Report, progress: Progress, snapshot: Snapshot
) -> None:
    """Compare blobs, contents and references in one snapshot."""
    progress("counting references")
    counts: Counter[str] = Counter()
    for checker in checkers:
        counts.update(checker.references(snapshot))
    seen = 0
    for key, value in snapshot.scan((BLOB,)):
        blob_id = str(key[1])
        seen += 1
        if not seen % PROGRESS_EVERY:
            progress(f"{seen} contents")
        try:
            record = records.decode(value)
            counted, recorded = counts.pop(blob_id, 0), record["references"]
            wrong = _wrong_content(engine, snapshot, blob_id, record)
        except (StoreError, KeyError) as error:
            report.findings.append(Finding("blob.unreadable", f"the record of blob {blob_id}: {error}"))
            continue
        if wrong is not None:
            report.findings.append(wrong)
        if counted != recorded:
            text = f"blob {blob_id} counts {recorded} references, there are {counted}"
            function = partial(_correct, engine, blob_id, counted - recorded)
            report.repairs.append((Finding("blob.references", text), function))
    report.findings += [
        Finding("blob.missing", f"blob {blob_id} is referred to {count} times and does not exist")
        for blob_id, count in counts.items()
    ]
    for key, _ in snapshot.scan((BLOB_BYTES,)):
        blob_id = str(key[1])
        if snapshot.get((BLOB, blob_id)) is None:
            orphan = Finding("blob.orphan", f"content of a blob {blob_id}, which does not exist")
            report.repairs.append((orphan, partial(_drop_bytes, blob_id)))


def _wrong_content(
    engine: LmdbEngine, snapshot: Snapshot, blob_id: str, record: dict[str, Any]
) -> Finding | None:
    """Return what is wrong with the content of a blob."""
    crc = 0
    try:
        for piece in engine.blobs.open(snapshot, blob_id).chunks():
            crc = crc32(piece, crc)
        length = engine.blobs.length(snapshot, blob_id)
    except StoreError as error:
        return Finding("blob.content", error.text)
    if length != record["size"]:
        return Finding("blob.content", f"blob {blob_id} has {length} octets instead of {record['size']}")
    if crc != record["crc"]:
        return Finding("blob.content", f"the content of blob {blob_id} has changed on the disk")
    return None


def _correct(engine: LmdbEngine, blob_id: str, difference: int, transaction: Transaction) -> None:
    """Change the references of a blob by *difference*; it may have gone meanwhile, which is as good."""
    if transaction.get((BLOB, blob_id)) is None:
        return
    if difference > 0:
        engine.blobs.retain(transaction, blob_id, difference)
    else:
        engine.blobs.release(transaction, blob_id, -difference)


def _drop_bytes(blob_id: str, transaction: Transaction) -> None:
    if transaction.get((BLOB, blob_id)) is None:
        transaction.delete((BLOB_BYTES, blob_id))


def _orphan_files(engine: LmdbEngine, repair: bool) -> list[Finding]:
    """Look for blob files without a record; young ones may be about to get one and are no finding."""
    before = time.time() - ORPHAN_AGE_S
    found: list[Path] = []
    for directory in sorted(engine.layout.blobs.glob("*/")):
        old = [path for path in directory.iterdir() if path.stat().st_mtime < before]
        found += engine.view(partial(engine.blobs.orphans, paths=old))
    if found and repair:
        engine.blobs.sweep(engine)
    return [
        Finding("blob.orphan_file", f"{path} belongs to nothing", repaired=repair and not path.exists())
        for path in found
    ]
