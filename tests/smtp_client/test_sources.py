"""Where connections come from, and what they call themselves there."""

from __future__ import annotations

from twisted.internet.error import ConnectBindError

from fedaemon.delivery.transport import Result, Source
from tests.smtp_client.fakes import FakeServer
from tests.smtp_client.world import REMOTE, World, host

FOUR = Source("198.51.100.1", "out1.example.org")
OTHER = Source("198.51.100.2", "out2.example.org")
SIX = Source("2001:db8::99", "out6.example.org")


def test_the_first_source_of_the_family_is_used_with_its_name() -> None:
    server = FakeServer()
    world = World(server)
    outcome = world.outcome(sources=(SIX, FOUR, OTHER))
    assert (outcome.result, outcome.source) == (Result.DELIVERED, "198.51.100.1")
    assert world.reactor.bound == [("198.51.100.1", 0)]
    assert server.commands[0] == "EHLO out1.example.org"


def test_addresses_of_a_family_without_a_source_are_passed_over() -> None:
    world = World()
    six = FakeServer()
    world.reactor.servers = {REMOTE[0]: FakeServer(), "2001:db8::1": six}
    outcome = world.outcome(host(REMOTE[0], "2001:db8::1"), sources=(SIX,))
    assert (outcome.address, outcome.source) == ("2001:db8::1", "2001:db8::99")
    assert world.reactor.dialled == ["2001:db8::1"]
    assert six.commands[0] == "EHLO out6.example.org"


def test_a_destination_that_no_source_can_reach_says_so() -> None:
    world = World(FakeServer())
    outcome = world.outcome(sources=(SIX,))
    assert (outcome.result, outcome.status) == (Result.TEMPORARY, "4.4.4")
    assert "a family for which there is a source address" in outcome.text
    assert world.reactor.dialled == []


def test_without_sources_the_system_chooses_and_the_address_is_told() -> None:
    world = World(FakeServer())
    assert world.outcome().source == "192.0.2.99"
    assert world.reactor.bound == [None]


def test_a_connection_from_another_source_is_not_taken() -> None:
    """What a blocklist says of one address must not hit the message that was to leave from another."""
    world = World(FakeServer())
    sources = [world.outcome(sources=(FOUR, OTHER)).source]
    world.finished.clear()
    sources.append(world.outcome(sources=(OTHER, FOUR)).source)
    assert sources == ["198.51.100.1", "198.51.100.2"]
    assert len(world.reactor.transports) == 2


def test_a_source_that_this_machine_does_not_have_is_named() -> None:
    world = World(ConnectBindError(99, "Cannot assign requested address"))
    outcome = world.outcome(sources=(FOUR,))
    assert (outcome.result, outcome.source) == (Result.TEMPORARY, "198.51.100.1")
    assert "the source address 198.51.100.1 cannot be used" in outcome.text
