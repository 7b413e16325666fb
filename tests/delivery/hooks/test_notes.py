"""Which webhooks hear of what, and what they hear."""

from __future__ import annotations

from typing import Any

import pytest

from fedaemon.delivery.hooks.notes import note
from fedaemon.delivery.records import MessageRecord
from tests.delivery.hooks.support import ALICE, CONTENT, START_MS, Ended, Shelf, ended


def noted(shelf: Shelf, message: MessageRecord, *outcomes: Ended) -> int:
    return shelf.engine.transact(lambda each: note(each, shelf.blobs, "ID", message, outcomes, START_MS))


def test_an_event_says_everything() -> None:
    """Every field of the documentation; the subject is nobody's business."""
    shelf = Shelf()
    shelf.hook()
    outcome = ended("deferred", status="4.7.1", category="greylist", explanation="try again later")
    assert noted(shelf, shelf.message(), outcome) == 1
    [waiting] = shelf.waiting()
    assert len(waiting.event.pop("id")) == 16
    assert waiting.event == {
        "event": "deferred",
        "at": "2025-06-15T15:06:40Z",
        "queue_id": "ID",
        "account": ALICE,
        "sender": ALICE,
        "recipient": "bob@remote.test",
        "state": "deferred",
        "code": 250,
        "status": "4.7.1",
        "response": "what it said",
        "category": "greylist",
        "action": "retry",
        "explanation": "try again later",
        "host": "mx.remote.test",
        "attempts": 1,
        "next_attempt": "2025-06-15T15:11:40Z",
        "message_id": "<1@example.test>",
        "list_id": "=?utf-8?q?x?= <news.example.test>",
        "list_unsubscribe": "<https://example.test/u>, <mailto:u@example.test>",
        "feedback_id": "1:news:example",
    }
    assert waiting.key[2] == START_MS


@pytest.mark.parametrize(
    ("event", "posted", "action"),
    [
        ("delivered", "delivered", ""),
        ("deferred", "deferred", "retry"),
        ("bounced", "bounced", "reject"),
        ("expired", "bounced", "expire"),
    ],
)
def test_the_end_of_the_lifetime_is_a_bounce(event: str, posted: str, action: str) -> None:
    """Whoever wants to hear of bounces hears of both kinds, and can tell them apart."""
    shelf = Shelf()
    shelf.hook(events=(posted,))
    shelf.hook("other", events=tuple({"delivered", "deferred", "bounced"} - {posted}))
    assert noted(shelf, shelf.message(), ended(event)) == 1
    [waiting] = shelf.waiting()
    found = [waiting.event[name] for name in ("event", "state", "action")]
    assert found == [posted, event, action]
    assert shelf.waiting("other") == []


@pytest.mark.parametrize(
    ("hook", "hears"),
    [
        ({}, True),
        ({"account": ALICE}, True),
        ({"account": "bob@example.test"}, False),
        ({"domain": "example.test"}, True),
        ({"domain": "test"}, False),
        ({"disabled": "why"}, False),
    ],
)
def test_whose_messages(hook: dict[str, Any], hears: bool) -> None:
    """For all, of an account, of a domain; nothing for one that is disabled."""
    shelf = Shelf()
    shelf.hook(**hook)
    assert noted(shelf, shelf.message(), ended("delivered")) == hears
    assert len(shelf.waiting()) == hears


def test_mail_from_outside_and_reports_have_no_events() -> None:
    """They belong to no account."""
    shelf = Shelf()
    shelf.hook()
    assert noted(shelf, shelf.message(account=None), ended("delivered")) == 0
    assert shelf.waiting() == []


def test_each_recipient_has_an_event_with_an_id_of_its_own() -> None:
    """Also when several webhooks hear of it: each takes an id once."""
    shelf = Shelf()
    shelf.hook()
    shelf.hook("other")
    outcomes = [ended("delivered", f"{number}@remote.test") for number in range(3)]
    assert noted(shelf, shelf.message(), *outcomes) == 6
    waiting = shelf.waiting() + shelf.waiting("other")
    assert len({each.event["id"] for each in waiting}) == 6
    assert [each.event["recipient"][0] for each in shelf.waiting()] == ["0", "1", "2"]
    assert all(each.event["id"] == each.key[3] for each in waiting)


@pytest.mark.parametrize("content", [b"", b"no header at all", CONTENT.replace(b"List-Id:", b"List Id")])
def test_a_header_that_cannot_be_read(content: bytes) -> None:
    """The event goes out without its fields."""
    shelf = Shelf()
    shelf.hook()
    noted(shelf, shelf.message(content), ended("delivered"))
    [waiting] = shelf.waiting()
    assert (waiting.event["message_id"], waiting.event["list_id"]) == ("", "")


def test_a_content_that_is_lost() -> None:
    """The event goes out all the same."""
    shelf = Shelf()
    shelf.hook()
    message = shelf.message()
    message.blob = "GONE"
    assert noted(shelf, message, ended("delivered")) == 1
    assert shelf.waiting()[0].event["message_id"] == ""


def test_without_webhooks_one_look_is_all() -> None:
    """Nothing else is read and nothing is written."""

    class Counting:
        looks = 0

        def scan(self, *arguments: Any, **more: Any) -> Any:
            self.looks += 1
            return iter(())

    transaction: Any = Counting()
    shelf = Shelf()
    outcomes = [ended("delivered") for _ in range(50)]
    assert note(transaction, shelf.blobs, "ID", shelf.message(), outcomes, START_MS) == 0
    assert transaction.looks == 1
