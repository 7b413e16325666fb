"""Contents go when their time is over, histories later; headers and timelines stay until then."""

from __future__ import annotations

import email
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from fedaemon.accounts import directory
from fedaemon.accounts.records import Domain
from fedaemon.delivery import retention as module
from fedaemon.delivery.history import forget_finished, forget_message, note_finished
from fedaemon.delivery.records import State
from fedaemon.delivery.redaction import redact
from fedaemon.delivery.retention import SLICE, SOON_S, Keep, Retention, Swept, sweep
from fedaemon.delivery.suppression import Suppression, put
from fedaemon.store.content import MemoryContent
from fedaemon.store.errors import StoreError
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.spaces import BLOB_BYTES, DUE, DUPLICATE, FINISHED, REDACTED, SENT, SUPPRESSED, TOLD, TURN
from tests.delivery.over import ALICE, BOB, CONTENT, DAY_MS, NOW_MS, STRANGER, Over
from tests.fakes import MemoryStore

CAROL = "carol@remote.test"
MONTH = Keep(30 * DAY_MS, 180 * DAY_MS)
OTHER = "eve@other.test"

HINTS = (DUE, TURN)
"""Entries of the queue's calendars are removed when they are met."""


@pytest.fixture
def over() -> Over:
    return Over()


def ended(over: Over, *, account: str | None = ALICE, content: bytes = CONTENT) -> str:
    """A message that was delivered just now."""
    queue_id = over.queue(CAROL, account=account, content=content)
    over.finish(queue_id, "delivered")
    return queue_id


def swept(over: Over, keep: Keep = MONTH, domain: str = "") -> Swept:
    result: Swept = over.do(lambda transaction: sweep(transaction, over.blobs, over.now_ms, keep, domain))
    return result


def sweep_all(over: Over, keep: Keep = MONTH) -> int:
    """Sweep until nothing is left; return how many slices it took."""
    slices, result = 1, swept(over, keep)
    while result.more:
        slices, result = slices + 1, swept(over, keep, result.domain)
    return slices


def redacted(over: Over, queue_id: str) -> bool:
    message = over.message(queue_id)
    assert message is not None
    gone = b"secret" not in over.content(queue_id)
    assert gone is bool(message.redacted_ms)
    return gone


def index(over: Over) -> list[tuple[Any, ...]]:
    return sorted((key for key in over.engine.entries if key[0] in (FINISHED, REDACTED)), key=repr)


# -- What is left of a message


ENDINGS: list[tuple[tuple[State, ...], str]] = [
    (("delivered", "delivered"), "delivered to all its recipients."),
    (("delivered", "bounced"), "delivered to some of its recipients, but not to all"),
    (("bounced", "expired"), "could not be delivered to any of its recipients."),
    (("expired", "expired"), "to any of its recipients in the time it was tried for."),
    (("suppressed", "suppressed"), "was not sent to any of its recipients."),
]


@pytest.mark.parametrize(("states", "truth"), ENDINGS)
def test_the_content_becomes_a_truthful_notice(over: Over, states: tuple[State, ...], truth: str) -> None:
    """After the retention the header stands, and the body says how the message ended."""
    original = b"Subject: kept\r\nContent-Type: text/html\r\nX-Odd:  as it was\r\n\r\n<b>secret</b>\r\n"
    queue_id = over.queue(CAROL, BOB, content=original)
    over.finish(queue_id, *states)
    over.now_ms += 30 * DAY_MS
    swept(over)
    left = over.content(queue_id)
    assert b"X-Odd:  as it was\r\n" in left
    parsed = email.message_from_bytes(left)
    assert (parsed["Subject"], parsed.get_content_type()) == ("kept", "text/plain")
    body = parsed.get_payload()
    assert isinstance(body, str)
    assert truth in body
    assert "ended on 2025-07-01 12:00 UTC" in body
    assert queue_id in body
    assert over.timeline(queue_id)[-1]["event"] == "redacted"


def test_the_octets_are_freed(over: Over) -> None:
    """The queue's only reference goes with the content; what a mailbox refers to as well stays."""
    large = CONTENT + b"secret " * 10_000
    alone, shared = ended(over, content=large), ended(over, content=large)
    message = over.message(shared)
    assert message is not None
    kept = message.blob
    over.do(lambda transaction: over.blobs.retain(transaction, kept))
    blobs, octets = over.blobs_kept()
    assert (blobs, octets) == (2, 2 * len(large))
    over.now_ms += 30 * DAY_MS
    swept(over)
    blobs, octets = over.blobs_kept()
    assert blobs == 3
    assert octets == len(large) + len(over.content(alone)) + len(over.content(shared))
    assert b"secret" in b"".join(over.see(lambda snapshot: over.blobs.open(snapshot, kept)).chunks())


def test_a_lost_content_does_not_stop_the_sweep(over: Over) -> None:
    """A message whose blob is missing is redacted to a notice all the same."""
    lost, other = ended(over), ended(over)
    message = over.message(lost)
    assert message is not None
    over.do(lambda transaction: over.blobs.release(transaction, message.blob))
    sweep_all(over, Keep(0, DAY_MS))
    assert b"delivered to all" in over.content(lost)
    assert redacted(over, other)


# -- When


def test_what_is_not_due_stays(over: Over) -> None:
    """A millisecond before its time, and while a recipient waits, nothing is taken."""
    queue_id, waiting = ended(over), over.queue(CAROL)
    over.now_ms += 30 * DAY_MS - 1
    sweep_all(over)
    assert not redacted(over, queue_id)
    over.now_ms += 1
    sweep_all(over)
    assert redacted(over, queue_id)
    assert not redacted(over, waiting)


def test_each_domain_has_its_own_retention(over: Over) -> None:
    """Shorter, longer, none at all; mail without an account, and of a domain that is gone, as the settings say."""
    domains = {"a.test": 0, "b.test": 10 * 86_400, "c.test": 90 * 86_400, "d.test": None}
    for name, retention_s in domains.items():
        made = Domain(name, retention_s=retention_s)
        over.do(lambda transaction, made=made: directory.add_domain(transaction, made))
    messages = {name: ended(over, account=f"x@{name}") for name in [*domains, "gone.test"]}
    messages["nobody"] = ended(over, account=None)
    seen: dict[str, int] = {}
    for day in (0, 9, 10, 29, 30, 89, 90):
        over.now_ms = NOW_MS + day * DAY_MS
        sweep_all(over)
        for name, queue_id in messages.items():
            if redacted(over, queue_id):
                seen.setdefault(name, day)
    assert seen == {"a.test": 0, "b.test": 10, "c.test": 90, "d.test": 30, "gone.test": 30, "nobody": 30}


def test_a_setting_that_changes_holds_for_what_is_over(over: Over) -> None:
    """Of the domain and of the server, shorter and longer."""
    first = ended(over)
    over.now_ms += 5 * DAY_MS
    sweep_all(over)
    assert not redacted(over, first)
    over.do(lambda transaction: directory.put_domain(transaction, Domain("example.test", retention_s=86_400)))
    sweep_all(over)
    assert redacted(over, first)
    second = ended(over, account=None)
    over.now_ms += 5 * DAY_MS
    sweep_all(over, Keep(6 * DAY_MS, 180 * DAY_MS))
    assert not redacted(over, second)
    sweep_all(over, Keep(4 * DAY_MS, 180 * DAY_MS))
    assert redacted(over, second)


# -- History


def test_history_goes_later_and_completely(over: Over) -> None:
    """Message, recipients, timeline, blob and index: nothing is left but what is not over."""
    before = set(over.engine.entries)
    ended(over)
    over.now_ms += 30 * DAY_MS
    sweep_all(over)
    over.now_ms = NOW_MS + 180 * DAY_MS - 1
    sweep_all(over)
    assert len(index(over)) == 1
    over.now_ms += 1
    sweep_all(over)
    assert {key for key in over.engine.entries if key[0] not in HINTS} == before


def test_history_lasts_as_long_as_the_content(over: Over) -> None:
    """A domain that keeps contents longer than histories are kept does not lose them early."""
    long = Domain("example.test", retention_s=300 * 86_400)
    over.do(lambda transaction: directory.put_domain(transaction, long))
    queue_id = ended(over)
    over.now_ms += 299 * DAY_MS
    sweep_all(over)
    assert not redacted(over, queue_id)
    over.now_ms += DAY_MS
    sweep_all(over)
    assert over.message(queue_id) is None


def test_the_index_follows_the_message(over: Over) -> None:
    """FINISHED by domain, then REDACTED, each by the time of the end; forgetting takes either away."""
    one, two = ended(over), ended(over)
    finished = [(FINISHED, "example.test", NOW_MS, each) for each in sorted((one, two))]
    assert index(over) == finished
    over.do(lambda transaction: forget_message(transaction, over.blobs, one))
    over.now_ms += 31 * DAY_MS
    sweep_all(over)
    assert index(over) == [(REDACTED, NOW_MS, two)]
    over.do(lambda transaction: forget_message(transaction, over.blobs, two))
    assert index(over) == []
    assert over.blobs_kept() == (0, 0)


def test_forgetting_what_waits(over: Over) -> None:
    """Waiting recipients leave the queue's indexes; how many there were is told."""
    empty = set(over.engine.entries)
    queue_id = over.queue(CAROL, BOB)
    assert over.do(lambda transaction: forget_message(transaction, over.blobs, queue_id)) == 2
    assert {key for key in over.engine.entries if key[0] not in HINTS} == empty
    assert over.do(lambda transaction: forget_message(transaction, over.blobs, queue_id)) == 0


def test_an_entry_without_a_message_is_removed(over: Over) -> None:
    """Whatever became of the message, the sweep does not meet its entry twice."""
    queue_id = ended(over)
    message = over.message(queue_id)
    assert message is not None
    over.do(lambda transaction: forget_message(transaction, over.blobs, queue_id))
    over.do(lambda transaction: note_finished(transaction, message, queue_id, NOW_MS))
    over.do(lambda transaction: transaction.put((REDACTED, NOW_MS, queue_id), b""))
    over.now_ms += 200 * DAY_MS
    sweep_all(over)
    assert index(over) == []
    over.do(lambda transaction: note_finished(transaction, message, queue_id, NOW_MS))
    over.do(lambda transaction: forget_finished(transaction, message, queue_id))
    assert index(over) == []


def test_redaction_moves_the_entry_by_itself(over: Over) -> None:
    """Whoever redacts leaves the index as it should be; a second time, and before the end, nothing happens."""
    queue_id, waiting = ended(over), over.queue(CAROL)
    for each in (queue_id, queue_id, waiting):
        over.do(lambda transaction, each=each: redact(transaction, over.blobs, each, NOW_MS))
    assert index(over) == [(REDACTED, NOW_MS, queue_id)]
    assert [entry["event"] for entry in over.timeline(queue_id)].count("redacted") == 1
    assert not redacted(over, waiting)


# -- In slices


def test_a_long_backlog_is_done_in_slices(over: Over) -> None:
    """One transaction redacts, and forgets, no more than a slice; the rest comes with the next ones."""
    for number in range(SLICE + 10):
        ended(over, account=f"x@d{number % 3}.test")
    over.now_ms += 30 * DAY_MS
    assert swept(over) == Swept(True, "d2.test")
    assert sum(key[0] == REDACTED for key in index(over)) == SLICE
    assert swept(over, domain="d2.test") == Swept(False, "")
    assert sum(key[0] == REDACTED for key in index(over)) == SLICE + 10
    over.now_ms += 180 * DAY_MS
    assert swept(over) == Swept(True, "")
    assert len(index(over)) == 10
    assert swept(over) == Swept(False, "")
    assert index(over) == []


def test_many_domains_are_gone_through_in_slices(over: Over, monkeypatch: pytest.MonkeyPatch) -> None:
    """One transaction looks at so many domains; none is left out, also where names begin alike."""
    monkeypatch.setattr(module, "DOMAINS", 2)
    names = ["a.test", "a.test.b", "a.test-c", "b", "x.test"]
    messages = [ended(over, account=f"x@{name}") for name in names]
    over.now_ms += 30 * DAY_MS
    assert sweep_all(over) == 3
    assert all(redacted(over, queue_id) for queue_id in messages)


def test_the_real_store_has_the_order_that_the_sweep_relies_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seek from domain to domain, and the file of a large content that goes with it."""
    monkeypatch.setattr(module, "DOMAINS", 2)
    engine = LmdbEngine.open(tmp_path)
    over = Over(engine)
    names = ["a.test", "a.test.b", "a.test-c", "b", "x.test"]
    messages = [ended(over, account=f"x@{name}") for name in names]
    messages += [ended(over, account=None), ended(over, content=CONTENT + b"secret\r\n" * 20_000)]
    waiting = over.queue(CAROL)
    over.now_ms += 30 * DAY_MS
    assert files(tmp_path) == 1
    assert sweep_all(over) == 4
    assert all(redacted(over, queue_id) for queue_id in messages)
    assert not redacted(over, waiting)
    assert files(tmp_path) == 0
    over.now_ms += 180 * DAY_MS
    sweep_all(over)
    assert [over.message(queue_id) for queue_id in messages] == [None] * len(messages)
    assert over.message(waiting) is not None
    engine.close()


def files(directory: Path) -> int:
    """Return how many contents are files."""
    return sum(path.is_file() for path in (directory / "blobs").rglob("*"))


def test_keys_that_have_served_are_pruned(over: Over) -> None:
    """By age in days (UTC): duplicates after two, counters with the day; suppressions when they run out."""
    today = NOW_MS // DAY_MS

    def remember(transaction: Any) -> None:
        for age in range(4):
            transaction.put((DUPLICATE, today - age, b"digest"), b"")
            transaction.put((SENT, today - age, "account", ALICE), b"")
            transaction.put((TOLD, today - age, "address", STRANGER), b"")
        put(transaction, Suppression(ALICE, CAROL, NOW_MS - 1, NOW_MS, "recipient"))
        put(transaction, Suppression(ALICE, OTHER, NOW_MS - 1, NOW_MS + 1, "recipient"))

    over.do(remember)
    assert sweep_all(over) == 1
    left = [key[:2] for key in over.engine.entries]
    assert {day for space, day in left if space == DUPLICATE} == {today, today - 1, today - 2}
    assert {day for space, day in left if space in (SENT, TOLD)} == {today}
    assert {key[2] for key in over.engine.entries if key[:2] == (SUPPRESSED, ALICE)} == {OTHER}


# -- On a clock


class Life:
    """A server's retention, and time that passes only when told."""

    def __init__(self, retention_ms: int, history_ms: int = 180 * DAY_MS) -> None:
        self.over = Over()
        self.clock = Clock()
        self.store = MemoryStore(self.over.engine)
        self.retention = Retention(
            self.store, self.over.blobs, self.clock, self.now_ms, retention_ms, history_ms
        )
        self.retention.start()
        self.clock.advance(1)

    def now_ms(self) -> int:
        self.over.now_ms = NOW_MS + int(self.clock.seconds() * 1000)
        return self.over.now_ms

    def ended(self) -> str:
        self.now_ms()
        queue_id = ended(self.over)
        self.retention.message_finished()
        return queue_id


def test_retention_zero_takes_the_content_at_once() -> None:
    """Within a moment of the end the content is gone."""
    life = Life(0)
    queue_id = life.ended()
    assert not redacted(life.over, queue_id)
    life.clock.advance(0.1)
    assert redacted(life.over, queue_id)
    assert not any(
        b"secret" in value for key, value in life.over.engine.entries.items() if key[0] == BLOB_BYTES
    )


def test_a_domain_that_keeps_nothing_is_swept_soon() -> None:
    """Although the server keeps contents for a month."""
    life = Life(30 * DAY_MS)
    nothing = Domain("example.test", retention_s=0)
    life.over.do(lambda transaction: directory.put_domain(transaction, nothing))
    queue_id = life.ended()
    life.clock.advance(SOON_S)
    assert redacted(life.over, queue_id)


def test_configure_holds_for_what_is_finished_already() -> None:
    """A shorter time is applied soon, and so is a shorter history."""
    life = Life(30 * DAY_MS)
    queue_id = life.ended()
    life.clock.advance(120)
    assert not redacted(life.over, queue_id)
    life.retention.configure(0, 180 * DAY_MS)
    life.clock.advance(1)
    assert redacted(life.over, queue_id)
    life.retention.configure(0, 0)
    life.clock.advance(1)
    assert life.over.message(queue_id) is None


class SlowStore(MemoryStore):
    """A store that writes when told."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.waiting: list[tuple[Any, Deferred[Any]]] = []

    def write(self, function: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.waiting.append((function, result))
        return result

    def go_on(self) -> None:
        function, result = self.waiting.pop()
        result.callback(self.engine.transact(function))


def test_configure_and_stop_while_a_sweep_is_under_way() -> None:
    """The next sweep comes soon, with the new times; stop waits for the one under way."""
    over, clock = Over(), Clock()
    store = SlowStore(over.engine)
    queue_id = ended(over)
    retention = Retention(store, over.blobs, clock, lambda: NOW_MS, DAY_MS, DAY_MS)
    retention.start()
    clock.advance(1)
    retention.configure(0, DAY_MS)
    store.go_on()
    assert not redacted(over, queue_id)
    clock.advance(0.1)
    stopped = retention.stop()
    assert not stopped.called
    store.go_on()
    assert stopped.called
    assert redacted(over, queue_id)
    assert clock.getDelayedCalls() == []


def test_a_backlog_goes_slice_by_slice() -> None:
    """Without waiting for the next minute."""
    life = Life(30 * DAY_MS)
    for _ in range(3 * SLICE):
        life.ended()
    life.clock.advance(30 * 86_400)
    for _ in range(4):
        life.clock.advance(0.05)
    assert sum(key[0] == REDACTED for key in index(life.over)) == 3 * SLICE


def test_a_failure_is_followed_by_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that refuses once does not end the sweeping."""
    life = Life(0)
    queue_id = life.ended()
    stage = life.over.blobs.stage

    def refuse(content: MemoryContent) -> Any:
        monkeypatch.setattr(life.over.blobs, "stage", stage)
        raise StoreError("no room")

    monkeypatch.setattr(life.over.blobs, "stage", refuse)
    life.clock.advance(1)
    assert not redacted(life.over, queue_id)
    life.clock.advance(60)
    assert redacted(life.over, queue_id)


def test_stop_ends_the_sweeping() -> None:
    """After stop nothing is scheduled, whatever ends then."""
    life = Life(0)
    stopped: Deferred[None] = life.retention.stop()
    assert stopped.called
    life.ended()
    life.retention.configure(0, 0)
    assert life.clock.getDelayedCalls() == []
