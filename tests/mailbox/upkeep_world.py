"""A store with mailboxes and their upkeep, on a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from fedaemon.mailbox import changing, keeping, reading
from fedaemon.mailbox import columns as c
from fedaemon.mailbox import state as states
from fedaemon.mailbox.adding import NewMail, append
from fedaemon.mailbox.changing import Gone
from fedaemon.mailbox.mailboxes import create
from fedaemon.mailbox.rows import Row
from fedaemon.mailbox.shaping import new_mail, read_shaped
from fedaemon.mailbox.state import State
from fedaemon.mailbox.upkeep import Upkeep, UpkeepSettings
from fedaemon.store.content import MemoryContent
from fedaemon.store.interface import Key, Snapshot, Transaction
from fedaemon.store.lmdb_engine import LmdbEngine
from tests.fakes import MemoryStore

T = TypeVar("T")

ALICE = "alice@example.test"
NOW_S = 1_750_000_000
DAY_S = 86_400
KEEP = UpkeepSettings(undelete_s=7 * DAY_S, empty_trash_s=None, empty_junk_s=None)


class EngineStore(MemoryStore):
    """``Store`` on an LMDB engine, whose Deferreds have fired when they are returned.

    :ivar refuse: may return with what a write is to fail.
    :ivar slices: how many slices of the upkeep there were.
    """

    def __init__(self, engine: LmdbEngine) -> None:
        super().__init__()
        self.lmdb = engine
        self.refuse: Callable[[Transaction], Exception | None] = lambda _: None
        self.slices = 0

    def read(self, function: Callable[[Snapshot], T]) -> Deferred[T]:
        self.slices += 1
        return execute(self.lmdb.view, function)

    def write(self, function: Callable[[Transaction], T]) -> Deferred[T]:
        announced: list[Hashable] = []
        self.slices += 1

        def run(transaction: Transaction) -> T:
            error = self.refuse(transaction)
            if error is not None:
                raise error
            value = function(transaction)
            announced.extend(getattr(transaction, "announced"))  # noqa: B009 - of LMDB's transactions
            return value

        deferred = execute(self.lmdb.transact, run)
        for listener in self.engine.listeners if announced else ():
            listener(set(announced))
        return deferred


class World:
    """Mailboxes of Alice and their upkeep, which is not started yet."""

    def __init__(self, tmp_path: Path, settings: UpkeepSettings = KEEP) -> None:
        self.engine = LmdbEngine.open(tmp_path / "data", reserve_octets=0)
        self.store = EngineStore(self.engine)
        self.blobs = self.engine.blobs
        self.clock = Clock()
        self.threads: list[Callable[[], Any]] = []
        self.upkeep = Upkeep(self.store, self.blobs, self.clock, self.now_s, self.in_thread, settings)
        self.store.on_commit(self.upkeep.changed)

    def now_s(self) -> float:
        return NOW_S + float(self.clock.seconds())

    def in_thread(self, function: Callable[[], Any]) -> Deferred[Any]:
        """Run *function* at once, and count it."""
        self.store.slices += 1
        self.threads.append(function)
        return execute(function)

    def settle(self, seconds: float = 10.0) -> None:
        """Let so much time pass, in steps as small as the pauses of the upkeep."""
        end = self.clock.seconds() + seconds
        while True:
            times = [call.time for call in self.clock.calls]
            if not times or min(times) > end:
                break
            self.clock.advance(max(0.0, min(times) - self.clock.seconds()))
        self.clock.advance(max(0.0, end - self.clock.seconds()))

    def write(self, function: Callable[[Transaction], T]) -> T:
        """Change the store as a session would."""
        values: list[T] = []
        self.store.write(function).addCallback(values.append)
        self.store.slices -= 1
        return values[0]

    def create(self, name: str, special_use: str | None = None) -> str:
        return self.write(lambda t: create(t, ALICE, name, NOW_S * 1000, special_use)).id

    def append(self, mailbox_id: str, count: int, *, shaped: bool = True, saved_s: int | None = None) -> None:
        """Add messages whose subjects are their numbers."""

        def run(transaction: Transaction) -> None:
            mails: list[NewMail] = []
            first = states.load(transaction, mailbox_id).uidnext
            for uid in range(first, first + count):
                content = MemoryContent(message(uid))
                blob = self.blobs.add(transaction, self.blobs.stage(content))
                shape = read_shaped(content) if shaped else None
                mails.append(new_mail(ALICE, blob, content.size, b"X-Prefix: 1\r\n", NOW_S, shape))
            append(transaction, mailbox_id, mails, int(self.now_s()) if saved_s is None else saved_s)

        self.write(run)

    def seal(self, mailbox_id: str, rows: int) -> bool:
        """Make a chunk of the oldest rows of the tail."""
        uids = self.view(lambda s: keeping.to_seal(s, mailbox_id, rows))
        texts = self.view(lambda s: keeping.gather_texts(s, mailbox_id, uids))
        return self.write(lambda t: keeping.seal(t, mailbox_id, uids, texts))

    def expunge(self, mailbox_id: str, *ranges: tuple[int, int], keep_s: int = 0) -> Gone | None:
        now_ms = int(self.now_s() * 1000)
        return self.write(
            lambda t: changing.expunge(t, mailbox_id, ranges, now_ms, only_deleted=False, keep_s=keep_s)
        )

    def view(self, function: Callable[[Snapshot], T]) -> T:
        return self.engine.view(function)

    def keys(self, *prefix: str | int) -> list[Key]:
        return self.view(lambda s: [key for key, _ in s.scan(prefix)])

    def everything(self) -> list[Key]:
        return self.view(lambda s: [key for key, _ in s.scan(())])

    def state(self, mailbox_id: str) -> State:
        return self.view(lambda s: states.load(s, mailbox_id))

    def rows(self, mailbox_id: str, table: bytes = c.LIVE) -> list[Row]:
        return self.view(lambda s: list(reading.rows(s, mailbox_id, table=table)))


def message(uid: int) -> bytes:
    head = f"Subject: number {uid}\r\nFrom: a@example.test\r\nDate: Mon, 16 Jun 2025 10:00:00 +0200\r\n"
    return f"{head}Message-ID: <{uid}@example.test>\r\n\r\nHello\r\n".encode()
