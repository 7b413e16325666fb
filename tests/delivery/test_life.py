"""The life of a message in the queue, on a clock that a test turns."""

from __future__ import annotations

import email
from email.message import Message
from itertools import pairwise
from typing import Any

import pytest

from fedaemon.delivery.queue import NewRecipient
from fedaemon.delivery.sites.shaping import Shaping, SiteLimits
from tests.delivery.support import (
    ACCEPTED,
    ALICE,
    BOB,
    CONTENT,
    DAY,
    GREYLISTED,
    HOUR,
    MINUTE,
    UNKNOWN,
    UNREACHABLE,
    HostOfItsOwn,
    OneHost,
    World,
)


@pytest.fixture
def world() -> World:
    world = World()
    world.manager.start()
    return world


def reports(world: World, account: str = ALICE) -> list[Message]:
    parsed = [email.message_from_bytes(octets) for octets in world.inbox(account)]
    return [message for message in parsed if message.get_content_type() == "multipart/report"]


def fields(report: Message, part: int = 1) -> Message:
    """Return the per-recipient fields of a report with one recipient."""
    status: Any = report.get_payload()[1]  # type: ignore[index]
    found: Message = status.get_payload()[part]
    return found


def test_a_remote_message_is_delivered_at_once(world: World) -> None:
    """Accepted, attempted, delivered; the timeline says by whom, how, and when."""
    queue_id = world.submit("carol@remote.test", via={"service": "submission", "tls": "TLSv1.3"})
    shown = world.show(queue_id)
    assert shown["status"] == "sent"
    accepted, delivered = shown["timeline"]
    assert (accepted["event"], accepted["service"], accepted["account"]) == ("accepted", "submission", ALICE)
    assert delivered["event"] == "delivered"
    assert (delivered["host"], delivered["tls"], delivered["code"]) == ("mx.remote.test", "TLSv1.3", 250)
    assert world.finished == 1
    (attempt,) = world.transport.attempts
    assert b"".join(attempt.content.chunks()) == CONTENT


def test_a_local_message_is_delivered_byte_exact(world: World) -> None:
    """Return-Path and Delivered-To are put in front, the rest is what was sent."""
    queue_id = world.submit(BOB)
    assert world.states(queue_id) == ["delivered"]
    prefix = b"Return-Path: <alice@example.test>\r\nDelivered-To: bob@example.test\r\n"
    assert world.inbox(BOB) == [prefix + CONTENT]
    assert world.transport.attempts == []


def test_the_five_days_of_a_message_that_nobody_takes(world: World) -> None:
    """Tried on the schedule, the delay told once after four hours, given up after five days with a bounce."""
    times: list[float] = []

    def unreachable(address: str) -> tuple[Any, ...]:
        times.append(world.clock.seconds())
        return UNREACHABLE

    world.transport.answer = unreachable
    queue_id = world.submit("carol@remote.test")
    world.pass_time(6 * DAY)
    gaps = [round((b - a) / MINUTE) for a, b in pairwise(times)]
    assert gaps[:5] == [5, 10, 20, 40, 80]
    assert all(gap <= 4 * 60 for gap in gaps)
    assert times[6] == 4 * HOUR
    assert times[-1] == 5 * DAY
    assert len(times) < 50
    assert world.states(queue_id) == ["expired"]
    delayed, failed = reports(world)
    assert "Delayed" in delayed["Subject"]
    assert fields(delayed)["Action"] == "delayed"
    assert fields(delayed)["Will-Retry-Until"] is not None
    assert fields(failed)["Action"] == "failed"
    assert fields(failed)["Status"] == "4.4.7"
    assert world.show(queue_id)["status"] == "bounced"


def test_a_greylisted_message_arrives_with_the_second_attempt(world: World) -> None:
    """451 puts it off by five minutes; while it waits, show says why and when it is tried next."""
    world.transport.answer = lambda address: GREYLISTED
    queue_id = world.submit("carol@remote.test")
    (recipient,) = world.show(queue_id)["recipients"]
    assert recipient["state"] == "deferred"
    assert "greylisted" in recipient["why"]
    assert recipient["next_attempt_ms"] == world.now_ms() + 5 * MINUTE * 1000
    world.transport.answer = lambda address: ACCEPTED
    world.pass_time(4 * MINUTE)
    assert len(world.transport.attempts) == 1
    world.pass_time(MINUTE)
    assert world.states(queue_id) == ["delivered"]
    assert world.events(queue_id) == ["accepted", "deferred", "delivered"]


def test_an_unknown_recipient_is_reported_and_the_other_is_not(world: World) -> None:
    """550 bounces with the remote's words; the recipient that was accepted is not in the report."""
    world.transport.answer = lambda address: UNKNOWN if address.startswith("nobody") else ACCEPTED
    queue_id = world.submit("nobody@remote.test", "carol@remote.test")
    assert world.states(queue_id) == ["bounced", "delivered"]
    assert world.show(queue_id)["status"] == "partially_sent"
    (report,) = reports(world)
    assert fields(report)["Final-Recipient"] == "rfc822;nobody@remote.test"
    assert fields(report)["Status"] == "5.1.1"
    assert "no such user" in fields(report)["Diagnostic-Code"]
    assert "carol" not in str(report)
    assert report["X-Failed-Recipients"] == "nobody@remote.test"


def test_recipients_that_fail_together_are_in_one_report(world: World) -> None:
    """Three refusals in one attempt are one report about three recipients."""
    world.transport.answer = lambda address: UNKNOWN
    queue_id = world.submit("a@remote.test", "b@remote.test", "c@remote.test")
    assert world.states(queue_id) == ["bounced"] * 3
    (report,) = reports(world)
    status: Any = report.get_payload()[1]  # type: ignore[index]
    assert [part["Final-Recipient"] for part in status.get_payload()[1:]] == [
        "rfc822;a@remote.test",
        "rfc822;b@remote.test",
        "rfc822;c@remote.test",
    ]
    assert world.events(queue_id) == ["accepted", "bounced", "report"]


def test_recipients_of_one_domain_share_an_attempt_and_its_retries(world: World) -> None:
    """Two recipients at one destination go in one attempt, also the second time."""
    world.transport.answer = lambda address: GREYLISTED
    world.submit("a@remote.test", "b@other.test", "c@remote.test")
    assert sorted(len(attempt.recipients) for attempt in world.transport.attempts) == [1, 2]
    world.pass_time(6 * MINUTE)
    assert sorted(len(attempt.recipients) for attempt in world.transport.attempts[2:]) == [1, 2]


def test_a_report_that_fails_is_not_reported(world: World) -> None:
    """The empty sender gets nothing: no report about a report."""
    world.transport.answer = lambda address: UNKNOWN
    queue_id = world.submit("nobody@remote.test", sender="")
    assert world.states(queue_id) == ["bounced"]
    assert len(world.rows()) == 1


def test_a_bounce_to_a_remote_sender_is_mail_with_the_empty_sender(world: World) -> None:
    """Mail from outside that fails is reported to where it came from, once."""
    world.transport.answer = lambda address: UNKNOWN
    world.submit("nobody@remote.test", sender="dave@elsewhere.test", account=None)
    report = world.transport.attempts[-1]
    assert (report.sender, [each.address for each in report.recipients]) == ("", ["dave@elsewhere.test"])
    assert b"message/delivery-status" in b"".join(report.content.chunks())
    assert len(world.transport.attempts) == 2


def test_a_sender_that_does_not_exist_is_noted(world: World) -> None:
    """Nobody can be told: the timeline says so, and nothing is queued."""
    world.transport.answer = lambda address: UNKNOWN
    queue_id = world.submit("nobody@remote.test", sender="printer@example.test")
    assert "no report could be sent" in world.show(queue_id)["timeline"][-1]["why"]
    assert len(world.rows()) == 1


NOTIFY_CASES = [
    ("", UNKNOWN, ["failed"]),
    ("NEVER", UNKNOWN, []),
    ("SUCCESS", UNKNOWN, []),
    ("FAILURE", UNKNOWN, ["failed"]),
    ("FAILURE", ACCEPTED, []),
    ("", ACCEPTED, []),
    ("SUCCESS", ACCEPTED, ["relayed"]),
    ("success,delay", ACCEPTED, ["relayed"]),
    ("NEVER", ACCEPTED, []),
]


@pytest.mark.parametrize(("notify", "answer", "actions"), NOTIFY_CASES)
def test_reports_are_those_asked_for(
    world: World, notify: str, answer: tuple[Any, ...], actions: list[str]
) -> None:
    """RFC 3461 4.1: NOTIFY decides what is reported; without it, failures."""
    world.transport.answer = lambda address: answer
    world.submit(NewRecipient("carol@remote.test", False, notify=notify, orcpt="rfc822;c@old.test"))
    found = reports(world)
    assert [fields(report)["Action"] for report in found] == actions
    for report in found:
        assert fields(report)["Original-Recipient"] == "rfc822;c@old.test"


def test_success_is_not_reported_when_the_next_host_will_do_it(world: World) -> None:
    """RFC 3461 5.2.2: a request passed on is the next host's duty."""
    world.transport.passed_on = True
    world.submit(NewRecipient("carol@remote.test", False, notify="SUCCESS"))
    assert reports(world) == []


def test_local_success_is_reported_as_delivered(world: World) -> None:
    """A delivery to a mailbox is "delivered", not "relayed"; ENVID comes back."""
    world.submit(NewRecipient(BOB, True, notify="SUCCESS"), envid="QQ314159")
    (report,) = reports(world)
    assert fields(report)["Action"] == "delivered"
    assert fields(report, 0)["Original-Envelope-Id"] == "QQ314159"


@pytest.mark.parametrize(
    ("notify", "told"), [("", True), ("DELAY", True), ("FAILURE", False), ("NEVER", False)]
)
def test_the_delay_notice_goes_to_who_wants_it(world: World, notify: str, told: bool) -> None:
    """Without NOTIFY or with DELAY there is one notice in a day of trying; else none."""
    world.transport.answer = lambda address: GREYLISTED
    world.submit(NewRecipient("carol@remote.test", False, notify=notify))
    world.pass_time(3.9 * HOUR)
    assert reports(world) == []
    world.pass_time(20 * HOUR)
    assert [fields(report)["Action"] for report in reports(world)] == ["delayed"] * told


def test_the_whole_message_comes_back_when_asked_for(world: World) -> None:
    """RFC 3461 4.3: RET=FULL encloses the message, else its header alone."""
    world.transport.answer = lambda address: UNKNOWN
    world.submit("nobody@remote.test", ret="FULL")
    world.submit("nobody@remote.test", ret="HDRS")
    full, header = reports(world)
    assert full.get_payload()[2].get_content_type() == "message/rfc822"  # type: ignore[index, union-attr]
    assert header.get_payload()[2].get_content_type() == "text/rfc822-headers"  # type: ignore[index, union-attr]
    assert "Subject: hello" in str(header)


def test_an_alias_keeps_a_state_for_each_of_its_targets(world: World) -> None:
    """team@ is bob here and carol elsewhere: one is delivered while the other waits."""
    world.alias("team@example.test", BOB, "carol@remote.test")
    world.transport.answer = lambda address: GREYLISTED
    queue_id = world.submit(*world.expanded("team@example.test"))
    bob, carol = world.show(queue_id)["recipients"]
    assert (bob["state"], bob["original"]) == ("delivered", "team@example.test")
    assert (carol["state"], carol["address"]) == ("deferred", "carol@remote.test")
    assert world.show(queue_id)["status"] == "deferred"
    assert b"Delivered-To: team@example.test\r\n" in world.inbox(BOB)[0]


def test_aliases_in_a_circle_end(world: World) -> None:
    """A loop of aliases is cut where it closes; what is real in it is delivered once."""
    world.alias("a@example.test", BOB)
    world.alias("b@example.test", "a@example.test")
    queue_id = world.submit(*world.expanded("b@example.test"))
    assert world.states(queue_id) == ["delivered"]
    assert len(world.inbox(BOB)) == 1


def test_an_account_that_is_gone_bounces(world: World) -> None:
    """A local recipient that exists no more is a permanent failure, reported to the sender."""
    queue_id = world.submit(NewRecipient("ghost@example.test", True))
    assert world.states(queue_id) == ["bounced"]
    (report,) = reports(world)
    assert fields(report)["Status"] == "5.1.1"


def test_a_message_may_have_a_lifetime_of_its_own(world: World) -> None:
    """lifetime_ms of the message goes before the setting."""
    world.transport.answer = lambda address: UNREACHABLE
    queue_id = world.submit("carol@remote.test", lifetime_ms=HOUR * 1000)
    world.pass_time(59 * MINUTE)
    assert world.states(queue_id) == ["deferred"]
    world.pass_time(MINUTE)
    assert world.states(queue_id) == ["expired"]


def test_paused_holds_back_remote_mail_alone() -> None:
    """With delivery paused local mail flows, and show says what remote mail waits for."""
    world = World(paused=True)
    world.manager.start()
    queue_id = world.submit("carol@remote.test", BOB)
    world.pass_time(HOUR)
    assert world.states(queue_id) == ["queued", "delivered"]
    assert "paused" in world.show(queue_id, paused=True)["recipients"][0]["next"]
    world.manager.configure(world.rules(paused=False), OneHost())
    world.settle()
    assert world.states(queue_id) == ["delivered", "delivered"]


def test_a_full_destination_stands_in_nobodys_way() -> None:
    """A destination that does not answer has a long queue: mail to another goes at once."""
    world = World(
        memory={"recipients": 100, "attempts": 20}, shaping=Shaping(rules=(), default=SiteLimits(2, 2))
    )
    world.manager = world.new_manager(finder=HostOfItsOwn())
    world.manager.start()
    world.transport.answer = None
    for _ in range(40):
        world.enqueue("carol@slow.test")
    world.manager.wake()
    world.settle()
    assert world.manager.attempts_under_way == 2
    assert world.manager.sites.claimed == 4
    world.submit("dave@fast.test")
    world.settle()
    assert {attempt.recipients[0].address for attempt, _ in world.transport.waiting} == {
        "carol@slow.test",
        "dave@fast.test",
    }
    order = []
    while world.transport.waiting:
        order.append(world.transport.waiting[0][0].queue_id)
        world.transport.finish()
        world.settle()
    assert len(world.transport.attempts) == 41
    slow = [
        queue_id for queue_id in order if world.show(queue_id)["recipients"][0]["destination"] == "slow.test"
    ]
    assert slow == sorted(slow), "first come, first served"
    assert {row["status"] for row in world.rows()} == {"sent"}
