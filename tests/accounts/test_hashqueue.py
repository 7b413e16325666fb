"""The queue of hashes: in order, few at a time, bounded, and one hash for equal questions."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError

from fedaemon.accounts.hashqueue import MAX_WAITING, MAX_WAITING_OF_ONE, HashQueue
from fedaemon.errors import Refused, Unavailable
from tests.accounts.world import Threads, results_of


def nothing() -> None:
    """A check that never refuses."""


def test_as_many_at_a_time_as_there_are_threads() -> None:
    """Two run, the third starts when one is done, and each gets its own answer."""
    threads = Threads()
    queue = HashQueue(threads, 2)
    results = [
        results_of(queue.submit(b"%d" % number, "net", nothing, lambda number=number: f"hash {number}"))  # type: ignore[misc]
        for number in range(3)
    ]
    assert threads.started == 2
    threads.run()
    assert threads.started == 3 and results == [["hash 0"], [], []]
    threads.run()
    threads.run()
    assert results == [["hash 0"], ["hash 1"], ["hash 2"]]


def test_equal_questions_are_one_hash() -> None:
    """Fifty connections with the same password cost one hash, and all are answered."""
    threads = Threads()
    queue = HashQueue(threads, 1)
    results = [results_of(queue.submit(b"same", "net", nothing, lambda: "hash")) for _ in range(50)]
    threads.run()
    assert threads.started == 1
    assert results == [["hash"]] * 50


def test_one_network_fills_only_its_part() -> None:
    """A network has twenty places; the next question of it fails at once with 454, another's waits."""
    threads = Threads()
    queue = HashQueue(threads, 1)
    for number in range(MAX_WAITING_OF_ONE + 1):
        queue.submit(b"%d" % number, "hostile", nothing, lambda: None)
    refused = results_of(queue.submit(b"more", "hostile", nothing, lambda: None))
    assert isinstance(refused[0], Unavailable)
    assert (refused[0].code, refused[0].status) == (454, "4.7.0")
    other = results_of(queue.submit(b"other", "friendly", nothing, lambda: "hash"))
    assert other == []
    threads.run()
    assert results_of(queue.submit(b"again", "hostile", nothing, lambda: None)) == []


def test_the_queue_is_bounded() -> None:
    """When all places are taken by many networks, the next one fails with 454."""
    queue = HashQueue(Threads(), 1)
    waiting = [
        results_of(queue.submit(b"%d" % number, f"net {number}", nothing, lambda: None))
        for number in range(MAX_WAITING + 1)
    ]
    assert waiting == [[]] * (MAX_WAITING + 1)
    assert isinstance(results_of(queue.submit(b"more", "net", nothing, lambda: None))[0], Unavailable)


def test_the_check_runs_right_before_the_hash() -> None:
    """What has been locked out while it waited is refused without a hash, and the next one follows."""
    threads = Threads()
    queue = HashQueue(threads, 1)
    is_locked = False

    def check() -> None:
        if is_locked:
            raise Refused("locked")

    queue.submit(b"first", "net", check, lambda: None)
    second = results_of(queue.submit(b"second", "net", check, lambda: "hash"))
    third = results_of(queue.submit(b"third", "net", nothing, lambda: "hash"))
    is_locked = True
    threads.run()
    assert isinstance(second[0], Refused)
    threads.run()
    assert third == ["hash"] and threads.started == 2


def test_a_failure_reaches_all_and_frees_the_thread() -> None:
    """A fault in the hash is told to those who asked, and the queue goes on."""
    threads = Threads()
    queue = HashQueue(threads, 1)

    def broken() -> str:
        raise MemoryError

    results = [results_of(queue.submit(b"broken", "net", nothing, broken)) for _ in range(2)]
    after = results_of(queue.submit(b"after", "net", nothing, lambda: "hash"))
    threads.run()
    threads.run()
    assert [type(result[0]) for result in results] == [MemoryError, MemoryError]
    assert after == ["hash"]


@pytest.mark.parametrize("leave", [1, 2])
def test_who_has_gone_costs_nothing(leave: int) -> None:
    """A job whose askers have all cancelled is not hashed; with one left it is, for that one."""
    threads = Threads()
    queue = HashQueue(threads, 1)
    queue.submit(b"first", "net", nothing, lambda: None)
    asked = [queue.submit(b"second", "net", nothing, lambda: "hash") for _ in range(2)]
    results = [results_of(deferred) for deferred in asked]
    for deferred in asked[:leave]:
        deferred.cancel()
    threads.run()
    assert threads.started == (2 if leave == 1 else 1)
    assert isinstance(results[0][0], CancelledError)
    if leave == 1:
        threads.run()
        assert results[1] == ["hash"]
    else:
        assert results_of(queue.submit(b"second", "net", nothing, lambda: "hash")) == []
        assert threads.started == 2
