"""Parts of delivery by themselves: reports, local delivery, capture, DNS failures, the alarm."""

from __future__ import annotations

import email
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from fedaemon.delivery.bounce import FULL_OCTETS, header_block
from fedaemon.delivery.capture import CaptureFinder, CaptureTransport
from fedaemon.delivery.queue import NewRecipient
from fedaemon.delivery.records import load_message
from fedaemon.delivery.transport import NextHost
from fedaemon.errors import Refused, Unavailable
from fedaemon.store.lmdb_engine import LmdbEngine
from fedaemon.store.turns import LONGEST_SLEEP_S, Alarm
from tests.delivery.support import ALICE, BOB, CONTENT, GREYLISTED, HOUR, UNKNOWN, World


def reports(world: World, account: str = ALICE) -> list[Message]:
    return [email.message_from_bytes(octets) for octets in world.inbox(account)]


HEADER_CASES = [
    (b"A: 1\r\nB: 2\r\n\r\nbody\r\n", 100, b"A: 1\r\nB: 2\r\n"),
    (b"A: 1\r\nB: 2\r\n\r\nbody\r\n", 12, b"A: 1\r\nB: 2\r\n"),
    (b"A: 1\r\nB: 2\r\n\r\nbody\r\n", 11, b"A: 1\r\n"),
    (b"A: 1\r\nB: 2\r\n 3\r\n\r\n", 14, b"A: 1\r\n"),
    (b"A: 1\r\nB: 2", 100, b"A: 1\r\n"),
    (b"A: 1\r\nB: 2\r\n", 100, b"A: 1\r\n"),
    (b"\r\nbody", 100, b""),
    (b"A: 123456789", 5, b""),
    (b"", 5, b""),
]


@pytest.mark.parametrize(("data", "limit", "block"), HEADER_CASES)
def test_a_header_is_cut_to_whole_fields(data: bytes, limit: int, block: bytes) -> None:
    """Never half a field, nor one whose continuation is cut off."""
    assert header_block(data, limit) == block


def test_a_huge_original_gives_a_small_report(tmp_path: Path) -> None:
    """A header of a megabyte and RET=FULL of a large message enclose what fits."""
    engine = LmdbEngine.open(tmp_path)
    world = World(engine)
    world.manager.start()
    world.transport.answer = lambda address: UNKNOWN
    world.submit(
        "nobody@remote.test",
        content=b"X-Fill: " + b"x" * 70 + b"\r\n" + CONTENT + b"y" * FULL_OCTETS,
        ret="FULL",
    )
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 60) for number in range(15000))
    world.submit("nobody@remote.test", content=lines + CONTENT)
    for report in world.inbox(ALICE):
        assert len(report) < 64 * 1024
        assert b"message/delivery-status" in report
        assert b"yyyy" not in report
    engine.close()


def test_a_lost_content_is_reported_all_the_same() -> None:
    """The sender hears of the failure although the original is gone."""
    world = World()
    world.manager.start()
    world.transport.answer = lambda address: GREYLISTED
    queue_id = world.submit("carol@remote.test")
    message = world.view(lambda snapshot: load_message(snapshot, queue_id))
    world.transact(lambda transaction: world.blobs.release(transaction, message.blob))
    world.pass_time(5 * 24 * HOUR + HOUR)
    assert world.states(queue_id) == ["expired"]
    assert "Failure" in reports(world)[-1]["Subject"]


def test_a_report_follows_the_aliases_of_the_sender() -> None:
    """A bounce for an alias goes to all its targets, here and elsewhere."""
    world = World()
    world.manager.start()
    world.alias("team@example.test", BOB, "carol@remote.test")
    world.transport.answer = lambda address: UNKNOWN if "nobody" in address else GREYLISTED
    world.submit("nobody@remote.test", sender="team@example.test")
    (report,) = reports(world, BOB)
    assert report["To"] == "team@example.test"
    assert [attempt.recipients[0].address for attempt in world.transport.attempts[1:]] == [
        "carol@remote.test"
    ]


def test_the_original_of_an_alias_is_named_in_the_report() -> None:
    """Without ORCPT the address that the sender gave stands in its place."""
    world = World()
    world.manager.start()
    world.transport.answer = lambda address: UNKNOWN
    world.submit(NewRecipient("carol@remote.test", False, "list+a@example.test"))
    assert b"Original-Recipient: rfc822; list+a@example.test" in world.inbox(ALICE)[0].replace(b";l", b"; l")


def test_an_international_sender_gets_a_report() -> None:
    """A non-ASCII address needs SMTPUTF8 for its report."""
    world = World()
    world.manager.start()
    world.transport.answer = lambda address: UNKNOWN if "nobody" in address else GREYLISTED
    world.submit("nobody@remote.test", sender="jörg@remote.test", smtputf8=True)
    report = world.transport.attempts[-1]
    assert (report.sender, report.smtputf8) == ("", True)


def test_an_account_that_became_an_alias_waits() -> None:
    """Its mail is deferred with an explanation, not refused."""
    world = World()
    world.manager.start()
    world.alias("moved@example.test", BOB)
    queue_id = world.submit(NewRecipient("moved@example.test", True))
    assert world.states(queue_id) == ["deferred"]
    assert "is an alias now" in world.show(queue_id)["recipients"][0]["why"]


class FailingFinder:
    """Finds no hosts."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def find(self, destination: str) -> Deferred[tuple[NextHost, ...]]:
        return fail(self.error)


DNS_CASES = [
    (Unavailable("SERVFAIL", status="4.4.3"), "deferred"),
    (Refused("no such domain", status="5.1.2"), "bounced"),
    (RuntimeError("a bug"), "deferred"),
]


@pytest.mark.parametrize(("error", "state"), DNS_CASES)
def test_a_destination_without_hosts(error: Exception, state: str) -> None:
    """What DNS says decides; a defect of ours is temporary. The report does not blame a remote host."""
    world = World()
    world.manager = world.new_manager(finder=FailingFinder(error))
    world.manager.start()
    queue_id = world.submit("carol@remote.test")
    assert world.states(queue_id) == [state]
    for report in world.inbox(ALICE):
        assert b"Remote-MTA" not in report
        assert b"no such domain" in report


def test_capture_keeps_every_remote_message_here() -> None:
    """Local mode: each recipient's copy is in the capturing account; local mail goes as ever."""
    world = World()
    world.manager = world.new_manager(
        CaptureTransport(world.store, world.blobs, world.shaper, ALICE, world.now_ms), CaptureFinder()
    )
    world.manager.start()
    queue_id = world.submit("carol@remote.test", "dave@other.test", BOB, sender="x@elsewhere.test")
    assert world.states(queue_id) == ["delivered"] * 3
    assert sorted(world.inbox(ALICE)) == [
        b"Return-Path: <x@elsewhere.test>\r\nDelivered-To: carol@remote.test\r\n" + CONTENT,
        b"Return-Path: <x@elsewhere.test>\r\nDelivered-To: dave@other.test\r\n" + CONTENT,
    ]
    assert len(world.inbox(BOB)) == 1
    assert CaptureTransport(world.store, world.blobs, world.shaper, ALICE, world.now_ms).close().called
    found: Any = []
    CaptureFinder().find("remote.test").addCallback(found.append)
    assert [host.name for host in found[0]] == ["capture"]


def test_the_alarm_rings_at_the_earliest_time_set() -> None:
    """A later time does not put it off; None changes nothing."""
    clock = Clock()
    rung: list[float] = []
    alarm = Alarm(clock, lambda: int(clock.seconds() * 1000), lambda: rung.append(clock.seconds()))
    alarm.set(5000)
    alarm.set(9000)
    alarm.set(3000)
    alarm.set(None)
    clock.pump([1] * 10)
    assert rung == [3]
    alarm.set(1)
    clock.advance(0)
    assert rung == [3, 10]


def test_the_alarm_minds_a_clock_that_is_set() -> None:
    """It never sleeps longer than a minute on what the wall clock said."""
    clock = Clock()
    rung: list[float] = []
    alarm = Alarm(clock, lambda: 0, lambda: rung.append(clock.seconds()))
    alarm.set(10**12)
    clock.advance(LONGEST_SLEEP_S)
    assert rung == [LONGEST_SLEEP_S]


def due_now(world: World) -> int:
    """Return how many calls the reactor is to make in its next turn."""
    calls: Any = world.clock.getDelayedCalls()
    return len([call for call in calls if call.getTime() <= world.clock.seconds()])


def test_many_wakes_in_one_turn_are_one_look() -> None:
    """Each accepted message wakes delivery; a group commit of many must not cost a look each."""
    world = World()
    world.manager.start()
    world.settle()
    for _ in range(50):
        world.manager.wake()
    assert due_now(world) == 1
    stopped = world.manager.stop()
    assert stopped.called
    world.manager.wake()
    assert due_now(world) == 0
