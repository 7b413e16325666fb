"""DELIVERBY and MT-PRIORITY on the way to the next host."""

from __future__ import annotations

import pytest

from fedaemon.delivery.transport import ConnectionLimits, Result
from tests.smtp_client.fakes import EXTENDED, FakeServer
from tests.smtp_client.world import REMOTE, World, host


def offering(*extensions: str) -> str:
    return "\r\n".join(
        [EXTENDED.replace("250 ", "250-"), *(f"250-{each}" for each in extensions), "250 HELP"]
    )


def mail(server: FakeServer) -> list[str]:
    """The parameters of the last MAIL."""
    return next(command for command in reversed(server.commands) if command.startswith("MAIL")).split()[2:]


@pytest.mark.parametrize("mode", ["R", "N", "RT", "NT"])
def test_the_time_left_is_passed_on(mode: str) -> None:
    """RFC 2852: what is passed on is what is left now, not what was given."""
    server = FakeServer(EHLO=offering("DELIVERBY 30"), connect="220-wait")
    world = World(server)
    world.start(deliver_by_s=120, deliver_by_mode=mode)
    world.reactor.advance(20)
    world.reactor.transports[0].deliver(b"220 go\r\n")
    world.reactor.run()
    assert f"BY=100;{mode}" in mail(server)
    assert world.finished[0][0].result is Result.DELIVERED


def test_a_message_that_is_late_already_is_still_relayed_when_only_a_notice_is_due() -> None:
    server = FakeServer(EHLO=offering("DELIVERBY"))
    assert World(server).outcome(deliver_by_s=-2_000_000_000, deliver_by_mode="N").result is Result.DELIVERED
    assert "BY=-999999999;N" in mail(server)


def test_a_host_without_it_gets_what_only_needs_a_notice() -> None:
    server = FakeServer()
    assert World(server).outcome(deliver_by_s=60, deliver_by_mode="NT").result is Result.DELIVERED
    assert not any(each.startswith("BY=") for each in mail(server))


def test_a_host_without_it_does_not_get_what_must_be_returned_in_time() -> None:
    able = FakeServer(EHLO=offering("DELIVERBY"))
    outcome = World(FakeServer(), able).outcome(deliver_by_s=60, deliver_by_mode="R")
    assert (outcome.result, outcome.address) == (Result.DELIVERED, REMOTE[1])
    unable = World(FakeServer(), FakeServer()).outcome(deliver_by_s=60, deliver_by_mode="R")
    assert (unable.result, unable.status, unable.code) == (Result.PERMANENT, "5.3.3", 0)


def test_a_host_that_wants_more_time_than_is_left_is_passed_over() -> None:
    server = FakeServer(EHLO=offering("DELIVERBY 240"))
    outcome = World(server).outcome(deliver_by_s=60, deliver_by_mode="R")
    assert (outcome.result, outcome.status) == (Result.PERMANENT, "5.4.7")
    assert "MAIL" not in " ".join(server.commands)


def test_what_must_be_returned_and_is_late_goes_to_nobody() -> None:
    """The time may also run out while hosts are being tried."""
    server = FakeServer(EHLO=offering("DELIVERBY"), connect="220-wait")
    world = World(server)
    world.start(host(), deliver_by_s=10, deliver_by_mode="RT")
    world.reactor.advance(10)
    world.reactor.transports[0].deliver(b"220 go\r\n")
    world.reactor.run()
    [outcome] = world.finished[0]
    assert (outcome.result, outcome.status) == (Result.PERMANENT, "5.4.7")
    assert "MAIL" not in " ".join(server.commands)


@pytest.mark.parametrize(
    ("extensions", "priority", "sent"),
    [
        (("MT-PRIORITY MIXER",), 4, ["MT-PRIORITY=4"]),
        (("MT-PRIORITY",), -9, ["MT-PRIORITY=-9"]),
        (("MT-PRIORITY",), 0, []),
        ((), 4, []),
    ],
)
def test_the_priority_is_passed_on_where_it_is_offered(
    extensions: tuple[str, ...], priority: int, sent: list[str]
) -> None:
    server = FakeServer(EHLO=offering(*extensions))
    assert World(server).outcome(priority=priority).result is Result.DELIVERED
    assert [each for each in mail(server) if each.startswith("MT-PRIORITY")] == sent


def test_the_sites_limit_of_recipients_holds_beside_the_servers() -> None:
    for ehlo, transactions in (
        (EXTENDED, 3),
        (offering("LIMITS RCPTMAX=1"), 5),
        (offering("LIMITS RCPTMAX=9"), 3),
    ):
        server = FakeServer(EHLO=ehlo)
        outcomes = World(server).outcomes(to=5, limits=ConnectionLimits(recipients=2))
        assert {outcome.result for outcome in outcomes} == {Result.DELIVERED}
        assert len(server.contents) == transactions


@pytest.mark.parametrize(
    ("mode", "ehlo", "lost"),
    [("N", EXTENDED, True), ("N", offering("DELIVERBY"), False), ("", EXTENDED, False)],
)
def test_it_is_said_when_the_next_host_does_not_know_of_the_time(mode: str, ehlo: str, lost: bool) -> None:
    """RFC 2852: then the sender is told that the message was relayed where nobody minds it."""
    outcome = World(FakeServer(EHLO=ehlo)).outcome(deliver_by_s=120, deliver_by_mode=mode)
    assert (outcome.result, outcome.limit_lost) == (Result.DELIVERED, lost)
