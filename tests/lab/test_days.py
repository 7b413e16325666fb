"""Days in the life of a message among hosts that are difficult in every way, on a clock that the test turns.

The queue, the host finder and the SMTP client are the real ones. Standards: RFC 5321 4.5.4.1 (retry), RFC
3464 (what the sender hears).
"""

from __future__ import annotations

import email
from email.message import Message as Mail
from itertools import pairwise
from typing import Any

import pytest

from tests.delivery.support import ALICE, DAY, HOUR, MINUTE
from tests.lab import behaviours as does
from tests.lab.mx import Behaviour, Moment
from tests.lab.virtual import VirtualWorld

CAROL = "carol@remote.test"


@pytest.fixture
def world() -> VirtualWorld:
    return VirtualWorld()


def reports(world: VirtualWorld, account: str = ALICE) -> list[Mail]:
    """Return the delivery reports in an account's mailbox."""
    parsed = [email.message_from_bytes(octets) for octets in world.inbox(account)]
    return [message for message in parsed if message.get_content_type() == "multipart/report"]


def status_of(report: Mail) -> Mail:
    """Return the fields of a report's only recipient."""
    status: Any = report.get_payload(1)
    (_, about) = status.get_payload()
    assert isinstance(about, Mail)
    return about


def test_five_days_of_a_message_that_nobody_takes(world: VirtualWorld) -> None:
    """Whatever goes wrong meanwhile, it is tried on and on, the sender hears of it after four hours, and after
    five days it is given up with the last words of the host."""
    host = world.internet.add_domain("remote.test")
    world.internet.dead.add(host.address)
    queue_id = world.submit(CAROL)
    world.pass_time(DAY)
    world.internet.dead.clear()
    host.behave(does.says("rcpt", "421 4.3.2 Service shutting down"))
    world.pass_time(DAY)
    host.behave(does.silent("mail"))
    world.pass_time(DAY)
    host.behave(does.hangs_up("data"))
    world.pass_time(DAY)
    host.behave(does.mailbox_full())
    assert world.state(queue_id) == "deferred"
    world.pass_time(DAY + HOUR)
    assert world.state(queue_id) == "expired"
    attempts = sum(event == "deferred" for event in world.events(queue_id))
    assert 25 < attempts < 60
    delayed, failed = reports(world)
    assert status_of(delayed)["Action"] == "delayed"
    assert status_of(failed)["Action"] == "failed"
    assert "mailbox full" in status_of(failed)["Diagnostic-Code"]
    assert host.messages == []


def test_the_message_arrives_on_the_fifth_day(world: VirtualWorld) -> None:
    """A mailbox that has room again on the last day gets what waited for it, once, and no failure is told."""
    host = world.internet.add_domain("remote.test", does.mailbox_full())
    queue_id = world.submit(CAROL)
    world.pass_time(4.7 * DAY)
    assert world.state(queue_id) == "deferred"
    host.behave()
    world.pass_time(0.3 * DAY)
    assert world.state(queue_id) == "delivered"
    assert len(host.messages) == 1
    assert [status_of(report)["Action"] for report in reports(world)] == ["delayed"]


def test_the_intervals_grow_from_minutes_to_hours(world: VirtualWorld) -> None:
    """First after five minutes, never more than four hours apart."""
    host = world.internet.add_domain("remote.test", does.mailbox_full())
    world.submit(CAROL)
    world.pass_time(5 * DAY)
    times = [at_s for at_s, address in world.internet.dialled if address == host.address]
    gaps = [after - before for before, after in pairwise(times)]
    assert 4 * MINUTE < gaps[0] < 7 * MINUTE
    assert all(gap >= 4 * MINUTE for gap in gaps)
    assert max(gaps) <= 4 * HOUR + 2 * MINUTE


@pytest.mark.parametrize("for_s", [60, 300, 900])
def test_greylisting_passes_by_itself(world: VirtualWorld, for_s: int) -> None:
    """Nobody has to do anything, and the sender hears nothing."""
    host = world.internet.add_domain("remote.test", does.greylists(for_s))
    queue_id = world.submit(CAROL)
    world.pass_time(30 * MINUTE)
    assert world.state(queue_id) == "delivered"
    assert world.events(queue_id).count("deferred") <= 3
    assert len(host.messages) == 1
    assert reports(world) == []


@pytest.mark.parametrize(
    "reply", [does.FULL, "452 4.2.2 <{}>: over quota", "550 5.2.2 <{}> The mailbox is full"]
)
def test_a_full_mailbox_is_tried_again(world: VirtualWorld, reply: str) -> None:
    """Whatever code it came with."""
    host = world.internet.add_domain("remote.test", does.mailbox_full(reply))
    queue_id = world.submit(CAROL)
    world.pass_time(6 * HOUR)
    assert (world.state(queue_id), world.last(queue_id)["category"]) == ("deferred", "capacity")
    host.behave()
    world.pass_time(4 * HOUR)
    assert world.state(queue_id) == "delivered"


@pytest.mark.parametrize(
    ("behaviour", "phase"),
    [
        (does.silent("connect"), "greeting"),
        (does.silent("ehlo"), "ehlo"),
        (does.silent("mail"), "mail"),
        (does.silent("rcpt"), "rcpt"),
        (does.silent("data"), "data"),
        (does.silent("content"), "content"),
        (does.hangs_up("connect"), "greeting"),
        (does.hangs_up("ehlo"), "ehlo"),
        (does.hangs_up("mail"), "mail"),
        (does.hangs_up("rcpt"), "rcpt"),
        (does.hangs_up("data"), "data"),
        (does.hangs_up("content"), "content"),
    ],
)
def test_network_trouble_at_every_step_is_tried_again(
    world: VirtualWorld, behaviour: Behaviour, phase: str
) -> None:
    """A host that falls silent or hangs up costs time, never the message."""
    host = world.internet.add_domain("remote.test", behaviour, extensions=("8BITMIME",))
    queue_id = world.submit(CAROL)
    world.pass_time(15 * MINUTE, step=10)
    last = world.last(queue_id)
    assert (world.state(queue_id), last["phase"], last["category"]) == ("deferred", phase, "network")
    host.behave()
    world.pass_time(2 * HOUR)
    assert world.state(queue_id) == "delivered"
    assert len(host.messages) == 1
    assert host.open == 0


def test_a_host_that_answers_each_command_after_a_minute_gets_its_mail(world: VirtualWorld) -> None:
    """RFC 5321 4.5.3.2: there are five minutes for most replies."""
    host = world.internet.add_domain("remote.test", does.slow(60))
    queue_id = world.submit(CAROL)
    world.pass_time(12 * MINUTE, step=5)
    assert world.state(queue_id) == "delivered"
    assert host.connections == 1


@pytest.mark.parametrize(("keep", "copies"), [(False, 1), (True, 2)])
def test_the_reply_to_the_last_dot_is_lost(world: VirtualWorld, keep: bool, copies: int) -> None:
    """RFC 5321 4.5.4.1: a message is never lost for it; that it may come twice is the price, and no more."""
    host = world.internet.add_domain("remote.test", does.first(1, does.hangs_up("content", keep=keep)))
    queue_id = world.submit(CAROL)
    world.pass_time(HOUR)
    assert world.state(queue_id) == "delivered"
    assert len(host.messages) == copies


def test_a_host_that_nobody_reaches_is_left_for_the_next_one(world: VirtualWorld) -> None:
    """The second mail exchanger gets the message at the first attempt."""
    first = world.internet.add_domain("remote.test")
    second = world.internet.add_domain("other.test")
    world.internet.add_domain("remote.test", host=second)
    world.internet.deaf.add(first.address)
    queue_id = world.submit(CAROL)
    world.pass_time(MINUTE, step=5)
    assert world.state(queue_id) == "delivered"
    assert world.events(queue_id) == ["accepted", "delivered"]
    assert second.got(CAROL)


def test_each_recipient_gets_an_answer_of_its_own(world: VirtualWorld) -> None:
    """One unknown, one full, one fine: one transaction, three results."""
    host = world.internet.add_domain("remote.test", does.refuses("nobody"), does.refuses("full", does.FULL))
    queue_id = world.submit("nobody@remote.test", "full@remote.test", CAROL)
    world.settle()
    world.pass_time(1)
    assert world.states(queue_id) == ["bounced", "deferred", "delivered"]
    assert host.connections == 1
    (report,) = reports(world)
    assert "nobody@remote.test" in status_of(report)["Final-Recipient"]


@pytest.mark.parametrize(
    ("phase", "reply", "state", "category"),
    [
        ("connect", "554 5.7.1 Service unavailable; Client host [192.0.2.99] blocked using zen.spamhaus.org",
         "deferred", "blocklist"),
        ("mail", "550 5.7.1 Unfortunately, messages from [192.0.2.99] weren't sent. Please contact your Internet"
         " service provider since part of their network is on our block list (S3140).", "deferred", "blocklist"),
        ("mail", "421 4.7.0 [TSS04] Messages from 192.0.2.99 temporarily deferred due to user complaints",
         "deferred", None),
        ("connect", "421 4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your"
         " IP address. To protect our users from spam, mail sent from your IP address has been temporarily rate"
         " limited.", "deferred", None),
        ("rcpt", "450 4.2.1 The user you are trying to contact is receiving mail too quickly.", "deferred", None),
        ("content", "554 5.3.0 Service currently unavailable, please try again later", "deferred", None),
        ("rcpt", "550 Requested action not taken: mailbox temporarily unavailable, try later", "deferred", None),
        ("rcpt", "550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n"
         "550 5.1.1 double-checking the recipient's email address for typos", "bounced", "recipient"),
        ("rcpt", "550 5.4.1 Recipient address rejected: Access denied.", "bounced", None),
        ("content", "552 5.7.0 This message was blocked because its content presents a potential security issue.",
         "bounced", None),
        ("content", "550 5.7.1 Message contains a virus (Eicar-Test-Signature)", "bounced", "virus"),
        ("content", "550 5.7.1 Message rejected as spam by content filter", "bounced", "spam"),
    ],
)  # fmt: skip
def test_what_providers_say_is_understood(
    world: VirtualWorld, phase: str, reply: str, state: str, category: str | None
) -> None:
    """Trouble with us or with today is tried again, a no to the recipient or the content is taken for one."""
    world.internet.add_domain("remote.test", does.says(phase, reply))
    queue_id = world.submit(CAROL)
    world.pass_time(1)
    assert world.state(queue_id) == state
    if category is not None:
        assert world.last(queue_id)["category"] == category
    assert len(reports(world)) == (state == "bounced")


def test_a_domain_that_does_not_exist_bounces(world: VirtualWorld) -> None:
    """DNS says so for certain."""
    queue_id = world.submit("carol@nowhere.test")
    world.pass_time(1)
    assert world.state(queue_id) == "bounced"
    assert "nowhere.test" in str(reports(world)[0])


def test_a_host_that_recovers_within_the_night(world: VirtualWorld) -> None:
    """Trouble of three kinds in one night; in the morning the message is there, once."""
    host = world.internet.add_domain("remote.test")
    night_s = 8 * HOUR

    def trouble(moment: Moment) -> bool:
        return moment.now_s > night_s

    host.behave(
        does.until(trouble, does.first(2, does.says("connect", "421 4.3.2 System going down"))),
        does.until(trouble, does.says("rcpt", "451 4.3.0 Internal error")),
    )
    queue_id = world.submit(CAROL)
    world.pass_time(night_s + 4 * HOUR + 10 * MINUTE)
    assert world.state(queue_id) == "delivered"
    assert len(host.messages) == 1
