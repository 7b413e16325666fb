"""Complaints (RFC 5965): which message, which recipient, and what follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fedaemon import counters
from fedaemon.delivery import suppression, timeline
from fedaemon.delivery.complaints import note_complaint, queue_ids
from fedaemon.delivery.hooks import webhook
from fedaemon.delivery.hooks.backlog import waiting
from fedaemon.delivery.hooks.webhook import EVENTS, Webhook
from fedaemon.delivery.queue import enqueue
from fedaemon.delivery.records import MessageRecord, NewMessage, NewRecipient, load_message
from fedaemon.message.header import Header
from fedaemon.message.received import format_received
from fedaemon.store.blobs import Blobs
from fedaemon.store.content import MemoryContent
from fedaemon.store.ids import new_id
from fedaemon.store.layout import Layout
from fedaemon.store.statistics import Statistics
from tests.fakes import MemoryEngine

NOW_MS = 1_750_000_000_000
DAY_MS = 86_400_000
ALICE, HOST = "alice@example.test", "mail.example.test"


def received(queue_id: str, by: str = HOST, helo: str = "client") -> str:
    value = format_received(
        helo=helo,
        protocol="ESMTPSA",
        by=by,
        queue_id=queue_id,
        when_s=NOW_MS / 1000,
        client=None,
        tls="TLSv1.3 AES",
        recipient=None,
    )
    return f"Received: {value}\r\n"


class World:
    """A store with a message that was sent, a webhook, and reports that come in."""

    def __init__(self) -> None:
        self.engine = MemoryEngine()
        self.blobs = Blobs(Layout(Path("unused")), Statistics(), None)
        hook = Webhook("crm", "https://crm.test/", EVENTS, "s" * 16)
        self.engine.transact(lambda each: webhook.add(each, hook))

    def send(self, *recipients: str | NewRecipient, account: str | None = ALICE) -> str:
        queue_id = new_id(NOW_MS)
        new = tuple(NewRecipient(r, local=False) if isinstance(r, str) else r for r in recipients)
        message = NewMessage(queue_id, ALICE, new, account, NOW_MS, 10)
        content = b"Message-ID: <1@example.test>\r\nFeedback-ID: 7\r\n\r\nbuy\r\n"

        def accept(transaction: Any) -> None:
            blob_id = self.blobs.add(transaction, self.blobs.stage(MemoryContent(content)))
            enqueue(transaction, message, blob_id, NOW_MS)

        self.engine.transact(accept)
        return queue_id

    def complain(
        self, queue_id: str, *recipients: str, kind: str = "abuse", header: str = "", data: bytes = b""
    ) -> str:
        """Let a report come in."""
        named = "".join(f"Original-Rcpt-To: <{each}>\r\n" for each in recipients)
        content = (
            data
            or (
                'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
                "--b\r\n\r\nA complaint.\r\n"
                f"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\n"
                f"User-Agent: fbl/1\r\nVersion: 1\r\n{named}"
                f"--b\r\nContent-Type: message/rfc822\r\n\r\n{header or received(queue_id)}"
                "Subject: buy\r\n\r\nbuy\r\n"
                "--b--\r\n"
            ).encode()
        )

        def come(transaction: Any) -> str:
            blob_id = self.blobs.add(transaction, self.blobs.stage(MemoryContent(content)))
            report = MessageRecord("", NOW_MS, len(content), blob_id, 1)
            return note_complaint(transaction, self.blobs, HOST, report, NOW_MS + 5, 30 * DAY_MS)

        return self.engine.transact(come)

    def suppressed(self, address: str) -> suppression.Suppression | None:
        return self.engine.view(lambda each: suppression.find(each, ALICE, address, NOW_MS + 6))

    def entries(self, queue_id: str) -> list[dict[str, Any]]:
        def read(snapshot: Any) -> list[dict[str, Any]]:
            message = load_message(snapshot, queue_id)
            assert message is not None
            return [e for e in timeline.entries(snapshot, queue_id, message) if e["event"] == "complaint"]

        return self.engine.view(read)

    def events(self) -> list[dict[str, Any]]:
        return [each.event for each in self.engine.view(lambda each: waiting(each, "crm", 100))]


@pytest.fixture
def world() -> World:
    """A world in which nobody has complained yet."""
    return World()


def test_a_complaint(world: World) -> None:
    """Timeline, suppression, webhook and counter."""
    before = counters.value("complaints_total", result="matched")
    queue_id = world.send("bob@remote.test", "carol@remote.test")
    assert world.complain(queue_id, "Bob@remote.test") == "matched"
    assert world.entries(queue_id) == [
        {"at_ms": NOW_MS + 5, "event": "complaint", "recipients": [0], "kind": "abuse", "reporter": "fbl/1"}
    ]
    entry = world.suppressed("bob@remote.test")
    assert entry is not None
    assert (entry.category, entry.until_ms) == (suppression.COMPLAINED, NOW_MS + 5 + 30 * DAY_MS)
    assert world.suppressed("carol@remote.test") is None
    [event] = world.events()
    expected = {
        "event": "complaint",
        "queue_id": queue_id,
        "account": ALICE,
        "recipient": "bob@remote.test",
        "feedback_type": "abuse",
        "reporter": "fbl/1",
        "message_id": "<1@example.test>",
        "feedback_id": "7",
    }
    assert event.items() >= expected.items()
    assert counters.value("complaints_total", result="matched") == before + 1


def test_the_same_complaint_again(world: World) -> None:
    """Nothing changes; another recipient is another complaint."""
    queue_id = world.send("bob@remote.test", "carol@remote.test")
    world.complain(queue_id, "bob@remote.test")
    assert world.complain(queue_id, "bob@remote.test") == "matched"
    assert (len(world.entries(queue_id)), len(world.events())) == (1, 1)
    world.complain(queue_id, "carol@remote.test", "bob@remote.test")
    assert [entry["recipients"] for entry in world.entries(queue_id)] == [[0], [1]]
    assert len(world.events()) == 2


def test_a_hidden_recipient(world: World) -> None:
    """The only one there is, is meant; among several it stays open who, and nobody is suppressed."""
    one, two = world.send("bob@remote.test"), world.send("carol@remote.test", "dave@remote.test")
    world.complain(one)
    assert world.suppressed("bob@remote.test") is not None
    for _ in range(2):
        assert world.complain(two) == "matched"
    assert [entry.get("recipients") for entry in world.entries(two)] == [None]
    assert world.suppressed("carol@remote.test") is world.suppressed("dave@remote.test") is None
    assert len(world.events()) == 1


def test_only_recipients_of_the_message_can_be_suppressed(world: World) -> None:
    """A forged report that names others does nothing to them."""
    queue_id = world.send("bob@remote.test", "carol@remote.test")
    world.complain(queue_id, "victim@remote.test")
    assert world.suppressed("victim@remote.test") is None
    assert world.suppressed("bob@remote.test") is None


def test_the_address_before_an_alias(world: World) -> None:
    """A report may name the address that the sender gave."""
    queue_id = world.send(NewRecipient("bob@remote.test", False, original="b@example.test"), "x@remote.test")
    world.complain(queue_id, "b@example.test")
    assert [entry["recipients"] for entry in world.entries(queue_id)] == [[0]]


def test_local_recipients_are_not_suppressed(world: World) -> None:
    """Here the user has other means; the event is posted."""
    queue_id = world.send(NewRecipient("bob@example.test", local=True))
    world.complain(queue_id, "bob@example.test")
    assert world.suppressed("bob@example.test") is None
    assert len(world.events()) == 1


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "dmarc"])
def test_what_is_no_complaint(world: World, kind: str) -> None:
    """RFC 6430: not-spam says the opposite."""
    queue_id = world.send("bob@remote.test")
    assert world.complain(queue_id, "bob@remote.test", kind=kind) == "ignored"
    assert world.entries(queue_id) == []
    assert world.suppressed("bob@remote.test") is None


def test_mail_that_is_no_report(world: World) -> None:
    """It is counted, and nothing else."""
    assert world.complain("", data=b"Subject: stop it\r\n\r\nplease\r\n") == "unreadable"
    assert world.events() == []


@pytest.mark.parametrize(
    "header",
    [
        "X-Nothing: here\r\n",
        "Received: by other.example.test with ESMTP id {id}; x\r\n",
        "Received: from by mail.example.test; id {id}\r\n",
        "Received: from {id} by mail.example.test with ESMTP\r\n",
        "Received: from x by mail.example.test with ESMTP id {id}X; x\r\n",
    ],
)
def test_a_message_that_is_not_ours(world: World, header: str) -> None:
    """Only what we wrote into our own Received field counts."""
    queue_id = world.send("bob@remote.test")
    assert world.complain(queue_id, "bob@remote.test", header=header.format(id=queue_id)) == "unmatched"
    assert world.entries(queue_id) == []


def test_mail_from_outside_has_no_account(world: World) -> None:
    """What we only took in was not sent by us."""
    queue_id = world.send("bob@remote.test", account=None)
    assert world.complain(queue_id, "bob@remote.test") == "unmatched"


def test_our_field_among_others() -> None:
    """Other hops are passed over, whatever they call themselves; several of ours give several ids."""
    ids = [new_id(NOW_MS) for _ in range(3)]
    fields = received(ids[0], by="mx.remote.test") + received(ids[1], by=HOST.upper()) + received(ids[2])
    header = Header.parse(fields.encode(), max_octets=10_000, max_fields=10)
    assert list(queue_ids(header, HOST)) == ids[1:]


def test_a_client_cannot_name_another_message() -> None:
    """What it says in EHLO stands in front of our words and cannot take their place."""
    good, bad = new_id(NOW_MS), new_id(NOW_MS)
    field = received(good, helo=f"by {HOST} with x id {bad}")
    header = Header.parse(field.encode(), max_octets=10_000, max_fields=10)
    assert list(queue_ids(header, HOST)) == [good]
