"""What one message teaches about a site holds for all others: connections, concurrency, outages, blocklists.

On a clock that the test turns, with the real queue, host finder and SMTP client. Standards: RFC 5321 4.5.4.1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fedaemon.delivery.actions import retry
from fedaemon.delivery.sites.shaping import Shaping, SiteLimits
from fedaemon.delivery.transport import ConnectionLimits, Outcome, Result, Source
from tests.delivery.support import BOB, HOUR, MINUTE
from tests.lab import behaviours as does
from tests.lab.virtual import OUR_ADDRESS, VirtualWorld

CAROL = "carol@remote.test"


@pytest.fixture
def world() -> VirtualWorld:
    return VirtualWorld()


def many(count: int, domain: str = "remote.test") -> list[str]:
    """Return addresses at a domain."""
    return [f"u{number}@{domain}" for number in range(count)]


def limited(**limits: Any) -> dict[str, Any]:
    """Return rules with these limits for every site; *messages* is for a connection."""
    messages = limits.pop("messages", 100)
    return {"shaping": Shaping((), SiteLimits(connection=ConnectionLimits(messages), **limits))}


def states(world: VirtualWorld, ids: list[str]) -> set[str]:
    return {world.state(queue_id) for queue_id in ids}


# -- Connections


def test_connections_are_reused(world: VirtualWorld) -> None:
    """Sixty messages to one host need a handful of connections."""
    host = world.internet.add_domain("remote.test")
    ids = world.submit_many(many(60))
    world.pass_time(20, step=0.1)
    assert states(world, ids) == {"delivered"}
    assert host.connections <= 20
    assert max(host.carried().values()) >= 2


def test_the_limit_of_messages_on_a_connection_is_kept() -> None:
    """What the settings say is what a host sees."""
    world = VirtualWorld(**limited(messages=3))
    host = world.internet.add_domain("remote.test")
    ids = world.submit_many(many(20))
    world.pass_time(20, step=0.1)
    assert states(world, ids) == {"delivered"}
    assert max(host.carried().values()) == 3


def test_a_host_that_takes_few_messages_on_a_connection_is_learned_from() -> None:
    """The message that meets the 421 goes on at once on another connection; then connections end in time."""
    world = VirtualWorld(**limited(connections=1, initial=1))
    host = world.internet.add_domain("remote.test", does.has_enough_after(4))
    ids = world.submit_many(many(40))
    world.pass_time(30, step=0.1)
    assert states(world, ids) == {"delivered"}
    assert max(host.carried().values()) == 4
    assert host.turned_away <= 2, "what was learned was not minded"
    assert all("deferred" not in world.events(queue_id) for queue_id in ids)


def test_concurrency_adapts_to_a_host_that_bears_three_connections(world: VirtualWorld) -> None:
    """It begins with five, is turned away, and finds a number that is borne: all arrives, with few refusals."""
    host = world.internet.add_domain("remote.test", does.bears(3), does.slow(0.3, "content"))
    ids = world.submit_many(many(100))
    world.pass_time(30, step=0.5)
    assert len(host.messages) >= 70, "a site that wants fewer connections does not want fewer messages"
    world.pass_time(20 * MINUTE, step=0.5)
    assert states(world, ids) == {"delivered"}
    assert host.turned_away <= 20
    assert len(host.messages) == 100


def test_success_earns_more_connections(world: VirtualWorld) -> None:
    """A site that takes everything gets more at a time than it began with, and never more than the limit."""
    host = world.internet.add_domain("remote.test", does.slow(0.5, "content"))
    world.submit_many(many(120))
    world.pass_time(60, step=0.1)
    assert len(host.messages) == 120
    assert 5 < host.most_open <= 20


def test_two_domains_with_the_same_hosts_are_one_site() -> None:
    """They share one limit and each other's connections."""
    world = VirtualWorld(**limited(connections=2, initial=2))
    host = world.internet.add_domain("one.test", does.slow(0.1, "content"))
    world.internet.add_domain("two.test", host=host)
    ids = world.submit_many([*many(10, "one.test"), *many(10, "two.test")])
    world.pass_time(20, step=0.1)
    assert states(world, ids) == {"delivered"}
    assert host.most_open <= 2
    shared = [
        {address.partition("@")[2] for message in host.messages if message.connection == number
         for address in message.recipients}
        for number in host.carried()
    ]  # fmt: skip
    assert {"one.test", "two.test"} in shared


# -- Outages


@pytest.mark.parametrize("kind", ["dead", "deaf"])
def test_a_dead_site_is_dialled_few_times_for_many_messages(world: VirtualWorld, kind: str) -> None:
    """Eighty messages wait behind a probe now and then; the first that gets through lets all others follow."""
    host = world.internet.add_domain("remote.test")
    gone = getattr(world.internet, kind)
    gone.add(host.address)
    ids = world.submit_many(many(80))
    world.pass_time(6 * HOUR)
    assert states(world, ids) == {"deferred"}
    probes = world.dials(host)
    assert 8 <= probes <= 30, f"{probes} connections in six hours"
    gone.clear()
    world.pass_time(40 * MINUTE)
    assert states(world, ids) == {"delivered"}
    assert len(host.messages) == 80


def test_one_dead_site_holds_up_nobody_else(world: VirtualWorld) -> None:
    """Mail for a host that is well goes at once, whatever waits for others."""
    dead = world.internet.add_domain("dead.test")
    world.internet.deaf.add(dead.address)
    world.submit_many(many(100, "dead.test"))
    well = world.internet.add_domain("remote.test")
    ids = world.submit_many(many(10))
    world.pass_time(5, step=0.1)
    assert states(world, ids) == {"delivered"}
    assert len(well.messages) == 10


def test_a_restart_does_not_hammer(world: VirtualWorld) -> None:
    """What waited for a dead site before the restart waits for it afterwards, and what was greylisted, too."""
    dead = world.internet.add_domain("dead.test")
    grey = world.internet.add_domain("grey.test", does.greylists(HOUR))
    world.internet.dead.add(dead.address)
    ids = world.submit_many([*many(40, "dead.test"), *many(40, "grey.test")])
    world.pass_time(12 * MINUTE)
    offered = len(grey.offered)
    world.restart()
    began_s = world.clock.seconds()
    world.pass_time(60, step=1)
    assert world.dials(dead, began_s) <= 1
    assert len(grey.offered) - offered <= 8, "the restart brought attempts forward"
    world.internet.dead.clear()
    world.pass_time(3 * HOUR)
    assert states(world, ids) == {"delivered"}


def test_a_crash_under_way_loses_nothing_and_doubles_little(world: VirtualWorld) -> None:
    """Killed in the middle of a burst: all arrives; twice only what was at its last reply."""
    host = world.internet.add_domain("remote.test", does.slow(0.2, "content"))
    ids = world.submit_many(many(60))
    world.pass_time(1.5, step=0.1)
    under_way = host.open
    assert 0 < len(host.messages) < 60
    world.restart()
    world.pass_time(HOUR, step=10)
    assert states(world, ids) == {"delivered"}
    assert {address for message in host.messages for address in message.recipients} == set(many(60))
    assert len(host.messages) <= 60 + under_way


def test_the_administrators_word_is_not_overwritten(world: VirtualWorld) -> None:
    """``queue retry`` opens a site that is down, also when the daemon writes about it before it has looked."""
    host = world.internet.add_domain("remote.test")
    world.internet.dead.add(host.address)
    queue_id = world.submit(CAROL)
    world.pass_time(5, step=0.5)
    (site,) = world.manager.sites
    assert site.until_ms(world.now_ms(), ())
    world.transact(lambda transaction: retry(transaction, queue_id, world.now_ms()))
    site.note_error(Outcome(0, Result.TEMPORARY, "once more"), world.now_ms())
    world.pass_time(5, step=0.5)
    world.internet.dead.clear()
    world.manager.foreign_commit()
    world.pass_time(2, step=0.5)
    assert world.state(queue_id) == "delivered"


def test_what_closes_a_site_is_known_with_the_outcome(world: VirtualWorld) -> None:
    """Whoever reads that an attempt failed can open the site at once: its record is not written later."""
    host = world.internet.add_domain("remote.test")
    world.internet.dead.add(host.address)
    queue_id = world.submit(CAROL)
    world.pass_time(0.5, step=0.05)
    assert world.state(queue_id) == "deferred"
    world.internet.dead.clear()
    world.transact(lambda transaction: retry(transaction, queue_id, world.now_ms()))
    world.manager.foreign_commit()
    world.pass_time(2, step=0.5)
    assert world.state(queue_id) == "delivered"


# -- Blocklists and slow-downs


def test_a_blocklisted_server_waits_an_hour_and_bounces_nothing(world: VirtualWorld) -> None:
    """One connection an hour asks whether it is over; when it is, all mail goes."""
    host = world.internet.add_domain("remote.test", does.blocklists(OUR_ADDRESS))
    ids = world.submit_many(many(30))
    world.pass_time(5 * HOUR)
    assert states(world, ids) == {"deferred"}
    assert {world.last(queue_id)["category"] for queue_id in ids if world.recipient(queue_id).attempts} == {
        "blocklist"
    }
    assert world.dials(host) <= 40
    host.behave()
    world.pass_time(2.5 * HOUR)
    assert states(world, ids) == {"delivered"}


def test_another_source_address_takes_over() -> None:
    """The message goes on within seconds from the second address; the first rests there for about an hour."""
    sources = (Source("192.0.2.1", "a.example.test"), Source("192.0.2.2", "b.example.test"))
    world = VirtualWorld(sources=sources)
    host = world.internet.add_domain("remote.test", does.blocklists("192.0.2.1"))
    first = world.submit(CAROL)
    world.pass_time(10, step=0.5)
    assert world.state(first) == "delivered"
    assert (host.peers, host.names[-1]) == (["192.0.2.1", "192.0.2.2"], "b.example.test")
    ids = []
    for _ in range(8):
        ids.append(world.submit(CAROL))
        world.pass_time(5 * MINUTE)
    assert host.peers.count("192.0.2.1") == 1
    assert states(world, ids) == {"delivered"}
    host.behave()
    world.pass_time(30 * MINUTE)
    world.submit(CAROL)
    world.pass_time(10)
    assert host.peers[-1] == "192.0.2.1", "the better address is used again when its hour is over"


def test_a_site_that_asks_for_less_gets_less(world: VirtualWorld) -> None:
    """A slow-down lowers the rate for a while; nothing bounces, and all arrives."""
    burst: list[float] = []

    def throttles(moment: Any) -> str | None:
        if moment.phase != "rcpt":
            return None
        recent = [at_s for at_s in burst if at_s > moment.now_s - 60]
        if len(recent) >= 20:
            return "450 4.7.0 You are sending too many messages too quickly, slow down"
        burst.append(moment.now_s)
        return None

    host = world.internet.add_domain("remote.test", throttles)
    ids = world.submit_many(many(100))
    world.pass_time(30, step=0.5)
    assert "delivered" in states(world, ids)
    asked = len(host.offered)
    assert asked <= 60, "it went on as before"
    world.pass_time(2 * HOUR, step=5)
    assert states(world, ids) == {"delivered"}
    assert len(host.offered) <= 200


def test_one_accounts_flood_delays_nobody_else() -> None:
    """Deficit round robin: what another account sends goes by turns, not behind the flood."""
    world = VirtualWorld(**limited(connections=2, initial=2))
    host = world.internet.add_domain("remote.test", does.slow(0.1, "content"))
    world.submit_many(many(100))
    world.pass_time(0.5, step=0.1)
    mine = world.submit(CAROL, account=BOB, sender=BOB)
    world.pass_time(2, step=0.1)
    assert world.state(mine) == "delivered"
    assert len(host.messages) < 60
    world.pass_time(30, step=0.1)
    assert len(host.messages) == 101


def test_what_waits_survives_other_settings(world: VirtualWorld) -> None:
    """A pause of everything by the settings holds remote mail, and its end lets it go."""
    host = world.internet.add_domain("remote.test")
    finder = world.manager._remote.finder
    world.manager.configure(replace(world.rules(), paused=True), finder)
    ids = world.submit_many(many(5))
    world.pass_time(10 * MINUTE)
    assert host.connections == 0
    world.manager.configure(world.rules(), finder)
    world.pass_time(5, step=0.1)
    assert states(world, ids) == {"delivered"}
