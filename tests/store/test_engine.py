"""The LMDB engine: transactions, format, limits, several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedaemon.store import formats, records
from fedaemon.store.errors import NewerFormat, StoreError, StoreFull
from fedaemon.store.group import Call, Group
from fedaemon.store.interface import Key, Snapshot, Transaction
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.space import DiskSpace
from fedaemon.store.spaces import FORMAT

Model = dict[Key, bytes]


def put(key: Key, value: bytes = b"v") -> Callable[[Transaction], Key]:
    def function(transaction: Transaction) -> Key:
        transaction.put(key, value)
        return key

    return function


def everything(snapshot: Snapshot) -> Model:
    return {key: value for key, value in snapshot.scan(()) if key != (FORMAT,)}


def put_and_fail(transaction: Transaction) -> None:
    transaction.put(("failed",), b"must not stay")
    raise ZeroDivisionError


# Model: the same operations on a dict.

KEYS = st.tuples(st.sampled_from("ab"), st.integers(0, 5))
BOUNDS = st.one_of(st.tuples(st.sampled_from("abc")), KEYS)
OPERATIONS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.binary(max_size=3)),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("scan"), BOUNDS, st.none() | BOUNDS, st.booleans(), st.none() | st.integers(0, 4)),
)
FUNCTIONS = st.tuples(st.lists(OPERATIONS, max_size=5), st.booleans())


def apply(transaction: Transaction, operations: list[tuple[Any, ...]]) -> list[object]:
    """Apply *operations* and return what they gave."""
    results: list[object] = []
    for verb, *arguments in operations:
        if verb == "put":
            transaction.put(*arguments)
        elif verb == "delete":
            results.append(transaction.delete(*arguments))
        else:
            start, stop, reverse, limit = arguments
            results.append(list(transaction.scan(start, stop, reverse=reverse, limit=limit)))
    return results


def apply_to_model(model: Model, operations: list[tuple[Any, ...]]) -> list[object]:
    results: list[object] = []
    for verb, *arguments in operations:
        if verb == "put":
            model[arguments[0]] = arguments[1]
        elif verb == "delete":
            results.append(model.pop(arguments[0], None) is not None)
        else:
            start, stop, reverse, limit = arguments
            keys = [
                key
                for key in sorted(model, reverse=bool(reverse))
                if (key[: len(start)] == start if stop is None else start <= key < stop)
            ]
            results.append([(key, model[key]) for key in keys[:limit]])
    return results


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(FUNCTIONS, max_size=5), max_size=4))
def test_groups_do_what_a_dict_does_and_failing_functions_leave_no_trace(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[tuple[list[tuple[Any, ...]], bool]]]
) -> None:
    engine = LmdbEngine.open(tmp_path_factory.mktemp("model"), reserve_octets=0)
    model: Model = {}
    try:
        for group in groups:
            expected: list[object] = []
            functions = []
            for operations, fails in group:

                def function(
                    transaction: Transaction,
                    operations: list[tuple[Any, ...]] = operations,
                    fails: bool = fails,
                ) -> list[object]:
                    results = apply(transaction, operations)
                    if fails:
                        raise ZeroDivisionError
                    return results

                functions.append(function)
                trial = dict(model)
                results = apply_to_model(trial, operations)
                if fails:
                    expected.append(ZeroDivisionError)
                else:
                    model = trial
                    expected.append(results)
            calls = engine.transact_all(functions)
            assert [call.value if call.error is None else type(call.error) for call in calls] == expected
            assert engine.view(everything) == model
    finally:
        engine.close()


# Transactions


def test_a_failing_function_changes_nothing_and_raises_its_own_error(engine: LmdbEngine) -> None:
    with pytest.raises(ZeroDivisionError):
        engine.transact(put_and_fail)
    assert engine.view(everything) == {}


def test_the_failing_function_of_a_group_alone_fails(engine: LmdbEngine) -> None:
    calls = engine.transact_all([put(("a",)), put_and_fail, put(("b",)), put_and_fail])
    assert [type(call.error) for call in calls] == [
        type(None),
        ZeroDivisionError,
        type(None),
        ZeroDivisionError,
    ]
    assert engine.view(everything) == {("a",): b"v", ("b",): b"v"}
    assert engine.statistics.redone == 1


def test_a_function_that_refuses_before_it_writes_costs_no_second_run(engine: LmdbEngine) -> None:
    def refuse(transaction: Transaction) -> None:
        transaction.get(("a",))
        raise ZeroDivisionError

    calls = engine.transact_all([put(("a",)), refuse])
    assert calls[0].error is None
    assert engine.statistics.redone == 0


def test_after_commit_runs_once_for_what_was_committed_only(engine: LmdbEngine) -> None:
    ran: list[str] = []

    def remember(name: str, fails: bool) -> Callable[[Transaction], None]:
        def function(transaction: Transaction) -> None:
            transaction.put((name,), b"")
            transaction.after_commit(lambda: ran.append(name))
            if fails:
                raise ZeroDivisionError

        return function

    engine.transact_all([remember("a", False), remember("b", True), remember("c", False)])
    assert ran == ["a", "c"]


@pytest.mark.parametrize("writes", [True, False])
def test_what_a_failed_function_announced_is_not_told(engine: LmdbEngine, writes: bool) -> None:
    told: list[object] = []

    def announce(name: str, fails: bool) -> Callable[[Transaction], None]:
        def function(transaction: Transaction) -> None:
            if writes or not fails:
                transaction.put((name,), b"")
            transaction.announce(name)
            if fails:
                raise ZeroDivisionError

        return function

    group = Group()
    calls = [Call(announce("a", False)), Call(announce("b", True)), Call(announce("c", False))]
    transaction = engine.begin()
    if not group.run(transaction, calls):
        transaction = engine.begin_again(transaction)
        group.run_again(transaction, engine.begin_nested)
    told += transaction.announced
    engine.commit(transaction)
    assert told == ["a", "c"]


def test_an_after_commit_that_fails_keeps_the_others_and_the_commit(engine: LmdbEngine) -> None:
    ran: list[int] = []

    def function(transaction: Transaction) -> None:
        transaction.put(("a",), b"")
        transaction.after_commit(lambda: 1 // 0)  # type: ignore[arg-type]
        transaction.after_commit(lambda: ran.append(1))

    engine.transact(function)
    assert ran == [1]
    assert ("a",) in engine.view(everything)


def test_a_snapshot_does_not_see_what_is_committed_later(engine: LmdbEngine) -> None:
    def look(snapshot: Snapshot) -> Model:
        engine.transact(put(("later",)))
        return everything(snapshot)

    assert engine.view(look) == {}


def test_a_scan_consumed_after_its_function_raises_store_error(engine: LmdbEngine) -> None:
    scan = engine.view(lambda snapshot: snapshot.scan(()))
    with pytest.raises(StoreError, match="cannot scan"):
        next(scan)


def test_a_function_that_swallows_a_failed_write_is_not_committed(tmp_path: Path) -> None:
    engine = LmdbEngine.open(tmp_path, map_size=1 << 20, reserve_octets=0)

    def swallow(transaction: Transaction) -> None:
        transaction.put(("small",), b"")
        try:
            transaction.put(("large",), bytes(2 << 20))
        except StoreError:
            transaction.get(("small",))

    with pytest.raises(StoreFull):
        engine.transact(swallow)
    assert engine.view(everything) == {}
    engine.close()


def test_a_commit_is_counted_and_an_empty_one_is_not_made(engine: LmdbEngine) -> None:
    before = engine.statistics.commits
    engine.transact(lambda transaction: transaction.get(("a",)))
    assert engine.statistics.commits == before
    engine.transact_all([put(("a",)), put(("b",))])
    assert engine.statistics.commits == before + 1
    assert engine.statistics.last_group == 2


# Opening


def test_a_store_of_a_newer_format_is_refused_with_what_to_do(engine: LmdbEngine, tmp_path: Path) -> None:
    engine.transact(lambda transaction: formats.set_version(transaction, formats.CURRENT + 1))
    engine.close()
    with pytest.raises(NewerFormat, match="run the newer fedaemon that wrote it, or restore a backup"):
        LmdbEngine.open(tmp_path / "data")


def test_older_formats_are_upgraded_step_by_step(engine: LmdbEngine) -> None:
    migrations = {
        1: lambda transaction: transaction.put(("one",), b""),
        2: lambda transaction: transaction.put(("two",), b""),
    }

    engine.transact(lambda transaction: formats.set_version(transaction, 1))

    def upgrade(transaction: Transaction) -> bool:
        return formats.upgrade(transaction, current=3, migrations=migrations)

    assert engine.transact(upgrade) is True
    assert engine.transact(upgrade) is False
    assert engine.view(formats.version) == 3
    assert engine.view(everything) == {("one",): b"", ("two",): b""}


def test_a_migration_that_fails_leaves_the_old_format(engine: LmdbEngine) -> None:
    engine.transact(lambda transaction: formats.set_version(transaction, 1))
    with pytest.raises(ZeroDivisionError):
        engine.transact(lambda t: formats.upgrade(t, current=2, migrations={1: put_and_fail}))
    assert engine.view(formats.version) == 1
    assert engine.view(everything) == {}


def test_a_database_of_another_program_is_refused(engine: LmdbEngine, tmp_path: Path) -> None:
    engine.transact(lambda transaction: transaction.delete((FORMAT,)))
    engine.transact(put(("other",)))
    engine.close()
    with pytest.raises(StoreError, match="was not made by fedaemon"):
        LmdbEngine.open(tmp_path / "data")


def test_a_missing_store_is_not_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store in"):
        LmdbEngine.open(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_second_opening_in_the_process_is_refused(engine: LmdbEngine, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="open in this process already"):
        LmdbEngine.open(tmp_path / "data")
    engine.transact(put(("still", "usable")))


def test_records_outlive_closing(engine: LmdbEngine, tmp_path: Path) -> None:
    engine.transact(put(("a", 1), records.encode({"x": 1})))
    engine.close()
    again = LmdbEngine.open(tmp_path / "data", create=False)
    assert again.view(lambda snapshot: snapshot.get(("a", 1))) == records.encode({"x": 1})
    again.close()


def test_only_the_owner_can_read_the_files(engine: LmdbEngine) -> None:
    layout = engine.layout
    modes = {path.name: path.stat().st_mode & 0o777 for path in (layout.store, layout.blobs, layout.spool)}
    assert modes == {"store": 0o700, "blobs": 0o700, "spool": 0o700}
    assert {path.stat().st_mode & 0o777 for path in layout.store.iterdir()} == {0o600}


def test_an_address_space_that_is_too_small_gives_a_smaller_map(tmp_path: Path) -> None:
    engine = LmdbEngine.open(tmp_path, map_size=1 << 60, reserve_octets=0)
    engine.transact(put(("a",)))
    assert engine.view(everything) == {("a",): b"v"}
    engine.close()


def test_a_closed_engine_says_so(engine: LmdbEngine) -> None:
    engine.close()
    with pytest.raises(StoreError, match="closed"):
        engine.view(everything)
    with pytest.raises(StoreError, match="closed"):
        engine.transact(put(("a",)))


# Room


def test_below_the_reserve_growth_is_refused_with_452(tmp_path: Path) -> None:
    times = iter([0.0, 0.5, 2.0])
    space = DiskSpace(tmp_path, 1 << 60, clock=lambda: next(times))
    with pytest.raises(StoreFull) as caught:
        space.check()
    assert (caught.value.code, caught.value.status) == (452, "4.3.1")
    space.reserve_octets = 0
    space.check()
    with pytest.raises(StoreFull):
        space.check(1 << 60)


def test_below_the_reserve_outcomes_are_still_recorded(tmp_path: Path) -> None:
    engine = LmdbEngine.open(tmp_path, reserve_octets=1 << 60)
    with pytest.raises(StoreFull):
        engine.check_space()
    engine.transact(put(("outcome",)))
    assert engine.view(everything) == {("outcome",): b"v"}
    engine.close()


# Other processes

CHILD = """
import sys
from pathlib import Path
from fedaemon.store.lmdb_engine import LmdbEngine
engine = LmdbEngine.open(Path(sys.argv[1]), map_size=int(sys.argv[2]))
for number in range(int(sys.argv[3])):
    engine.transact(lambda transaction: transaction.put(("child", number), bytes(100_000)))
engine.close()
"""


def child(data_dir: Path, map_size: int, count: int) -> None:
    subprocess.run([sys.executable, "-c", CHILD, str(data_dir), str(map_size), str(count)], check=True)


def test_commits_of_another_process_are_seen_and_noticed(engine: LmdbEngine, tmp_path: Path) -> None:
    start = engine.foreign_commits()
    engine.transact(put(("own",)))
    assert engine.foreign_commits() == start
    child(tmp_path / "data", 1 << 40, 1)
    assert engine.view(lambda snapshot: snapshot.get(("child", 0))) is not None
    noticed = engine.foreign_commits()
    assert noticed > start
    assert engine.foreign_commits() == noticed


def test_a_foreign_commit_between_two_of_our_own_is_noticed(engine: LmdbEngine, tmp_path: Path) -> None:
    start = engine.foreign_commits()
    engine.transact(put(("own",)))
    child(tmp_path / "data", 1 << 40, 1)
    engine.transact(put(("own",)))
    assert engine.foreign_commits() > start


def test_growth_beyond_our_map_by_another_process_is_followed(tmp_path: Path) -> None:
    engine = LmdbEngine.open(tmp_path, map_size=1 << 20, reserve_octets=0)
    child(tmp_path, 1 << 30, 30)
    assert len(engine.view(everything)) == 30
    engine.transact(put(("own",)))
    assert len(engine.view(everything)) == 31
    engine.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_root_leaves_no_files_of_its_own_in_a_data_directory_of_another_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(StoreError, match=r"belongs to user 12345; run fedaemon as that user, not as root"):
        LmdbEngine.open(tmp_path, reserve_octets=0)
    assert list(tmp_path.iterdir()) == []
