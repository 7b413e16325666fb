"""Backup, restore and verify."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedaemon.store import records
from fedaemon.store.backup import MANIFEST, backup, restore
from fedaemon.store.blobs import INLINE_OCTETS
from fedaemon.store.content import MemoryContent, whole
from fedaemon.store.errors import NewerFormat, StoreError, StoreInUse
from fedaemon.store.formats import CURRENT
from fedaemon.store.interface import Snapshot, Transaction
from fedaemon.store.layout import Layout
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.locks import ServiceLock
from fedaemon.store.spaces import BLOB, BLOB_BYTES
from fedaemon.store.verify import Finding, verify

SMALL, LARGE = b"small", b"large" * INLINE_OCTETS
NOTE = "note"


class Notes:
    """Records of a package above: notes that each name a blob, and a count of them."""

    def references(self, snapshot: Snapshot) -> Iterator[str]:
        for _, value in snapshot.scan((NOTE,)):
            yield value.decode()

    def problems(self, snapshot: Snapshot) -> Iterator[Finding]:
        count = sum(1 for _ in snapshot.scan((NOTE,)))
        if snapshot.get(("notes",)) != b"%d" % count:
            yield Finding("notes.count", "the count of notes")

    def repair(self, transaction: Transaction) -> None:
        count = sum(1 for _ in transaction.scan((NOTE,)))
        transaction.put(("notes",), b"%d" % count)


def quiet(text: str) -> None:
    """Show no progress."""


def take(engine: LmdbEngine, name: str, data: bytes) -> str:
    """Write a note with content, and return its blob id."""
    staged = engine.blobs.stage(MemoryContent(data))

    def function(transaction: Transaction) -> str:
        blob_id = engine.blobs.add(transaction, staged)
        transaction.put((NOTE, name), blob_id.encode())
        Notes().repair(transaction)
        return blob_id

    return engine.transact(function)


def drop(engine: LmdbEngine, name: str) -> None:
    """Remove a note and its content."""

    def function(transaction: Transaction) -> None:
        blob_id = transaction.get((NOTE, name))
        assert blob_id is not None
        transaction.delete((NOTE, name))
        engine.blobs.release(transaction, blob_id.decode())
        Notes().repair(transaction)

    engine.transact(function)


def contents(engine: LmdbEngine) -> dict[str, bytes]:
    def function(snapshot: Snapshot) -> dict[str, bytes]:
        return {
            str(key[1]): whole(engine.blobs.open(snapshot, value.decode()))
            for key, value in snapshot.scan((NOTE,))
        }

    return engine.view(function)


def check(engine: LmdbEngine, *, repair: bool = False) -> list[tuple[str, bool]]:
    findings = verify(engine, [Notes()], repair=repair, progress=quiet)
    return [(finding.kind, finding.repaired) for finding in findings]


@pytest.fixture
def filled(engine: LmdbEngine) -> LmdbEngine:
    take(engine, "a", SMALL)
    take(engine, "b", LARGE)
    return engine


# Backup and restore


def test_a_restored_backup_holds_what_the_store_held(filled: LmdbEngine, tmp_path: Path) -> None:
    manifest = backup(filled, tmp_path / "backup", quiet)
    assert manifest.blob_files == 1
    drop(filled, "b")
    assert restore(tmp_path / "backup", tmp_path / "other", force=False, progress=quiet) is None
    restored = LmdbEngine.open(tmp_path / "other", create=False)
    assert contents(restored) == {"a": SMALL, "b": LARGE}
    assert check(restored) == []
    restored.close()


def test_a_backup_of_a_busy_store_is_whole(filled: LmdbEngine, tmp_path: Path) -> None:
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set():
            take(filled, f"n{number}", LARGE)
            drop(filled, f"n{number}")
            number += 1

    busy = threading.Thread(target=work)
    busy.start()
    try:
        for number in range(5):
            backup(filled, tmp_path / f"backup{number}", quiet)
            restore(tmp_path / f"backup{number}", tmp_path / f"data{number}", force=False, progress=quiet)
            restored = LmdbEngine.open(tmp_path / f"data{number}", create=False)
            assert check(restored) == []
            assert contents(restored).keys() >= {"a", "b"}
            restored.close()
    finally:
        stop.set()
        busy.join()


def test_a_blob_released_while_its_link_is_made_is_still_in_the_backup(
    filled: LmdbEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = filled.copy_to

    def copy_then_drop(directory: Path) -> None:
        copy(directory)
        drop(filled, "b")

    monkeypatch.setattr(filled, "copy_to", copy_then_drop)
    backup(filled, tmp_path / "backup", quiet)
    restore(tmp_path / "backup", tmp_path / "other", force=False, progress=quiet)
    restored = LmdbEngine.open(tmp_path / "other", create=False)
    assert contents(restored)["b"] == LARGE
    restored.close()


def test_blob_files_are_copied_where_they_cannot_be_linked(
    filled: LmdbEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Path, target: Path) -> None:
        raise OSError(18, os.strerror(18))

    monkeypatch.setattr(os, "link", link)
    assert backup(filled, tmp_path / "backup", quiet).blob_files == 1
    [path] = [path for path in (tmp_path / "backup" / "blobs").rglob("*") if path.is_file()]
    assert path.read_bytes() == LARGE
    assert path.stat().st_nlink == 1


def test_a_missing_blob_is_named_and_the_rest_backed_up(filled: LmdbEngine, tmp_path: Path) -> None:
    lost = take(filled, "lost", LARGE)
    filled.layout.blob(lost).unlink()
    said: list[str] = []
    assert backup(filled, tmp_path / "backup", said.append).blob_files == 1
    assert any(lost in line for line in said)


def test_a_backup_never_writes_into_a_directory_in_use(filled: LmdbEngine, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "mine").write_bytes(b"")
    with pytest.raises(StoreError, match="is not empty"):
        backup(filled, tmp_path / "backup", quiet)


def test_a_backup_that_did_not_finish_is_not_restored(filled: LmdbEngine, tmp_path: Path) -> None:
    backup(filled, tmp_path / "backup", quiet)
    (tmp_path / "backup" / MANIFEST).unlink()
    with pytest.raises(StoreError, match="not a finished backup"):
        restore(tmp_path / "backup", tmp_path / "other", force=False, progress=quiet)
    assert not (tmp_path / "other").exists()


def test_a_backup_that_lost_files_is_not_restored(filled: LmdbEngine, tmp_path: Path) -> None:
    backup(filled, tmp_path / "backup", quiet)
    for path in (tmp_path / "backup" / "blobs").glob("*/*"):
        path.unlink()
    with pytest.raises(StoreError, match="damaged"):
        restore(tmp_path / "backup", tmp_path / "other", force=False, progress=quiet)


def test_a_backup_of_a_newer_format_is_refused(filled: LmdbEngine, tmp_path: Path) -> None:
    backup(filled, tmp_path / "backup", quiet)
    manifest = tmp_path / "backup" / MANIFEST
    manifest.write_text(manifest.read_text().replace(f'"format": {CURRENT}', f'"format": {CURRENT + 1}'))
    with pytest.raises(NewerFormat):
        restore(tmp_path / "backup", tmp_path / "other", force=False, progress=quiet)


def test_restoring_over_a_store_needs_force_and_keeps_the_old_one(filled: LmdbEngine, tmp_path: Path) -> None:
    backup(filled, tmp_path / "backup", quiet)
    take(filled, "c", SMALL)
    filled.close()
    with pytest.raises(StoreError, match="--force"):
        restore(tmp_path / "backup", tmp_path / "data", force=False, progress=quiet)
    replaced = restore(tmp_path / "backup", tmp_path / "data", force=True, progress=quiet)
    assert replaced is not None
    restored = LmdbEngine.open(tmp_path / "data", create=False)
    assert contents(restored).keys() == {"a", "b"}
    restored.close()
    old = LmdbEngine.open(replaced, create=False)
    assert contents(old).keys() == {"a", "b", "c"}
    old.close()


def test_nothing_is_restored_under_a_running_daemon(filled: LmdbEngine, tmp_path: Path) -> None:
    backup(filled, tmp_path / "backup", quiet)
    lock = ServiceLock(filled.layout)
    with pytest.raises(StoreInUse, match=f"process {os.getpid()}"):
        restore(tmp_path / "backup", tmp_path / "data", force=True, progress=quiet)
    lock.release()


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("renames", range(5))
def test_a_restore_cut_short_never_comes_up_as_an_empty_store(
    filled: LmdbEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    backup(filled, tmp_path / "backup", quiet)
    filled.close()
    left = iter(range(renames))
    real: Callable[[Path, Path], Path] = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise Crash
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        try:
            restore(tmp_path / "backup", tmp_path / "data", force=True, progress=quiet)
        except Crash:
            with pytest.raises(StoreError, match="was interrupted: run it again"):
                LmdbEngine.open(tmp_path / "data")
        else:
            assert renames == 4
    restore(tmp_path / "backup", tmp_path / "data", force=True, progress=quiet)
    restored = LmdbEngine.open(tmp_path / "data", create=False)
    assert contents(restored) == {"a": SMALL, "b": LARGE}
    restored.close()


# Verify


def test_a_sound_store_gives_no_findings(filled: LmdbEngine) -> None:
    assert check(filled) == []


def test_wrong_counts_are_found_and_put_right(filled: LmdbEngine) -> None:
    def spoil(transaction: Transaction) -> None:
        for (_, blob_id), count in zip(dict(transaction.scan((BLOB,))), (3, 1), strict=True):
            engine_blobs.retain(transaction, str(blob_id), count)
        transaction.put(("notes",), b"77")

    engine_blobs = filled.blobs
    filled.transact(spoil)
    assert check(filled) == [("blob.references", False)] * 2 + [("notes.count", False)]
    assert check(filled, repair=True) == [("blob.references", True)] * 2 + [("notes.count", True)]
    assert check(filled) == []


def test_content_that_nothing_refers_to_is_removed_by_repair(filled: LmdbEngine) -> None:
    staged = filled.blobs.stage(MemoryContent(LARGE))
    leaked = filled.transact(lambda transaction: filled.blobs.add(transaction, staged))
    filled.transact(lambda transaction: transaction.put((BLOB_BYTES, "0" * 16), b"orphan"))
    assert check(filled, repair=True) == [("blob.references", True), ("blob.orphan", True)]
    assert check(filled) == []
    assert not filled.layout.blob(leaked).exists()


def test_too_few_references_are_counted_up_so_that_content_is_not_lost(filled: LmdbEngine) -> None:
    def second_note(transaction: Transaction) -> None:
        transaction.put((NOTE, "c"), transaction.get((NOTE, "b")) or b"")
        Notes().repair(transaction)

    filled.transact(second_note)
    assert check(filled, repair=True) == [("blob.references", True)]
    drop(filled, "b")
    assert contents(filled)["c"] == LARGE


def test_a_repair_keeps_what_was_counted_meanwhile(
    filled: LmdbEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob_id = take(filled, "d", SMALL)
    filled.transact(lambda transaction: filled.blobs.retain(transaction, blob_id))
    transact = filled.transact

    def another_first(function: Callable[[Transaction], object]) -> object:
        def add_note(transaction: Transaction) -> None:
            transaction.put((NOTE, "e"), blob_id.encode())
            filled.blobs.retain(transaction, blob_id)
            Notes().repair(transaction)

        monkeypatch.setattr(filled, "transact", transact)
        transact(add_note)
        return transact(function)

    monkeypatch.setattr(filled, "transact", another_first)
    assert check(filled, repair=True) == [("blob.references", True)]
    assert check(filled) == []


@pytest.mark.parametrize("damage", ["missing", "short", "changed", "inline changed", "inline missing"])
def test_lost_and_damaged_contents_are_found_and_not_hidden_by_repair(
    filled: LmdbEngine, damage: str
) -> None:
    blob_id = take(filled, "x", SMALL if "inline" in damage else LARGE)
    path = filled.layout.blob(blob_id)
    if damage == "missing":
        path.unlink()
    elif damage == "short":
        path.write_bytes(LARGE[:-1])
    elif damage == "changed":
        path.write_bytes(b"L" + LARGE[1:])
    elif damage == "inline changed":
        filled.transact(lambda transaction: transaction.put((BLOB_BYTES, blob_id), b"sMall"))
    else:
        filled.transact(lambda transaction: transaction.delete((BLOB_BYTES, blob_id)))
    assert check(filled) == [("blob.content", False)]
    assert check(filled, repair=True) == [("blob.content", False)]


def test_references_to_nothing_and_unreadable_records_are_found(filled: LmdbEngine) -> None:
    def spoil(transaction: Transaction) -> None:
        transaction.put((NOTE, "lost"), b"0" * 16)
        transaction.put((BLOB, "1" * 16), b"\x01nonsense")
        Notes().repair(transaction)

    filled.transact(spoil)
    assert sorted(check(filled, repair=True)) == [("blob.missing", False), ("blob.unreadable", False)]


def test_old_orphan_files_are_found_and_removed_by_repair(filled: LmdbEngine) -> None:
    orphan = Layout(filled.layout.data_dir).blob("0" * 16)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"x")
    assert check(filled) == []
    os.utime(orphan, (1, 1))
    assert check(filled) == [("blob.orphan_file", False)]
    assert check(filled, repair=True) == [("blob.orphan_file", True)]
    assert not orphan.exists()


def test_the_record_written_for_a_new_blob_is_an_ordinary_record(filled: LmdbEngine) -> None:
    for _, value in filled.view(lambda snapshot: list(snapshot.scan((BLOB,)))):
        assert records.encode(records.decode(value)) == value
