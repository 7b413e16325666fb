"""Contents: inline and as files, references, and what the sweep takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.store.blobs import INLINE_OCTETS
from fedaemon.store.content import FileContent, MemoryContent, OpenFileContent, PrefixedContent, whole
from fedaemon.store.errors import StoreError
from fedaemon.store.interface import Content, Transaction
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.locks import backup_hold
from fedaemon.store.spaces import BLOB, BLOB_BYTES

SMALL, EDGE, LARGE = b"small", b"e" * INLINE_OCTETS, b"l" * (INLINE_OCTETS + 1)


def add(engine: LmdbEngine, data: bytes, references: int = 1) -> str:
    staged = engine.blobs.stage(MemoryContent(data))
    return engine.transact(lambda transaction: engine.blobs.add(transaction, staged, references))


def read(engine: LmdbEngine, blob_id: str) -> bytes:
    return whole(engine.view(lambda snapshot: engine.blobs.open(snapshot, blob_id)))


def release(engine: LmdbEngine, blob_id: str, count: int = 1) -> None:
    engine.transact(lambda transaction: engine.blobs.release(transaction, blob_id, count))


def files(engine: LmdbEngine) -> list[Path]:
    return [path for path in engine.layout.blobs.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("data", "in_file"), [(b"", 0), (SMALL, 0), (EDGE, 0), (LARGE, 1)])
def test_content_comes_back_byte_for_byte(engine: LmdbEngine, data: bytes, in_file: int) -> None:
    blob_id = add(engine, data)
    assert read(engine, blob_id) == data
    assert engine.view(lambda snapshot: engine.blobs.size(snapshot, blob_id)) == len(data)
    assert len(files(engine)) == in_file


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_content_lives_until_its_last_reference_is_released(engine: LmdbEngine, data: bytes) -> None:
    blob_id = add(engine, data, references=2)
    engine.transact(lambda transaction: engine.blobs.retain(transaction, blob_id))
    release(engine, blob_id, 2)
    assert read(engine, blob_id) == data
    release(engine, blob_id)
    with pytest.raises(StoreError, match="there is no blob"):
        read(engine, blob_id)
    assert files(engine) == []
    assert engine.view(lambda snapshot: list(snapshot.scan(("bytes",)))) == []


def test_a_file_stays_when_the_transaction_that_released_it_fails(engine: LmdbEngine) -> None:
    blob_id = add(engine, LARGE)

    def release_and_fail(transaction: Transaction) -> None:
        engine.blobs.release(transaction, blob_id)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.transact(release_and_fail)
    assert read(engine, blob_id) == LARGE


def test_releasing_too_often_is_refused(engine: LmdbEngine) -> None:
    blob_id = add(engine, SMALL)
    with pytest.raises(StoreError, match="too often"):
        release(engine, blob_id, 2)
    assert read(engine, blob_id) == SMALL


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_content_added_twice_is_there_until_both_are_released(engine: LmdbEngine, data: bytes) -> None:
    staged = engine.blobs.stage(MemoryContent(data))
    ids = [engine.transact(lambda transaction: engine.blobs.add(transaction, staged)) for _ in range(2)]
    release(engine, ids[0])
    assert read(engine, ids[1]) == data


def test_a_staged_file_that_is_gone_cannot_be_named(engine: LmdbEngine) -> None:
    staged = engine.blobs.stage(MemoryContent(LARGE))
    engine.blobs.discard(staged)
    with pytest.raises(StoreError, match="is gone"):
        engine.transact(lambda transaction: engine.blobs.add(transaction, staged))


def test_content_that_cannot_be_read_leaves_no_file(engine: LmdbEngine, tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"x")
    with pytest.raises(StoreError, match="too short"):
        engine.blobs.stage(FileContent(short, len(LARGE)))
    assert files(engine) == []


def test_the_sweep_takes_what_nothing_names_and_leaves_the_rest(engine: LmdbEngine) -> None:
    blob_id = add(engine, LARGE)
    waiting = engine.blobs.stage(MemoryContent(LARGE))
    forgotten = engine.blobs.stage(MemoryContent(LARGE))
    kept = {blob_id, waiting.blob_id}  # type: ignore[attr-defined]
    unfinished = engine.layout.blob(forgotten.blob_id).with_name("0123456789ABCDEF.new")  # type: ignore[attr-defined]
    unfinished.write_bytes(b"half")
    (engine.layout.spool / "left").write_bytes(b"")
    del forgotten
    assert engine.blobs.sweep(engine) == 0, "young files may be about to be named"
    assert engine.blobs.sweep(engine, age_s=-1) == 3
    assert {path.name for path in files(engine)} == kept
    engine.transact(lambda transaction: engine.blobs.add(transaction, waiting))


def test_while_a_backup_collects_no_file_goes(engine: LmdbEngine) -> None:
    blob_id = add(engine, LARGE)
    with backup_hold(engine.layout):
        release(engine, blob_id)
        engine.blobs.sweep(engine, age_s=-1)
        assert [path.name for path in files(engine)] == [blob_id]
    engine.blobs.sweep(engine, age_s=-1)
    assert files(engine) == []


@pytest.mark.parametrize(("data", "said"), [(SMALL, "content of blob .* is missing"), (LARGE, "no blob")])
def test_a_blob_that_lost_what_names_its_content(engine: LmdbEngine, data: bytes, said: str) -> None:
    """Its octets, or its record without which a file is not looked for."""
    blob_id = add(engine, data)
    space = BLOB_BYTES if data is SMALL else BLOB
    engine.transact(lambda transaction: transaction.delete((space, blob_id)))
    with pytest.raises(StoreError, match=said):
        read(engine, blob_id)


def test_small_content_can_be_read_without_its_record(engine: LmdbEngine) -> None:
    """Mail outlives damage to what is kept beside it; verify says what is wrong."""
    blob_id = add(engine, SMALL)
    engine.transact(lambda transaction: transaction.put((BLOB, blob_id), b"damaged"))
    assert read(engine, blob_id) == SMALL
    with pytest.raises(StoreError):
        release(engine, blob_id)


def test_a_missing_file_is_said_when_it_is_read(engine: LmdbEngine) -> None:
    blob_id = add(engine, LARGE)
    engine.layout.blob(blob_id).unlink()
    with pytest.raises(StoreError, match="cannot read"):
        read(engine, blob_id)


@given(data=st.binary(max_size=50), prefix=st.binary(max_size=10), size=st.integers(1, 20))
def test_every_kind_of_content_gives_its_bytes_in_pieces_of_the_size_asked(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, prefix: bytes, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "content"
    path.write_bytes(data)
    with path.open("rb") as opened:
        contents: list[tuple[Content, bytes]] = [
            (MemoryContent(data), data),
            (FileContent(path, len(data)), data),
            (OpenFileContent(opened, len(data)), data),
            (PrefixedContent(prefix, MemoryContent(data)), prefix + data),
        ]
        for content, expected in contents:
            for _ in range(2):
                pieces = list(content.chunks(size))
                assert b"".join(pieces) == expected
                assert all(0 < len(piece) <= size for piece in pieces)
            assert content.size == len(expected)
