"""What the upkeep keeps of messages serves the first search, with the threads of the real store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from fedaemon.mailbox import text_index, upkeep_gaps
from fedaemon.mailbox.state import Change
from fedaemon.mailbox.upkeep import Upkeep
from fedaemon.mailbox.upkeep_pace import PAUSE_S
from fedaemon.store.async_store import AsyncStore
from tests.imap.lab import Lab
from tests.imap.mail import message, seal
from tests.mailbox.upkeep_world import KEEP
from tests.store.loop import PATIENCE_S, Loop


def test_the_first_search_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With threads and the writer of the real store."""
    lab, loop = Lab(tmp_path / "store"), Loop()
    for first in range(0, 120, 40):
        lab.deliver(*[message(f"Number {n}", body=f"word{n}. " + "x" * n) for n in range(first, first + 40)])
    assert seal(lab, 80)
    store = AsyncStore(lab.store, loop, loop.run_in_thread)
    store.start()
    threads: list[threading.Thread] = []

    def in_thread(function: Any) -> Deferred[Any]:
        fired: Deferred[Any] = Deferred()

        def run() -> None:
            value = function()
            loop.callFromThread(fired.callback, value)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return fired

    upkeep = Upkeep(store, store.blobs, loop, loop.seconds, in_thread, KEEP)
    store.on_commit(upkeep.changed)
    upkeep.start()
    mailbox_id = lab.mailbox_id()
    _wait(loop, lambda: lab.store.view(lambda s: upkeep_gaps.next_gaps(s, mailbox_id)) is None)
    assert seal(lab, 40)
    upkeep.changed({Change(mailbox_id, lab.account)})
    _wait(loop, lambda: lab.store.view(lambda s: upkeep_gaps.next_gaps(s, mailbox_id)) is None)
    upkeep.stop()
    loop.wait(store.stop())
    assert len(threads) > 6

    def reading_is_wrong(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(text_index, "read_search_text", reading_is_wrong)
    client = lab.client(select="INBOX")
    assert client.send(b"SEARCH TEXT word7.")[0] == b"* SEARCH 8"
    assert client.send(b"SEARCH BODY word119.")[0] == b"* SEARCH 120"
    assert client.send(b"SEARCH HEADER Subject 44")[0] == b"* SEARCH 45"
    lab.close()


def _wait(loop: Loop, done: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE_S
    while not done():
        assert monotonic() < end
        loop.advance(PAUSE_S)
        while not loop._calls.empty():
            loop.turn()
