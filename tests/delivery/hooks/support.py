"""What the tests of webhooks share: a store with one message, webhooks, and a receiver that a test controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from fedaemon.delivery.hooks import webhook
from fedaemon.delivery.hooks.backlog import Backlog, Waiting, load_backlog, waiting
from fedaemon.delivery.hooks.post import Answer, Post, answered
from fedaemon.delivery.hooks.webhook import EVENTS, Webhook
from fedaemon.delivery.records import MessageRecord, RecipientRecord
from fedaemon.delivery.schedule import Schedule
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.store.blobs import Blobs
from fedaemon.store.content import MemoryContent
from fedaemon.store.layout import Layout
from fedaemon.store.statistics import Statistics
from tests.fakes import MemoryEngine, MemoryStore

START_MS = 1_750_000_000_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
ALICE = "alice@example.test"
CONTENT = (
    b"Message-ID: <1@example.test>\r\nList-Id: =?utf-8?q?x?= <news.example.test>\r\n"
    b"List-Unsubscribe: <https://example.test/u>,\r\n <mailto:u@example.test>\r\n"
    b"Feedback-ID: 1:news:example\r\nSubject: secret\r\n\r\nbody\r\n"
)
SCHEDULE = Schedule(random=lambda: 0.5)


@dataclass
class Ended:
    """As ``hooks.events.Ended``."""

    recipient: RecipientRecord
    outcome: Outcome
    event: str


def ended(event: str, address: str = "bob@remote.test", **more: Any) -> Ended:
    """Return what an attempt led to."""
    results = {"delivered": Result.DELIVERED, "deferred": Result.TEMPORARY}
    outcome = Outcome(
        0, results.get(event, Result.PERMANENT), "what it said", code=250, host="mx.remote.test", **more
    )
    next_ms = START_MS + 5 * MINUTE_MS if event == "deferred" else 0
    return Ended(RecipientRecord(address, "remote.test", attempts=1, next_attempt_ms=next_ms), outcome, event)


@dataclass
class Shelf:
    """A store with one message in it."""

    engine: MemoryEngine = field(default_factory=MemoryEngine)
    blobs: Blobs = field(default_factory=lambda: Blobs(Layout(Path("unused")), Statistics(), None))

    def message(self, content: bytes = CONTENT, account: str | None = ALICE) -> MessageRecord:
        """Return a message whose content is stored."""
        blob_id = self.engine.transact(
            lambda each: self.blobs.add(each, self.blobs.stage(MemoryContent(content)))
        )
        return MessageRecord(ALICE, START_MS, len(content), blob_id, 1, account=account)

    def hook(self, name: str = "crm", **more: Any) -> Webhook:
        """Add a webhook."""
        new = Webhook(
            **{"name": name, "url": f"https://{name}.test/", "events": EVENTS, "secret": "s" * 16, **more}
        )
        self.engine.transact(lambda each: webhook.add(each, new))
        return new

    def waiting(self, name: str = "crm") -> list[Waiting]:
        return self.engine.view(lambda each: waiting(each, name, 1_000_000))

    def backlog(self, name: str = "crm") -> Backlog:
        """Return how a webhook is doing, having checked that it counts right."""
        found = self.engine.view(lambda each: load_backlog(each, name))
        assert found.waiting == len(self.waiting(name))
        return found


class Receiver:
    """Answers posts with a status by host, or keeps them waiting where that is None."""

    def __init__(self) -> None:
        self.codes: dict[str, int | None] = {}
        self.posts: list[Post] = []
        self.open: list[tuple[Post, Deferred[Answer]]] = []
        self.answer: Callable[[Post], int | None] = lambda post: self.codes.get(post.url.split("/")[2], 200)

    def send(self, post: Post) -> Deferred[Answer]:
        self.posts.append(post)
        code = self.answer(post)
        if code is not None:
            return succeed(answered(code) if code else Answer(0, "no answer: refused"))
        waits: Deferred[Answer] = Deferred()
        self.open.append((post, waits))
        return waits

    def finish(self, code: int = 200) -> None:
        """Answer everything that waits."""
        pending, self.open = self.open, []
        for _, waits in pending:
            waits.callback(answered(code))


class Time(Clock):
    """A clock and the wall clock that goes with it."""

    def now_ms(self) -> int:
        return START_MS + int(self.seconds() * 1000)

    def pass_ms(self, duration_ms: float, step_ms: float = MINUTE_MS) -> None:
        """Let time pass in steps."""
        while duration_ms > 0:
            self.advance(min(duration_ms, step_ms) / 1000)
            duration_ms -= step_ms


class FailingStore(MemoryStore):
    """Refuses to write while *error* is set."""

    error: Exception | None = None

    def write(self, function: Any) -> Deferred[Any]:
        if self.error is not None:
            failed: Deferred[Any] = Deferred()
            failed.errback(self.error)
            return failed
        return super().write(function)
