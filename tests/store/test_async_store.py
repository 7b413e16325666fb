"""The store behind Deferreds: group commit with a real writer thread, order, failures, foreign commits."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from fedaemon import counters
from fedaemon.store import async_store
from fedaemon.store.async_store import AsyncStore
from fedaemon.store.blobs import INLINE_OCTETS
from fedaemon.store.content import MemoryContent
from fedaemon.store.errors import StoreError, StoreFull, StoreInUse
from fedaemon.store.faults import Faults
from fedaemon.store.interface import Transaction
from fedaemon.store.lmdb_engine import LmdbEngine
from tests.store.loop import Loop


def put(number: int) -> Callable[[Transaction], int]:
    def function(transaction: Transaction) -> int:
        transaction.put(("n", number), b"")
        return number

    return function


def put_and_fail(transaction: Transaction) -> None:
    transaction.put(("n", 999), b"")
    raise ZeroDivisionError


def numbers(store: AsyncStore) -> list[Any]:
    return store.engine.view(lambda snapshot: [key[1] for key, _ in snapshot.scan(("n",))])


def test_a_write_fires_when_it_is_durable_and_not_before(store: AsyncStore, loop: Loop) -> None:
    seen: list[list[Any]] = []
    write = store.write(put(1))
    write.addCallback(lambda _: seen.append(numbers(store)))
    assert not write.called
    loop.wait(write)
    assert seen == [[1]]


def test_writes_that_wait_together_share_one_commit(store: AsyncStore, loop: Loop) -> None:
    before = store.statistics.commits
    assert loop.wait(gatherResults([store.write(put(n)) for n in range(50)])) == list(range(50))
    assert store.statistics.commits == before + 1
    assert store.statistics.last_group == 50
    assert numbers(store) == list(range(50))


def test_a_write_waits_for_no_time_to_pass(store: AsyncStore, loop: Loop) -> None:
    loop.wait(store.write(put(1)))
    assert loop.seconds() == 0


def test_the_writer_is_woken_once_for_the_writes_of_a_turn(store: AsyncStore, loop: Loop) -> None:
    timers = len(loop.getDelayedCalls())
    writes = [store.write(put(n)) for n in range(3)]
    assert len(loop.getDelayedCalls()) == timers + 1
    loop.wait(gatherResults(writes))
    assert len(loop.getDelayedCalls()) == timers


def test_after_company_a_write_waits_a_moment_for_more(store: AsyncStore, loop: Loop) -> None:
    loop.wait(gatherResults([store.write(put(n)) for n in range(async_store.ALONE + 1)]))
    before = store.statistics.commits
    first = store.write(put(10))
    loop.advance(async_store.GATHER_S / 2)
    second = store.write(put(11))
    loop.advance(async_store.GATHER_S / 2)
    loop.wait(gatherResults([first, second]))
    assert store.statistics.commits == before + 1
    # Two are no company: whoever comes now is not kept waiting.
    loop.wait(store.write(put(12)))
    assert loop.seconds() == async_store.GATHER_S


def test_a_write_made_by_the_news_of_another_is_done_too(store: AsyncStore, loop: Loop) -> None:
    first = store.write(put(1))
    second: Deferred[int] = Deferred()
    first.addCallback(lambda _: store.write(put(2)).chainDeferred(second))
    assert loop.wait(second) == 2
    assert numbers(store) == [1, 2]


def test_more_writes_than_a_group_takes_are_all_done_in_order(store: AsyncStore, loop: Loop) -> None:
    order: list[int] = []
    writes = [store.write(put(n)).addCallback(order.append) for n in range(async_store.GROUP_LARGEST * 2 + 5)]
    loop.wait(gatherResults(writes))
    assert order == list(range(async_store.GROUP_LARGEST * 2 + 5))
    assert store.statistics.largest_group == async_store.GROUP_LARGEST


def test_functions_that_take_long_leave_the_rest_to_the_next_turn(
    store: AsyncStore, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_store, "GROUP_SECONDS", -1.0)
    loop.wait(gatherResults([store.write(put(n)) for n in range(3)]))
    assert store.statistics.largest_group == 1
    assert numbers(store) == [0, 1, 2]


def test_only_the_caller_of_a_failing_function_fails(store: AsyncStore, loop: Loop) -> None:
    good, bad, other = store.write(put(1)), store.write(put_and_fail), store.write(put(2))
    assert loop.wait(good) == 1
    with pytest.raises(ZeroDivisionError):
        loop.wait(bad)
    assert loop.wait(other) == 2
    assert numbers(store) == [1, 2]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["put", "fail", "refuse", "cancel"]), max_size=12))
def test_any_mixture_of_fates_gives_each_caller_its_own(
    tmp_path_factory: pytest.TempPathFactory, fates: list[str]
) -> None:
    loop = Loop()
    engine = LmdbEngine.open(tmp_path_factory.mktemp("mixture"), reserve_octets=0)
    store = AsyncStore(engine, loop, loop.run_in_thread)
    store.start()

    def refuse(transaction: Transaction) -> None:
        raise KeyError

    functions = {"fail": put_and_fail, "refuse": refuse}
    results: dict[int, Any] = {}
    for number, fate in enumerate(fates):
        write = store.write(functions.get(fate, put(number)))
        write.addCallbacks(
            lambda value, number=number: results.update({number: value}),
            lambda failure, number=number: results.update({number: failure.type}),
        )
        if fate == "cancel":
            write.cancel()
    loop.wait(store.stop())
    errors = {"fail": ZeroDivisionError, "refuse": KeyError, "cancel": CancelledError}
    assert results == {number: errors.get(fate, number) for number, fate in enumerate(fates)}
    assert numbers(store) == [number for number, fate in enumerate(fates) if fate == "put"]
    engine.close()


def test_a_cancelled_write_that_has_run_does_not_keep_the_rest_from_their_news(
    store: AsyncStore, loop: Loop
) -> None:
    writes: list[Deferred[int]] = []

    def cancel_the_first(transaction: Transaction) -> int:
        writes[0].cancel()
        return 7

    writes += [store.write(put(1)), store.write(cancel_the_first)]
    assert loop.wait(writes[1]) == 7
    with pytest.raises(CancelledError):
        loop.wait(writes[0])
    assert numbers(store) == [1]


def test_a_function_that_returns_a_deferred_is_told_so(store: AsyncStore, loop: Loop) -> None:
    wrong: Deferred[Deferred[None]] = store.write(lambda transaction: Deferred())
    right = store.write(put(1))
    with pytest.raises(TypeError, match="returned a Deferred"):
        loop.wait(wrong)
    assert loop.wait(right) == 1


def test_a_failed_commit_fails_the_whole_group_and_the_next_works(
    store: AsyncStore, loop: Loop, faults: Faults
) -> None:
    faults.fail("commit", errno.ENOSPC)
    writes = [store.write(put(1)), store.write(put(2))]
    for write in writes:
        with pytest.raises(StoreFull):
            loop.wait(write)
    assert numbers(store) == []
    assert loop.wait(store.write(put(3))) == 3


def test_commits_are_timed_and_failures_remembered_until_one_works(
    store: AsyncStore, loop: Loop, faults: Faults
) -> None:
    """Health and metrics see how long commits take, how many share one, and that the disk refuses."""
    timed = counters.value("store_commit_seconds")
    failed = counters.value("store_commits_failed_total")
    loop.wait(gatherResults([store.write(put(n)) for n in range(async_store.ALONE)]))
    seconds, size = store.statistics.latest[-1]
    assert (seconds > 0, size) == (True, async_store.ALONE)
    assert counters.value("store_commit_seconds") == timed + 1
    loop.wait(store.write(lambda transaction: None))
    assert counters.value("store_commit_seconds") == timed + 1, "nothing was committed"
    faults.fail("commit", errno.EIO)
    with pytest.raises(StoreError):
        loop.wait(store.write(put(4)))
    assert store.statistics.failure is not None
    assert counters.value("store_commits_failed_total") == failed + 1
    loop.wait(store.write(put(5)))
    assert store.statistics.failure is None
    assert store.busy_s == 0


def test_a_transaction_that_cannot_begin_fails_those_who_wait(
    store: AsyncStore, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin() -> None:
        raise StoreError("no")

    with monkeypatch.context() as patch:
        patch.setattr(store.engine, "begin", begin)
        write = store.write(put(1))
        with pytest.raises(StoreError, match="no"):
            loop.wait(write)
    assert loop.wait(store.write(put(2))) == 2


def test_a_bug_in_the_writer_is_one_group_s_failure_not_its_end(
    store: AsyncStore, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit(transaction: Any) -> None:
        store.engine.abort(transaction)
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(store.engine, "commit", commit)
        write = store.write(put(1))
        with pytest.raises(StoreError, match="MemoryError"):
            loop.wait(write)
    assert loop.wait(store.write(put(2))) == 2


def test_functions_run_in_the_reactor_thread_and_after_commit_in_the_writer_s(
    store: AsyncStore, loop: Loop
) -> None:
    threads: list[str] = []

    def function(transaction: Transaction) -> None:
        threads.append(threading.current_thread().name)
        transaction.put(("a",), b"")
        transaction.after_commit(lambda: threads.append(threading.current_thread().name))

    loop.wait(store.write(function))
    assert threads == [threading.current_thread().name, "store-writer"]


def test_what_commits_announce_is_told_before_the_deferreds_fire(store: AsyncStore, loop: Loop) -> None:
    told: list[object] = []
    store.on_commit(lambda subjects: 1 // 0)  # type: ignore[arg-type]
    store.on_commit(lambda subjects: told.extend(sorted(map(str, subjects))))

    def function(transaction: Transaction) -> None:
        transaction.put(("a",), b"")
        for subject in "bab":
            transaction.announce(subject)

    written = store.write(function)
    written.addCallback(lambda _: told.append("fired"))
    loop.wait(written)
    assert told == ["a", "b", "fired"]


def test_commits_that_announce_nothing_and_those_that_fail_are_silent(store: AsyncStore, loop: Loop) -> None:
    told: list[object] = []
    store.on_commit(told.append)

    def failing(transaction: Transaction) -> None:
        transaction.announce("never")
        raise ZeroDivisionError

    loop.wait(store.write(put(1)))
    with pytest.raises(ZeroDivisionError):
        loop.wait(store.write(failing))
    assert told == []


def test_the_engine_refuses_the_reactor_thread_instead_of_waiting_for_itself(store: AsyncStore) -> None:
    with pytest.raises(RuntimeError, match=r"use store\.write"):
        store.engine.transact(put(1))


def test_another_thread_may_use_the_engine_meanwhile(store: AsyncStore, loop: Loop) -> None:
    other = threading.Thread(target=store.engine.transact, args=(put(1),))
    other.start()
    loop.wait(store.write(put(2)))
    other.join()
    assert numbers(store) == [1, 2]


def test_stopping_finishes_what_waits_and_refuses_what_comes(engine: LmdbEngine, loop: Loop) -> None:
    store = AsyncStore(engine, loop, loop.run_in_thread)
    store.start()
    write = store.write(put(1))
    stopped = store.stop()
    late = store.write(put(2))
    loop.wait(stopped)
    assert loop.wait(write) == 1
    with pytest.raises(StoreError, match="stopping"):
        loop.wait(late)
    assert numbers(store) == [1]
    assert loop.getDelayedCalls() == []


def test_stopping_finishes_more_than_one_group(engine: LmdbEngine, loop: Loop) -> None:
    store = AsyncStore(engine, loop, loop.run_in_thread)
    store.start()
    writes = [store.write(put(n)) for n in range(async_store.GROUP_LARGEST + 10)]
    loop.wait(store.stop())
    assert len(loop.wait(gatherResults(writes))) == len(numbers(store)) == async_store.GROUP_LARGEST + 10


def test_reads_answer_at_once_and_fail_as_deferreds(store: AsyncStore, loop: Loop) -> None:
    loop.wait(store.write(put(1)))
    assert store.read(lambda snapshot: snapshot.get(("n", 1))).result == b""
    with pytest.raises(ZeroDivisionError):
        loop.wait(store.read(lambda snapshot: 1 // 0))


def test_a_second_daemon_on_the_directory_is_refused(store: AsyncStore) -> None:
    with pytest.raises(StoreInUse, match="running on"):
        AsyncStore(store.engine, Loop()).start()


def test_large_content_is_refused_below_the_reserve(store: AsyncStore, loop: Loop) -> None:
    store.engine.space.reserve_octets = 1 << 60
    with pytest.raises(StoreFull):
        loop.wait(store.stage(MemoryContent(bytes(INLINE_OCTETS + 1))))
    assert loop.wait(store.stage(MemoryContent(b"small"))).size == 5


def test_staged_content_is_added_or_discarded(store: AsyncStore, loop: Loop) -> None:
    content = MemoryContent(b"x" * (INLINE_OCTETS + 1))
    kept, thrown = loop.wait(store.stage(content)), loop.wait(store.stage(content))
    blob_id = loop.wait(store.write(lambda transaction: store.blobs.add(transaction, kept)))
    loop.wait(store.discard(thrown))
    files = [path.name for path in store.engine.layout.blobs.rglob("*") if path.is_file()]
    assert files == [blob_id]


CHILD = """
import sys
from pathlib import Path
from fedaemon.store.lmdb_engine import LmdbEngine
engine = LmdbEngine.open(Path(sys.argv[1]))
engine.transact(lambda transaction: transaction.put(("child",), b""))
engine.close()
"""


def test_commits_of_other_processes_are_announced_and_our_own_are_not(
    store: AsyncStore, loop: Loop, tmp_path: Path
) -> None:
    noticed: list[int] = []
    store.on_foreign_commit(lambda: 1 // 0)  # type: ignore[arg-type]
    store.on_foreign_commit(lambda: noticed.append(1))
    loop.wait(store.write(put(1)))
    loop.advance(async_store.POLL_S)
    assert noticed == []
    subprocess.run([sys.executable, "-c", CHILD, str(tmp_path / "data")], check=True)
    loop.advance(async_store.POLL_S)
    assert noticed == [1]
    loop.advance(async_store.POLL_S)
    assert noticed == [1]
