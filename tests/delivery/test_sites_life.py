"""Sites at work: what one message teaches is minded for all others, also by the next run of the server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import succeed

from fedaemon.delivery import pauses
from fedaemon.delivery.sites.shaping import Shaping, SiteLimits
from fedaemon.delivery.transport import Attempt, NextHost, Outcome, Result, Source
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import LINE, SITE
from tests.delivery.support import (
    ACCEPTED,
    ALICE,
    BOB,
    HOUR,
    MINUTE,
    UNKNOWN,
    UNREACHABLE,
    HostOfItsOwn,
    OneHost,
    ScriptedTransport,
    World,
)

BLOCKLISTED = (
    Result.PERMANENT,
    "Service unavailable; client host blocked using Spamhaus",
    550,
    "5.7.1",
    "rcpt",
)
TOO_MUCH = (Result.TEMPORARY, "too many messages from your IP, slow down", 451, "4.7.0", "mail")
CUT_OFF = (Result.TEMPORARY, "too many connections, try later", 421, "4.7.0", "greeting")


class WithSource(ScriptedTransport):
    """Says from which source an attempt came: the first it was given, or else *chosen*."""

    def __init__(self, chosen: str = "") -> None:
        super().__init__()
        self.chosen = chosen

    def outcomes(self, attempt: Attempt, answer: Any) -> list[Outcome]:
        source = attempt.sources[0].address if attempt.sources else self.chosen
        return [replace(each, source=source) for each in super().outcomes(attempt, answer)]


@pytest.fixture
def world() -> World:
    world = World()
    world.manager.start()
    return world


def started(**more: Any) -> World:
    world = World(**more)
    world.manager.start()
    return world


def tried(world: World) -> int:
    return len(world.transport.attempts)


def test_one_failure_holds_up_the_rest_of_the_site(world: World) -> None:
    """A dead host is dialled once: what comes for it afterwards waits, and nothing else does."""
    world.transport.answer = lambda address: UNREACHABLE
    world.submit("carol@remote.test")
    assert tried(world) == 1
    ids = [world.submit(f"u{number}@d{number}.test") for number in range(50)]
    world.settle()
    assert tried(world) <= 2, "they have the same host; only the first was not known to"
    assert {world.recipient(queue_id).attempts for queue_id in ids} <= {0, 1}
    assert all(world.recipient(queue_id).next_attempt_ms > world.now_ms() for queue_id in ids)


def test_a_probe_and_then_the_rest(world: World) -> None:
    """While the site is down it is probed by one attempt at a time; when that succeeds all mail goes at once."""
    world.transport.answer = lambda address: UNREACHABLE
    ids = [world.submit("carol@remote.test") for _ in range(30)]
    world.pass_time(3 * HOUR)
    probes = tried(world)
    assert probes < 60, f"{probes} attempts in three hours for thirty messages"
    world.transport.answer = lambda address: ACCEPTED
    world.pass_time(33 * MINUTE)
    assert {tuple(world.states(queue_id)) for queue_id in ids} == {("delivered",)}


def test_what_the_site_deferred_by_a_reply_keeps_its_time(world: World) -> None:
    """A recovery lets go what waited for the connection, not what was greylisted."""
    world.transport.answer = lambda address: (Result.TEMPORARY, "greylisted", 451, "4.7.1", "rcpt")
    greylisted = world.submit("grey@remote.test")
    due_ms = world.recipient(greylisted).next_attempt_ms
    world.transport.answer = lambda address: UNREACHABLE
    world.submit("carol@remote.test")
    world.transport.answer = lambda address: ACCEPTED
    world.pass_time(2 * MINUTE)
    world.submit("dave@remote.test")
    world.settle()
    assert world.recipient(greylisted).next_attempt_ms == due_ms


def test_the_next_run_does_not_hammer_a_site_that_was_down() -> None:
    """Being down is remembered: after a restart the first attempt comes when the time has come."""
    world = started()
    world.transport.answer = lambda address: UNREACHABLE
    for _ in range(10):
        world.submit("carol@remote.test")
    world.pass_time(75, step=1)
    (record,) = [decode(value) for key, value in world.engine.entries.items() if key[0] == SITE]
    assert record["failures"] >= 1
    assert record["last_error"]["phase"] == "connect"
    world.kill()
    world.manager.start()
    world.settle()
    fresh = [world.submit("new@remote.test") for _ in range(5)]
    assert tried(world) == 0
    world.pass_time(HOUR)
    assert {tuple(world.states(queue_id)) for queue_id in fresh} == {("delivered",)}


def test_the_administrators_nudge_opens_a_site(world: World) -> None:
    """fedaemonctl queue retry writes it down; the daemon tries at once."""
    world.transport.answer = lambda address: UNREACHABLE
    queue_id = world.submit("carol@remote.test")
    world.pass_time(5)
    name = world.recipient(queue_id).last["site"]  # type: ignore[index]

    def nudge(transaction: Any) -> None:
        record = decode(transaction.get((SITE, name)))
        transaction.put((SITE, name), encode({**record, "nudged_ms": world.now_ms()}))

    world.transact(nudge)
    world.transport.answer = lambda address: ACCEPTED
    world.manager.foreign_commit()
    world.submit("dave@remote.test")
    world.settle()
    assert world.states(queue_id) == ["delivered"], "the recovery lets go what waited"


def test_a_blocklisted_address_is_rested_and_another_takes_over() -> None:
    """The message goes on from the next source after a moment; the first is left alone there for an hour."""
    sources = (Source("192.0.2.1", "a.example.test"), Source("192.0.2.2", "b.example.test"))
    world = World(sources=sources)
    world.transport = WithSource()
    world.manager = world.new_manager()
    world.manager.start()
    world.transport.answer = lambda address: (
        BLOCKLISTED if world.transport.attempts[-1].sources[0].address == "192.0.2.1" else ACCEPTED
    )
    queue_id = world.submit("carol@remote.test")
    assert world.states(queue_id) == ["deferred"]
    world.pass_time(10, step=1)
    assert world.states(queue_id) == ["delivered"]
    assert [each.sources[0].address for each in world.transport.attempts] == ["192.0.2.1", "192.0.2.2"]
    world.submit("dave@remote.test")
    assert world.transport.attempts[-1].sources == (sources[1],)
    world.pass_time(2 * HOUR)
    world.submit("erin@remote.test")
    assert world.transport.attempts[-1].sources[0].address == "192.0.2.1"


@pytest.mark.parametrize("said", ["", "198.51.100.7"])
def test_without_another_address_the_site_rests(said: str) -> None:
    """A blocklist verdict is never the message's end: it is tried again in about an hour, and others wait.

    It makes no difference whether the transport says which address the system chose.
    """
    world = World()
    world.transport = WithSource(said)
    world.manager = world.new_manager()
    world.manager.start()
    world.transport.answer = lambda address: BLOCKLISTED
    queue_id = world.submit("carol@remote.test")
    other = world.submit("dave@remote.test")
    assert (world.states(queue_id), tried(world)) == (["deferred"], 1)
    world.transport.answer = lambda address: ACCEPTED
    world.pass_time(50 * MINUTE)
    assert tried(world) == 1
    world.pass_time(20 * MINUTE)
    assert (world.states(queue_id), world.states(other)) == (["delivered"], ["delivered"])


def test_a_site_that_wants_less_gets_less(world: World) -> None:
    """After a slow-down the rate is lowered for a while, and the mail flows on."""
    world.manager = world.new_manager(finder=HostOfItsOwn())
    world.manager.start()
    world.transport.answer = lambda address: TOO_MUCH if tried(world) == 61 else ACCEPTED
    ids = [world.enqueue("carol@remote.test") for _ in range(100)]
    world.manager.wake()
    world.pass_time(0.5, step=0.1)
    (site,) = world.manager.sites
    assert 20 <= site.rate_per_minute <= 40
    assert sum(world.states(queue_id) == ["delivered"] for queue_id in ids) < 75
    world.pass_time(10 * MINUTE, step=1)
    assert sum(world.states(queue_id) == ["delivered"] for queue_id in ids) == 100


def test_concurrency_goes_down_on_421_and_recovers(world: World) -> None:
    """A server that lets four in at a time gets about four, and no message waits for the schedule in vain."""
    world.transport.answer = None
    for _ in range(60):
        world.enqueue("carol@remote.test")
    world.manager.wake()
    world.settle()
    rounds = 0
    while world.transport.waiting and rounds < 400:
        rounds += 1
        over = len(world.transport.waiting) > 4
        world.transport.finish(CUT_OFF if over else ACCEPTED, -1 if over else 0)
        world.settle()
    (site,) = world.manager.sites
    assert site.limit <= 5
    world.transport.answer = lambda address: ACCEPTED
    world.pass_time(HOUR)
    assert {row["status"] for row in world.rows()} == {"sent"}


def test_a_refused_recipient_is_no_fault_of_the_site(world: World) -> None:
    """Bounces, however many, leave the site as it is."""
    world.transport.answer = lambda address: UNKNOWN
    for _ in range(30):
        world.submit("nobody@remote.test", sender="")
    (site,) = world.manager.sites
    assert (site.limit, site.failures, site.down_until_ms) == (5, 0, 0)


def test_the_senders_of_a_site_share_it() -> None:
    """Alice's five hundred messages are there first; Bob's one is delivered among the next few."""
    world = started(shaping=Shaping(rules=(), default=SiteLimits(2, 2)), memory={"recipients": 100})
    world.transport.answer = None
    for number in range(500):
        world.enqueue(f"u{number}@d{number % 50}.test", account=ALICE)
    world.manager.wake()
    world.settle()
    mine = world.submit("carol@d7.test", account=BOB, sender=BOB)
    finished = 0
    while world.states(mine) != ["delivered"]:
        world.transport.finish()
        world.settle()
        finished += 1
        assert finished < 40
    while world.transport.waiting:
        world.transport.finish()
        world.settle()
        world.clock.advance(0.01)
    assert {row["status"] for row in world.rows()} == {"sent"}


def test_lines_are_found_again_by_the_next_run() -> None:
    """What stood in line when the server died is served by the next one."""
    world = started(shaping=Shaping(rules=(), default=SiteLimits(1, 1)), memory={"recipients": 40})
    world.transport.answer = None
    ids = [world.enqueue("carol@remote.test") for _ in range(20)]
    world.manager.wake()
    world.pass_time(0.5, step=0.1)
    assert [key for key in world.engine.entries if key[0] == LINE]
    world.kill()
    world.manager.start()
    world.pass_time(10 * MINUTE)
    assert {tuple(world.states(queue_id)) for queue_id in ids} == {("delivered",)}


@pytest.mark.parametrize(
    ("kind", "name"),
    [("all", ""), ("account", ALICE), ("domain", "remote.test"), ("site", "mx.remote.test")],
)
def test_what_is_paused_waits_until_it_is_resumed(kind: Any, name: str) -> None:
    """Everything, an account, a domain or a site; the rest goes on, and a resume lets the mail go at once."""
    world = World()
    world.manager = world.new_manager(finder=HostOfItsOwn())
    world.manager.start()
    world.settle()
    world.transact(lambda transaction: pauses.pause(transaction, kind, name, "trouble", world.now_ms()))
    world.manager.foreign_commit()
    world.settle()
    paused = world.submit("carol@remote.test", account=ALICE)
    other = world.submit("dave@other.test", account=BOB)
    world.pass_time(2 * HOUR)
    assert world.states(paused) == ["queued"]
    assert world.states(other) == (["queued"] if kind == "all" else ["delivered"])
    world.transact(lambda transaction: pauses.resume(transaction, kind, name, world.now_ms()))
    world.manager.foreign_commit()
    world.pass_time(5, step=1)
    assert (world.states(paused), world.states(other)) == (["delivered"], ["delivered"])


@pytest.mark.parametrize(
    ("kind", "name"), [("account", ALICE), ("domain", "remote.test"), ("site", "mx.remote.test")]
)
def test_a_pause_holds_for_what_was_claimed_already(world: World, kind: Any, name: str) -> None:
    """What is under way ends; what waits in memory for its turn is not begun."""
    world.transport.answer = None
    for _ in range(30):
        world.enqueue("carol@remote.test")
    world.manager.wake()
    world.settle()
    assert len(world.transport.waiting) == 5
    world.transact(lambda transaction: pauses.pause(transaction, kind, name, "", world.now_ms()))
    world.manager.foreign_commit()
    world.settle()
    for _ in range(5):
        world.transport.finish()
        world.settle()
    assert tried(world) == 5
    world.transport.answer = lambda address: ACCEPTED
    world.transact(lambda transaction: pauses.resume(transaction, kind, name, world.now_ms()))
    world.manager.foreign_commit()
    world.pass_time(5, step=1)
    assert {row["status"] for row in world.rows()} == {"sent"}


def test_who_is_turned_away_while_others_are_let_in_comes_again_soon(world: World) -> None:
    """A limit of connections at the other side is no reason to wait five minutes, nor to try it over and over."""
    world.transport.answer = None
    for _ in range(40):
        world.enqueue("carol@remote.test")
    world.manager.wake()
    world.settle()
    world.transport.finish(CUT_OFF, -1)
    world.settle()
    (late,) = [row for row in world.rows() if row["status"] == "deferred"]
    assert late["next_attempt_ms"] <= world.now_ms() + 31_000
    (site,) = world.manager.sites
    most = 0
    for _ in range(60):
        most = max(most, len(world.transport.waiting))
        if world.transport.waiting:
            world.transport.finish()
        world.pass_time(1, step=1)
    assert site.limit == 4
    assert {row["status"] for row in world.rows()} == {"sent"}


class Moving:
    """A domain whose mail exchanger is another one from some time on; all others stay."""

    def __init__(self) -> None:
        self.host = "mx.old.test"

    def find(self, destination: str) -> Any:
        name = self.host if destination == "moving.test" else "mx.old.test"
        return succeed((NextHost(name, ("192.0.2.1",), 25),))


def test_a_domain_that_moves_away_from_a_dead_site_is_not_held_up_by_it(world: World) -> None:
    """Its MX records are looked up again, also when the probes are of others."""
    finder = Moving()
    world.manager = world.new_manager(finder=finder)
    world.manager.start()
    world.transport.answer = lambda address: ACCEPTED if finder.host == "mx.new.test" else UNREACHABLE
    for number in range(40):
        world.submit(f"u{number}@d{number}.test")
    world.pass_time(4 * HOUR)
    late = world.submit("carol@moving.test")
    world.pass_time(HOUR)
    assert world.states(late) == ["deferred"] or world.states(late) == ["queued"]
    finder.host = "mx.new.test"
    world.transport.answer = lambda address: ACCEPTED if address == "carol@moving.test" else UNREACHABLE
    world.pass_time(2 * HOUR)
    assert world.states(late) == ["delivered"]


def test_new_limits_hold_at_once(world: World) -> None:
    """A reload with another rate or number of connections is minded by sites that exist."""
    world.transport.answer = None
    for _ in range(30):
        world.enqueue("carol@remote.test")
    world.manager.wake()
    world.settle()
    assert len(world.transport.waiting) == 5
    small = Shaping(rules=(), default=SiteLimits(2, 2))
    world.manager.configure(world.rules(shaping=small), OneHost())
    world.transport.finish()
    world.transport.finish()
    world.settle()
    assert len(world.transport.waiting) <= 3
