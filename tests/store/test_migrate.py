"""A store of an older format is brought up to date when it is opened."""

from __future__ import annotations

from typing import Any

from fedaemon.delivery.check import DeliveryChecker
from fedaemon.delivery.listing import messages
from fedaemon.delivery.selection import Filter
from fedaemon.store import formats
from fedaemon.store.records import encode
from tests.delivery.support import HOUR, START_MS, World
from tests.fakes import MemoryEngine


def old_store(transaction: Any) -> None:
    """Write what format 1 had: a message that waits, a local one, a finished and a redacted one."""
    formats.set_version(transaction, 1)
    base = {"sender": "alice@example.test", "accepted_ms": START_MS, "size": 7, "recipients": 1}

    def put(queue_id: str, message: dict[str, Any], recipient: dict[str, Any]) -> None:
        transaction.put(("message", queue_id), encode({**base, "blob": f"b{queue_id}", **message}))
        transaction.put(("recipient", queue_id, 0), encode(recipient))
        transaction.put(("blob", f"b{queue_id}"), encode({"references": 1, "size": 7, "place": "inline"}))
        transaction.put(("bytes", f"b{queue_id}"), b"a: b\r\n\r\n"[:7])

    remote = {"address": "carol@remote.test", "destination": "remote.test"}
    local = {"address": "bob@example.test", "destination": "@local"}
    alice = {"account": "alice@example.test"}
    due = {"next_attempt_ms": START_MS}
    put("1" * 16, alice, {**remote, **due, "state": "deferred"})
    put("2" * 16, {}, {**local, **due})
    put("3" * 16, {**alice, "finished_ms": 5}, {**remote, "state": "delivered", "finished_ms": 5})
    put("4" * 16, {"finished_ms": 6, "redacted_ms": 7}, {**remote, "state": "bounced", "finished_ms": 6})
    transaction.put(("destination", "remote.test", START_MS, "1" * 16, 0), b"")
    transaction.put(("destination", "@local", START_MS, "2" * 16, 0), b"")
    transaction.put(("due", START_MS, "remote.test"), b"")
    transaction.put(("finished", 5, "3" * 16), b"")


def test_the_queue_of_format_1_goes_on() -> None:
    """Indexes and records agree afterwards, and what waited is delivered."""
    engine = MemoryEngine()
    engine.transact(old_store)
    while engine.transact(formats.upgrade):
        pass
    assert engine.view(formats.version) == formats.CURRENT
    assert engine.view(lambda snapshot: list(DeliveryChecker().problems(snapshot))) == []
    world = World(engine)
    world.manager.start()
    world.manager.wake()
    world.pass_time(HOUR)
    rows = {row["id"][0]: row["status"] for row in world.view(lambda s: list(messages(s, Filter())))}
    assert rows == {"1": "sent", "2": "sent", "3": "sent", "4": "bounced"}
