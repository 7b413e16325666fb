"""A queue with everything around it: a store, a clock, and a remote world that answers as a test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.task import Clock

from fedaemon.accounts import directory
from fedaemon.accounts.records import Account, Domain
from fedaemon.delivery.classification import load_classifier
from fedaemon.delivery.listing import messages, show
from fedaemon.delivery.manager import DeliveryManager, Rules
from fedaemon.delivery.outcomes import Terms
from fedaemon.delivery.queue import NewMessage, NewRecipient, enqueue
from fedaemon.delivery.records import RecipientRecord, load_recipient
from fedaemon.delivery.remote import Finder
from fedaemon.delivery.schedule import Schedule
from fedaemon.delivery.selection import Filter
from fedaemon.delivery.sites.registry import Sites
from fedaemon.delivery.transport import Attempt, NextHost, Outcome, Result, Transport
from fedaemon.mailbox import reading
from fedaemon.mailbox.mailboxes import find
from fedaemon.mailbox.shaping import Shaper
from fedaemon.message.address import parse_address
from fedaemon.store.blobs import Blobs
from fedaemon.store.content import MemoryContent
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Transaction
from fedaemon.store.layout import Layout
from fedaemon.store.statistics import Statistics
from tests.fakes import MemoryEngine, MemoryStore

START_MS = 1_750_000_000_000
"""When the clock of a test begins: a whole second of the year 2025."""

MINUTE, HOUR, DAY = 60, 3600, 86400

ALICE, BOB = "alice@example.test", "bob@example.test"
HOST = NextHost("mx.remote.test", ("192.0.2.1",), 25)
CONTENT = b"From: alice@example.test\r\nSubject: hello\r\nMessage-ID: <1@example.test>\r\n\r\nhello\r\n"

GREYLISTED = (Result.TEMPORARY, "greylisted, come back later", 451, "4.7.1", "rcpt")
UNKNOWN = (Result.PERMANENT, "no such user", 550, "5.1.1", "rcpt")
ACCEPTED = (Result.DELIVERED, "queued as 1", 250, "2.0.0", "content")
UNREACHABLE = (Result.TEMPORARY, "connection refused", 0, "", "connect")


CLASSIFIER = load_classifier()


class OneHost:
    """Every destination has the same host."""

    def find(self, destination: str) -> Deferred[tuple[NextHost, ...]]:
        return succeed((HOST,))


class HostOfItsOwn:
    """Every destination has a host of its own."""

    def find(self, destination: str) -> Deferred[tuple[NextHost, ...]]:
        return succeed((NextHost(f"mx.{destination}", ("192.0.2.1",), 25),))


class ScriptedTransport:
    """Answers at once what *answer* says for a recipient, or keeps attempts waiting when it is None."""

    def __init__(self) -> None:
        self.answer: Callable[[str], tuple[Any, ...]] | None = lambda address: ACCEPTED
        self.attempts: list[Attempt] = []
        self.waiting: list[tuple[Attempt, Deferred[list[Outcome]]]] = []
        self.closed = False
        self.passed_on = False

    def attempt(self, attempt: Attempt) -> Deferred[list[Outcome]]:
        self.attempts.append(attempt)
        result: Deferred[list[Outcome]] = Deferred()
        if self.answer is None:
            self.waiting.append((attempt, result))
        else:
            result.callback(self.outcomes(attempt, self.answer))
        return result

    def outcomes(self, attempt: Attempt, answer: Callable[[str], tuple[Any, ...]]) -> list[Outcome]:
        return [
            replace(
                Outcome(recipient.number, *answer(recipient.address)),
                host=HOST.name,
                address="192.0.2.1",
                tls="TLSv1.3",
                dsn_passed_on=self.passed_on,
            )
            for recipient in attempt.recipients
        ]

    def finish(self, answer: tuple[Any, ...] = ACCEPTED, index: int = 0) -> None:
        """Answer one of the attempts that wait."""
        attempt, result = self.waiting.pop(index)
        result.callback(self.outcomes(attempt, lambda address: answer))

    def close(self) -> Deferred[None]:
        self.closed = True
        for attempt, result in self.waiting:
            result.callback(self.outcomes(attempt, lambda address: UNREACHABLE))
        self.waiting.clear()
        return succeed(None)


class World:
    """A server's queue, and time that passes only when told."""

    def __init__(self, engine: Any = None, *, memory: dict[str, Any] | None = None, **rules: Any) -> None:
        self.engine = engine or MemoryEngine()
        self.store = MemoryStore(self.engine)
        self.blobs: Blobs = getattr(engine, "blobs", None) or Blobs(
            Layout(Path("unused")), Statistics(), None
        )
        self.clock = Clock()
        self.transport = ScriptedTransport()
        self.memory = memory or {}
        self.shaper = Shaper(execute)
        self.options = rules
        self.finished = 0
        self.fixed_random = 0.5
        self.schedule = Schedule(random=lambda: self.fixed_random)
        self.transact(self._people)
        self.manager = self.new_manager()

    def _people(self, transaction: Transaction) -> None:
        if directory.get_domain(transaction, "example.test") is None:
            directory.add_domain(transaction, Domain("example.test"))
            for address in (ALICE, BOB):
                directory.add_account(transaction, Account(address))

    def new_manager(
        self, transport: Transport | None = None, finder: Finder | None = None
    ) -> DeliveryManager:
        """Make a manager, as a new start of the server does."""
        return DeliveryManager(
            self.store,
            self.blobs,
            self.clock,
            rules=self.rules(),
            finder=finder or OneHost(),
            transport=transport or self.transport,
            shaper=self.shaper,
            now_ms=self.now_ms,
            message_finished=self._count_finished,
            sites=Sites(self.now_ms, rng=lambda: self.fixed_random, **self.memory),
        )

    def rules(self, **more: Any) -> Rules:
        """Return what the manager goes by."""
        return Rules(
            **{
                "hostname": "mail.example.test",
                "schedule": self.schedule,
                "classifier": CLASSIFIER,
                **self.options,
                **more,
            }
        )

    def kill(self) -> None:
        """End the server as kill -9 does, and make (not start) its next run; attempts under way are lost."""
        now = self.clock.seconds()
        self.clock = Clock()
        self.clock.advance(now)
        self.store = MemoryStore(self.engine)
        self.transport = ScriptedTransport()
        self.manager = self.new_manager()

    def _count_finished(self) -> None:
        self.finished += 1

    def now_ms(self) -> int:
        return START_MS + int(self.clock.seconds() * 1000)

    @property
    def terms(self) -> Terms:
        return Terms("mail.example.test", self.schedule, self.blobs)

    def transact(self, function: Callable[[Transaction], Any]) -> Any:
        return self.engine.transact(function)

    def view(self, function: Callable[[Any], Any]) -> Any:
        return self.engine.view(function)

    def enqueue(
        self, *addresses: str | NewRecipient, sender: str = ALICE, content: bytes = CONTENT, **more: Any
    ) -> str:
        """Accept a message, as submission does; wakes nobody."""
        queue_id = new_id(self.now_ms())
        recipients = tuple(
            NewRecipient(each, each.endswith("@example.test")) if isinstance(each, str) else each
            for each in addresses
        )
        message = NewMessage(
            queue_id, sender, recipients, more.pop("account", ALICE), self.now_ms(), len(content), **more
        )

        def accept(transaction: Transaction) -> None:
            blob_id = self.blobs.add(transaction, self.blobs.stage(MemoryContent(content)))
            enqueue(transaction, message, blob_id, self.now_ms())

        self.transact(accept)
        return queue_id

    def submit(self, *addresses: str | NewRecipient, **more: Any) -> str:
        """Accept a message and let the manager know."""
        queue_id = self.enqueue(*addresses, **more)
        self.manager.wake()
        self.clock.advance(0)
        return queue_id

    def pass_time(self, seconds: float, step: float = MINUTE) -> None:
        """Let time pass in steps."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
        self.settle()

    def settle(self) -> None:
        """Let everything happen that is to happen now."""
        for _ in range(20):
            self.clock.advance(0)

    def show(self, queue_id: str, *, paused: bool = False) -> dict[str, Any]:
        """Return all about a message."""
        shown = self.view(
            lambda snapshot: show(snapshot, queue_id, self.schedule, self.now_ms(), paused=paused)
        )
        assert shown is not None
        found: dict[str, Any] = shown
        return found

    def states(self, queue_id: str) -> list[str]:
        return [recipient["state"] for recipient in self.show(queue_id)["recipients"]]

    def events(self, queue_id: str) -> list[str]:
        return [entry["event"] for entry in self.show(queue_id)["timeline"]]

    def recipient(self, queue_id: str, number: int = 0) -> RecipientRecord:
        found = self.view(lambda snapshot: load_recipient(snapshot, queue_id, number))
        assert isinstance(found, RecipientRecord)
        return found

    def rows(self, **wanted: Any) -> list[dict[str, Any]]:
        return list(self.view(lambda snapshot: list(messages(snapshot, Filter(**wanted)))))

    def inbox(self, account: str) -> list[bytes]:
        """Return the octets of all mail in an INBOX."""

        def read(snapshot: Any) -> list[bytes]:
            found = find(snapshot, account, "INBOX")
            if found is None:
                return []
            mails = [reading.mail(snapshot, found.id, row.uid) for row in reading.rows(snapshot, found.id)]
            return [
                b"".join(reading.content(snapshot, self.blobs, mail).chunks())
                for mail in mails
                if mail is not None
            ]

        return list(self.view(read))

    def alias(self, address: str, *targets: str) -> None:
        """Make an alias."""
        self.transact(lambda transaction: directory.add_alias(transaction, address, targets))

    def expanded(self, address: str, **more: str) -> tuple[NewRecipient, ...]:
        """Return recipients as submission makes them of an address."""
        found = self.view(lambda snapshot: directory.expand(snapshot, parse_address(address)))
        return tuple(
            NewRecipient(each.address, each.local, address if each.address != address else "", **more)
            for each in found
        )
