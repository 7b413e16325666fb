"""A queue without a delivery manager: messages that end as a test says, and the reports that this brings."""

from __future__ import annotations

import email
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path
from typing import Any

from fedaemon.accounts import directory
from fedaemon.accounts.records import Account, Domain
from fedaemon.delivery import bounce, timeline
from fedaemon.delivery.history import note_finished
from fedaemon.delivery.queue import displace, enqueue
from fedaemon.delivery.records import (
    FINAL,
    MessageRecord,
    NewMessage,
    NewRecipient,
    RecipientRecord,
    State,
    load_message,
    load_recipient,
    recipients_of,
    save_message,
    save_recipient,
)
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.store.blobs import Blobs
from fedaemon.store.content import MemoryContent
from fedaemon.store.ids import new_id
from fedaemon.store.interface import Transaction
from fedaemon.store.layout import Layout
from fedaemon.store.spaces import BLOB, BLOB_BYTES, MESSAGE
from fedaemon.store.statistics import Statistics
from tests.fakes import MemoryEngine

NOW_MS = 1_751_371_200_000
"""2025-07-01 12:00:00 UTC."""
HOUR_MS, DAY_MS = 3_600_000, 86_400_000

ALICE, BOB, STRANGER = "alice@example.test", "bob@example.test", "dave@elsewhere.test"
CONTENT = b"From: alice@example.test\r\nSubject: hello\r\nMessage-ID: <1@example.test>\r\n\r\nsecret\r\n"

MX = "mx.remote.test"
UNKNOWN = Outcome(0, Result.PERMANENT, "no such user", 550, "5.1.1", "rcpt", MX, category="recipient")
TAKEN = Outcome(0, Result.DELIVERED, "queued as 1", 250, "2.0.0", "content", MX)
GREYLISTED = Outcome(0, Result.TEMPORARY, "greylisted", 451, "4.7.1", "rcpt", MX)
UNREACHABLE = Outcome(0, Result.TEMPORARY, "connection refused", 0, "", "connect", MX)
FILED = Outcome(0, Result.DELIVERED, "delivered to the mailbox", 250, "2.1.5", "local")

EVENTS = {Result.DELIVERED: "delivered", Result.PERMANENT: "bounced", Result.TEMPORARY: "deferred"}


@dataclass(frozen=True)
class Terms:
    """What reports need to know."""

    hostname: str
    blobs: Blobs


class Over:
    """A store with the domain example.test, its accounts, and messages that end."""

    def __init__(self, engine: Any = None) -> None:
        self.engine = engine or MemoryEngine()
        self.blobs = getattr(engine, "blobs", None) or Blobs(Layout(Path("unused")), Statistics(), None)
        self.now_ms = NOW_MS
        self.do(lambda transaction: directory.add_domain(transaction, Domain("example.test")))
        for address in (ALICE, BOB):
            self.do(lambda transaction, address=address: directory.add_account(transaction, Account(address)))

    def do(self, function: Callable[..., Any]) -> Any:
        return self.engine.transact(function)

    def see(self, function: Callable[..., Any]) -> Any:
        return self.engine.view(function)

    def queue(
        self, *addresses: str | NewRecipient, sender: str = ALICE, content: bytes = CONTENT, **more: Any
    ) -> str:
        """Queue a message."""
        queue_id = new_id(self.now_ms)
        recipients = tuple(
            NewRecipient(each, each.endswith("@example.test")) if isinstance(each, str) else each
            for each in addresses
        )
        account = more.pop("account", ALICE)
        new = NewMessage(queue_id, sender, recipients, account, self.now_ms, len(content), **more)

        def accept(transaction: Transaction) -> None:
            blob_id = self.blobs.add(transaction, self.blobs.stage(MemoryContent(content)))
            enqueue(transaction, new, blob_id, self.now_ms)

        self.do(accept)
        return queue_id

    def end(
        self,
        queue_id: str,
        *outcomes: Outcome | None,
        event: str = "",
        lifetime_ms: int = 5 * DAY_MS,
        **more: Any,
    ) -> bool:
        """End an attempt: one outcome for each recipient in order, None for one that was not in it."""

        def record(transaction: Transaction) -> bool:
            message = self._message(transaction, queue_id)
            expires_ms = message.accepted_ms + lifetime_ms
            ended = []
            for number, outcome in enumerate(outcomes):
                if outcome is None:
                    continue
                became: Any = event or EVENTS[outcome.result]
                recipient = self._settle(transaction, queue_id, number, became)
                given = {"notice": "", **more}
                ended.append(
                    bounce.Ended(
                        number,
                        recipient,
                        replace(outcome, number=number),
                        became,
                        expires_ms=expires_ms,
                        **given,
                    )
                )
            terms = Terms("mail.example.test", self.blobs)
            return bounce.report(transaction, terms, queue_id, message, ended, self.now_ms)

        return bool(self.do(record))

    def finish(self, queue_id: str, *states: State) -> None:
        """Bring the recipients to their last states, and the message to its end."""

        def record(transaction: Transaction) -> None:
            for number, state in enumerate(states):
                self._settle(transaction, queue_id, number, state)
            message = self._message(transaction, queue_id)
            message.finished_ms = self.now_ms
            save_message(transaction, queue_id, message)
            note_finished(transaction, message, queue_id, self.now_ms)

        self.do(record)

    def _settle(self, transaction: Transaction, queue_id: str, number: int, state: State) -> RecipientRecord:
        recipient = load_recipient(transaction, queue_id, number)
        assert recipient is not None
        if state in FINAL:
            displace(transaction, queue_id, number, recipient)
        recipient.state = state
        save_recipient(transaction, queue_id, number, recipient)
        return recipient

    @staticmethod
    def _message(snapshot: Any, queue_id: str) -> MessageRecord:
        message = load_message(snapshot, queue_id)
        assert message is not None
        return message

    # what there is

    def message(self, queue_id: str) -> MessageRecord | None:
        found: MessageRecord | None = self.see(lambda snapshot: load_message(snapshot, queue_id))
        return found

    def content(self, queue_id: str) -> bytes:
        message = self.message(queue_id)
        assert message is not None
        return b"".join(self.see(lambda snapshot: self.blobs.open(snapshot, message.blob)).chunks())

    def timeline(self, queue_id: str) -> list[dict[str, Any]]:
        message = self.message(queue_id)
        assert message is not None
        return list(self.see(lambda snapshot: list(timeline.entries(snapshot, queue_id, message))))

    def recipients(self, queue_id: str) -> list[RecipientRecord]:
        found = self.see(lambda snapshot: list(recipients_of(snapshot, queue_id)))
        return [recipient for _, recipient in found]

    def report_ids(self) -> list[str]:
        """Return the queue ids of the reports, oldest first."""
        ids = [str(key[1]) for key in self.engine.entries if key[0] == MESSAGE]
        messages = [(each, self.message(each)) for each in sorted(ids)]
        return [each for each, message in messages if message and message.via.get("service") == "report"]

    def reports(self) -> list[Message]:
        """Return the reports, parsed."""
        return [email.message_from_bytes(self.content(each)) for each in self.report_ids()]

    def blobs_kept(self) -> tuple[int, int]:
        """Return how many blobs there are, and how many octets they hold."""
        records = sum(key[0] == BLOB for key in self.engine.entries)
        return records, sum(len(value) for key, value in self.engine.entries.items() if key[0] == BLOB_BYTES)


def alias(address: str, *targets: str, **wishes: str) -> tuple[NewRecipient, ...]:
    """Return the recipients that submission makes of an alias and its targets."""
    return tuple(
        NewRecipient(target, target.endswith("@example.test"), address, **wishes) for target in targets
    )


def fields(report: Message) -> list[Message]:
    """Return the blocks of the part for programs: the message's, then each recipient's."""
    status: Any = report.get_payload(1)
    found: list[Message] = status.get_payload()
    return found


def words(report: Message) -> str:
    """Return the text for people on one line."""
    text: Any = report.get_payload(0)
    return " ".join(text.get_payload(decode=True).decode(text.get_content_charset()).split())
