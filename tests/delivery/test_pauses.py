"""Pauses: what they hold up, what they do not, and how the daemon follows them."""

from __future__ import annotations

from functools import partial

import pytest

from fedaemon.delivery import pauses
from fedaemon.delivery.pauses import MAX_WHY, NO_PAUSES, Kind, Pause
from fedaemon.delivery.records import LOCAL
from fedaemon.errors import Refused
from tests.delivery.support import ALICE, BOB, HOUR, MINUTE, World


@pytest.fixture
def world() -> World:
    world = World()
    world.manager.start()
    world.settle()
    return world


def pause(world: World, kind: Kind, name: str, why: str = "") -> None:
    world.transact(lambda transaction: pauses.pause(transaction, kind, name, why, world.now_ms()))
    world.manager.foreign_commit()
    world.settle()


def resume(world: World, kind: Kind, name: str) -> bool:
    done: bool = world.transact(partial(pauses.resume, kind=kind, name=name, now_ms=world.now_ms()))
    world.manager.foreign_commit()
    world.settle()
    return done


def test_each_kind_blocks_what_it_names_and_nothing_else(world: World) -> None:
    """A pause is found by destination, site or account; none of them touches local mail."""
    pause(world, "domain", "slow.test", "asked by them")
    pause(world, "site", "mx.one.test")
    pause(world, "account", BOB)
    found = world.view(pauses.read)
    assert found.blocks("slow.test", "", "") == Pause("domain", "slow.test", world.now_ms(), "asked by them")
    assert found.blocks("other.test", "mx.one.test", ALICE).kind == "site"
    assert found.blocks("other.test", "", BOB).kind == "account"
    assert found.blocks("other.test", "mx.two.test", ALICE) is None
    assert found.blocks("other.test", "", "") is None
    assert found.blocks(LOCAL, "mx.one.test", BOB) is None
    assert {each.kind for each in found} == {"domain", "site", "account"}


def test_all_blocks_everything_but_local_mail(world: World) -> None:
    """The pause of all is named before any other."""
    pause(world, "account", ALICE)
    pause(world, "all", "")
    found = world.view(pauses.read)
    assert found.blocks("any.test", "", ALICE).kind == "all"
    assert found.blocks(LOCAL, "", ALICE) is None


def test_nothing_is_paused_at_first(world: World) -> None:
    """No record, no pause; resuming it says so."""
    assert list(world.view(pauses.read)) == list(NO_PAUSES) == []
    assert not resume(world, "all", "")


def test_a_second_pause_changes_the_reason_and_not_its_beginning(world: World) -> None:
    """Since when it is paused is not forgotten; a long reason is cut, in one line."""
    began_ms = world.now_ms()
    pause(world, "all", "", "one")
    world.pass_time(MINUTE)
    pause(world, "all", "", "two\r\nlines " + "x" * 500)
    found = world.view(pauses.read).all
    assert found.since_ms == began_ms
    assert found.why.startswith("two lines xxx")
    assert len(found.why) == MAX_WHY


@pytest.mark.parametrize(("kind", "name"), [("all", "remote.test"), ("site", ""), ("account", "")])
def test_a_pause_without_its_name_is_refused(world: World, kind: Kind, name: str) -> None:
    """An empty name would hold up everything whose site or account is not known."""
    with pytest.raises(Refused):
        pause(world, kind, name)
    assert list(world.view(pauses.read)) == []


@pytest.mark.parametrize(
    ("kind", "name"), [("all", ""), ("domain", "remote.test"), ("account", ALICE), ("site", "mx.remote.test")]
)
def test_the_daemon_follows_a_pause_and_its_end(world: World, kind: Kind, name: str) -> None:
    """Nothing is tried while it holds, local mail is; afterwards all goes at once."""
    world.submit("first@remote.test")  # now the site is known
    world.settle()
    pause(world, kind, name)
    began = len(world.transport.attempts)
    queue_id = world.submit("carol@remote.test", BOB)
    world.pass_time(5 * MINUTE)
    assert len(world.transport.attempts) == began == 1
    assert world.states(queue_id) == ["queued", "delivered"]
    assert resume(world, kind, name)
    world.pass_time(2, step=1)
    assert world.states(queue_id) == ["delivered", "delivered"]


def test_a_pause_holds_after_a_restart(world: World) -> None:
    """The record outlives the daemon."""
    pause(world, "domain", "remote.test")
    queue_id = world.submit("carol@remote.test")
    world.kill()
    world.manager.start()
    world.pass_time(HOUR)
    assert world.states(queue_id) == ["queued"]
    assert world.transport.attempts == []


def test_the_lanes_of_a_destination_are_found_whatever_waits(world: World) -> None:
    """One step for each lane: of every account and priority, also where one name begins another."""
    pause(world, "all", "")
    for account in ("a@example.test", "a@example.test.org", None):
        for priority in (0, 4, -4):
            for _ in range(3):
                world.enqueue("carol@remote.test", account=account, priority=priority)
    world.enqueue("carol@remote.test.org")
    lanes = world.view(lambda snapshot: pauses.lanes_at(snapshot, "remote.test"))
    assert len(lanes) == len(set(lanes)) == 9
    assert {lane[1:] for lane in lanes} == {"a@example.test", "a@example.test.org", ""}
