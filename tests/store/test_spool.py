"""The spool: small messages in memory, large ones in a file, back-pressure, failures."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute
from twisted.python.failure import Failure

from fedaemon.store import spool as spool_module
from fedaemon.store.content import MemoryContent, OpenFileContent, whole
from fedaemon.store.errors import StoreError, StoreFull
from fedaemon.store.faults import Faults
from fedaemon.store.spool import Spool


class Threads:
    """Threads that run when told."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def run(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        deferred: Deferred[Any] = Deferred()
        self.waiting.append((deferred, function, arguments))
        return deferred

    def work(self) -> None:
        """Do what waits, and what comes of it."""
        while self.waiting:
            deferred, function, arguments = self.waiting.pop(0)
            execute(function, *arguments).chainDeferred(deferred)


def result(deferred: Deferred[Any]) -> Any:
    """Return what *deferred* has fired with, or raise it."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "has not fired"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


def test_a_small_message_stays_in_memory(tmp_path: Path) -> None:
    threads = Threads()
    spool = Spool(tmp_path, threads.run, memory_limit=10)
    assert spool.write(b"12345") is None
    assert spool.write(b"67890") is None
    content = result(spool.finish())
    assert isinstance(content, MemoryContent)
    assert whole(content) == b"1234567890"
    assert threads.waiting == []


@settings(max_examples=50)
@given(
    pieces=st.lists(st.binary(max_size=30), max_size=20),
    work=st.lists(st.booleans(), min_size=20, max_size=20),
)
def test_any_split_gives_the_same_content_with_any_timing_of_the_disk(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], work: list[bool]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_module, "WRITE_OCTETS", 20)
        patch.setattr(spool_module, "PENDING_OCTETS", 60)
        threads = Threads()
        spool = Spool(tmp_path_factory.getbasetemp(), threads.run, memory_limit=40)
        for piece, now in zip(pieces, work, strict=False):
            paused = spool.write(piece)
            if now or (paused is not None and not paused.called):
                threads.work()
            assert paused is None or paused.called
        finished = spool.finish()
        threads.work()
        content = result(finished)
        assert whole(content) == b"".join(pieces)
        assert spool.size == content.size == sum(map(len, pieces))
        assert isinstance(content, OpenFileContent) == (content.size > 40)


def test_a_producer_faster_than_the_disk_is_paused_at_the_limit(tmp_path: Path) -> None:
    threads = Threads()
    spool = Spool(tmp_path, threads.run, memory_limit=0)
    piece = bytes(64 << 10)
    written = 0
    while (paused := spool.write(piece)) is None:
        written += len(piece)
    assert written <= spool_module.PENDING_OCTETS + spool_module.WRITE_OCTETS
    assert not paused.called
    threads.work()
    assert paused.called


def test_the_file_has_no_name(tmp_path: Path) -> None:
    threads = Threads()
    spool = Spool(tmp_path, threads.run, memory_limit=0)
    spool.write(bytes(spool_module.WRITE_OCTETS))
    threads.work()
    assert list(tmp_path.iterdir()) == []
    finished = spool.finish()
    assert len(whole(result(finished))) == spool_module.WRITE_OCTETS


@pytest.mark.parametrize(("code", "kind"), [(errno.ENOSPC, StoreFull), (errno.EIO, StoreError)])
def test_a_failing_disk_is_told_at_the_end_and_the_rest_is_dropped(
    tmp_path: Path, code: int, kind: type[StoreError]
) -> None:
    faults, threads = Faults(), Threads()
    faults.fail("spool.write", code)
    spool = Spool(tmp_path, threads.run, memory_limit=0, faults=faults)
    paused = spool.write(bytes(spool_module.PENDING_OCTETS))
    assert paused is None or not paused.called
    threads.work()
    assert spool.write(b"more") is None
    with pytest.raises(kind) as caught:
        result(spool.finish())
    assert type(caught.value) is kind
    assert threads.waiting == []


@pytest.mark.parametrize("busy", [True, False])
def test_discarding_fires_those_who_wait(tmp_path: Path, busy: bool) -> None:
    threads = Threads()
    spool = Spool(tmp_path, threads.run, memory_limit=0)
    spool.write(bytes(spool_module.WRITE_OCTETS))
    paused = spool.write(bytes(spool_module.PENDING_OCTETS))
    assert paused is not None
    if not busy:
        threads.work()
    spool.discard()
    spool.discard()
    assert paused.called
    threads.work()
    assert spool._file is None


def test_discarding_while_the_end_is_awaited_fails_it(tmp_path: Path) -> None:
    threads = Threads()
    spool = Spool(tmp_path, threads.run, memory_limit=0)
    spool.write(b"x")
    finished = spool.finish()
    spool.discard()
    with pytest.raises(StoreError, match="discarded"):
        result(finished)
    threads.work()
    assert spool._file is None


def test_content_handed_out_survives_discarding_the_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path, execute, memory_limit=0)
    spool.write(b"content")
    content = result(spool.finish())
    spool.discard()
    assert whole(content) == b"content"
