"""Promise 2 at the store: each point where the disk can fail, and what stands afterwards."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import lmdb
import pytest

from fedaemon.store.blobs import INLINE_OCTETS
from fedaemon.store.content import MemoryContent
from fedaemon.store.errors import StoreError, StoreFull
from fedaemon.store.faults import Faults
from fedaemon.store.interface import Transaction
from fedaemon.store.lmdb_engine import LmdbEngine

LARGE = MemoryContent(b"large " * INLINE_OCTETS)


def put(transaction: Transaction) -> None:
    transaction.put(("a",), b"v")


def add_large(engine: LmdbEngine) -> str:
    staged = engine.blobs.stage(LARGE)
    return engine.transact(lambda transaction: engine.blobs.add(transaction, staged))


def files(engine: LmdbEngine) -> list[Path]:
    return [path for path in engine.layout.blobs.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("code", "reply"), [(errno.ENOSPC, (452, "4.3.1")), (errno.EIO, (451, "4.3.0"))])
def test_a_failed_commit_changes_nothing_and_the_next_works(
    engine: LmdbEngine, faults: Faults, code: int, reply: tuple[int, str]
) -> None:
    ran: list[int] = []

    def put_and_remember(transaction: Transaction) -> None:
        put(transaction)
        transaction.after_commit(lambda: ran.append(1))

    faults.fail("commit", code)
    with pytest.raises(StoreError) as caught:
        engine.transact(put_and_remember)
    assert (caught.value.code, caught.value.status) == reply
    assert engine.view(lambda snapshot: snapshot.get(("a",))) is None
    assert ran == []
    engine.transact(put)
    assert engine.view(lambda snapshot: snapshot.get(("a",))) == b"v"


def test_a_failed_commit_fails_each_caller_with_an_error_of_its_own(
    engine: LmdbEngine, faults: Faults
) -> None:
    faults.fail("commit", errno.ENOSPC)
    one, other = engine.transact_all([put, put])
    assert isinstance(one.error, StoreFull)
    assert isinstance(other.error, StoreFull)
    assert one.error is not other.error


@pytest.mark.parametrize("point", ["blob.write", "blob.fsync", "blob.rename", "blob.renamed"])
@pytest.mark.parametrize(("code", "reply"), [(errno.ENOSPC, (452, "4.3.1")), (errno.EIO, (451, "4.3.0"))])
def test_a_blob_that_cannot_be_written_leaves_no_file(
    engine: LmdbEngine, faults: Faults, point: str, code: int, reply: tuple[int, str]
) -> None:
    faults.fail(point, code)
    with pytest.raises(StoreError) as caught:
        engine.blobs.stage(LARGE)
    assert (caught.value.code, caught.value.status) == reply
    assert files(engine) == []
    blob_id = add_large(engine)
    assert engine.view(lambda snapshot: engine.blobs.size(snapshot, blob_id)) == LARGE.size


def test_a_file_that_cannot_be_unlinked_is_left_for_the_sweep(engine: LmdbEngine, faults: Faults) -> None:
    blob_id = add_large(engine)
    faults.fail("blob.unlink", errno.EIO)
    engine.transact(lambda transaction: engine.blobs.release(transaction, blob_id))
    assert len(files(engine)) == 1
    assert engine.blobs.sweep(engine, age_s=-1) == 1
    assert files(engine) == []


def test_a_full_map_fails_only_the_function_that_needs_the_room(tmp_path: Path) -> None:
    engine = LmdbEngine.open(tmp_path, map_size=1 << 20, reserve_octets=0)

    def too_much(transaction: Transaction) -> None:
        transaction.put(("too much",), bytes(2 << 20))

    small, large, after = engine.transact_all(
        [put, too_much, lambda transaction: transaction.put(("b",), b"")]
    )
    assert small.error is None
    assert after.error is None
    assert isinstance(large.error, StoreFull)
    assert engine.view(lambda snapshot: snapshot.get(("b",))) == b""
    engine.close()


class Panicking:
    """An environment whose next begin says that LMDB has panicked."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment

    def begin(self, *arguments: Any, **options: Any) -> Any:
        raise lmdb.PanicError(
            "mdb_txn_begin: MDB_PANIC: Update of meta page failed or environment had fatal error"
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)


@pytest.mark.parametrize("read_first", [True, False])
def test_after_a_panic_the_store_is_opened_anew(engine: LmdbEngine, read_first: bool) -> None:
    engine.transact(put)
    engine._env = Panicking(engine._env)
    if read_first:
        assert engine.view(lambda snapshot: snapshot.get(("a",))) == b"v"
    engine.transact(lambda transaction: transaction.put(("b",), b""))
    assert engine.view(lambda snapshot: snapshot.get(("b",))) == b""


REALLY_FULL = """
import resource, signal, sys
from pathlib import Path
from fedaemon.store.errors import StoreFull, StoreError
from fedaemon.store.lmdb_engine import LmdbEngine
engine = LmdbEngine.open(Path(sys.argv[1]), reserve_octets=0)
engine.transact(lambda transaction: transaction.put(("before",), b"x"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
for attempt in range(3):
    try:
        engine.transact(lambda transaction: transaction.put(("large",), bytes(1_000_000)))
    except StoreError as error:
        print(error.code)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
assert engine.view(lambda snapshot: snapshot.get(("large",))) is None
engine.transact(lambda transaction: transaction.put(("large",), bytes(1_000_000)))
assert engine.view(lambda snapshot: snapshot.get(("before",))) == b"x"
assert engine.view(lambda snapshot: len(snapshot.get(("large",)))) == 1_000_000
engine.close()
"""


def test_a_file_that_cannot_grow_fails_the_commit_inside_lmdb_and_nothing_else(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", REALLY_FULL, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(code in {"451", "452"} for code in done.stdout.split())
    assert len(done.stdout.split()) == 3


@pytest.mark.parametrize("text", ["commit", "nowhere:EIO:1", "commit:ENOTHING:1", "commit:EIO:often"])
def test_misspelt_fault_rules_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Faults.from_environment({"FEDAEMON_FAULTS": text})


def test_fault_rules_of_the_environment_fail_their_point_only() -> None:
    faults = Faults.from_environment({"FEDAEMON_FAULTS": "commit:EIO:1, blob.write:ENOSPC:0"})
    assert faults is not None
    with pytest.raises(OSError, match="Input/output"):
        faults.at("commit")
    faults.at("blob.write")
    faults.at("blob.fsync")
    assert Faults.from_environment({}) is None


class Unwritable:
    """An environment that cannot commit, as LMDB says it when the disk cut a write short."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._txn: Any = None

    def begin(self, *arguments: Any, **options: Any) -> Any:
        if not options:
            return self._environment.begin()
        self._txn = self._environment.begin(*arguments, **options)
        return self

    def commit(self) -> None:
        self._txn.abort()
        raise lmdb.Error("mdb_txn_commit: Input/output error")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment if self._txn is None else self._txn, name)


@pytest.mark.parametrize(("exhausted", "code"), [(True, 452), (False, 451)])
def test_a_write_cut_short_by_a_full_disk_is_told_from_a_broken_one(
    engine: LmdbEngine, monkeypatch: pytest.MonkeyPatch, exhausted: bool, code: int
) -> None:
    environment = engine._env
    monkeypatch.setattr(engine.space, "exhausted", lambda: exhausted)
    monkeypatch.setattr(engine, "_env", Unwritable(environment))
    with pytest.raises(StoreError) as caught:
        engine.transact(put)
    assert caught.value.code == code
    monkeypatch.setattr(engine, "_env", environment)
    engine.transact(put)
    assert engine.view(lambda snapshot: snapshot.get(("a",))) == b"v"
