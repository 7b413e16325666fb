"""When a message is to go, as its sender wished: held, by a time, before others.

On a clock that the test turns, with the real queue, host finder and SMTP client.
Standards: RFC 2852 (DELIVERBY), RFC 4865 (FUTURERELEASE), RFC 6710 (MT-PRIORITY).
"""

from __future__ import annotations

import email

import pytest

from fedaemon.delivery.sites.shaping import Shaping, SiteLimits
from tests.delivery.support import ALICE, HOUR, MINUTE, START_MS
from tests.lab import behaviours as does
from tests.lab.mx import EXTENSIONS
from tests.lab.virtual import VirtualWorld

CAROL = "carol@remote.test"


@pytest.fixture
def world() -> VirtualWorld:
    return VirtualWorld()


def test_a_message_is_held_until_its_release(world: VirtualWorld) -> None:
    """FUTURERELEASE: not a second early, and then at once."""
    host = world.internet.add_domain("remote.test")
    queue_id = world.submit(CAROL, release_ms=START_MS + 3 * HOUR * 1000)
    world.pass_time(3 * HOUR - 1)
    assert world.internet.dialled == []
    world.pass_time(10, step=1)
    assert world.state(queue_id) == "delivered"
    assert host.messages[0].at_s >= 3 * HOUR


def test_deliver_by_return_ends_in_time(world: VirtualWorld) -> None:
    """RFC 2852 with R: after the time it is returned to the sender, not delivered late."""
    host = world.internet.add_domain(
        "remote.test", does.greylists(HOUR), extensions=(*EXTENSIONS, "DELIVERBY")
    )
    queue_id = world.submit(CAROL, deliver_by_ms=START_MS + 30 * MINUTE * 1000, deliver_by_mode="R")
    world.pass_time(2 * HOUR)
    assert world.state(queue_id) in ("bounced", "expired")
    assert host.messages == []
    (report,) = [email.message_from_bytes(octets) for octets in world.inbox(ALICE)]
    assert "Action: failed" in str(report)
    assert "Status: 5.4.7" in str(report)
    assert world.recipient(queue_id).finished_ms <= START_MS + 31 * MINUTE * 1000


def test_deliver_by_notify_tells_and_goes_on(world: VirtualWorld) -> None:
    """RFC 2852 with N: the sender hears that it is late, and it is delivered all the same."""
    host = world.internet.add_domain("remote.test", does.greylists(HOUR))
    queue_id = world.submit(CAROL, deliver_by_ms=START_MS + 30 * MINUTE * 1000, deliver_by_mode="N")
    world.pass_time(35 * MINUTE)
    (report,) = [email.message_from_bytes(octets) for octets in world.inbox(ALICE)]
    assert "Action: delayed" in str(report)
    world.pass_time(2 * HOUR)
    assert world.state(queue_id) == "delivered"
    assert host.got(CAROL)


def test_the_time_that_is_left_is_passed_on(world: VirtualWorld) -> None:
    """A host that knows DELIVERBY hears how many seconds are left, not how many there were."""
    host = world.internet.add_domain(
        "remote.test", does.greylists(MINUTE), extensions=(*EXTENSIONS, "DELIVERBY 10")
    )
    queue_id = world.submit(CAROL, deliver_by_ms=START_MS + HOUR * 1000, deliver_by_mode="R")
    world.pass_time(10 * MINUTE)
    assert world.state(queue_id) == "delivered"
    seconds, mode = host.messages[0].parameters["BY"].split(";")
    assert mode == "R"
    assert HOUR - 8 * MINUTE < int(seconds) < HOUR - 4 * MINUTE


def test_urgent_mail_goes_first() -> None:
    """MT-PRIORITY: of what waits for one connection the urgent goes first, the rest last; and it is passed on."""
    world = VirtualWorld(shaping=Shaping((), SiteLimits(connections=1, initial=1)))
    host = world.internet.add_domain(
        "remote.test", does.slow(0.2, "content"), extensions=(*EXTENSIONS, "MT-PRIORITY")
    )
    for name, priority in (("low", -6), ("normal", 0), ("high", 6)):
        for number in range(4):
            world.enqueue(f"{name}{number}@remote.test", priority=priority)
    world.manager.wake()
    world.pass_time(10, step=0.1)
    order = [next(iter(message.recipients))[:-13] for message in host.messages]
    assert order == ["high"] * 4 + ["normal"] * 4 + ["low"] * 4
    assert host.messages[0].parameters["MT-PRIORITY"] == "6"
