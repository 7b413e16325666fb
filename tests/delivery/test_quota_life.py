"""A full mailbox in the life of a queue: mail for it waits and comes once there is room."""

from __future__ import annotations

from fedaemon.accounts import directory
from fedaemon.accounts.records import Account
from fedaemon.delivery.local import trace_prefix
from fedaemon.mailbox.state import usage
from tests.delivery.support import ALICE, BOB, CONTENT, DAY, HOUR, World

SIZE = len(trace_prefix(ALICE, BOB)) + len(CONTENT)


def limit(world: World, octets: int | None) -> None:
    """Give bob a limit."""
    bob = Account(BOB, quota_octets=octets)
    world.transact(lambda transaction: directory.put_account(transaction, bob))


def test_mail_for_a_full_mailbox_waits_until_there_is_room() -> None:
    """The octet that is missing defers it, as a matter of capacity; others get theirs; nothing is kept of it."""
    world = World()
    world.manager.start()
    limit(world, 2 * SIZE - 1)
    world.submit(BOB)
    queue_id = world.submit(BOB, ALICE)
    world.settle()
    assert world.states(queue_id) == ["deferred", "delivered"]
    last = world.recipient(queue_id).last
    assert last is not None and (last["code"], last["status"], last["category"]) == (452, "4.2.2", "capacity")
    assert len(world.inbox(BOB)) == 1
    limit(world, 2 * SIZE)
    world.pass_time(HOUR)
    assert world.states(queue_id)[0] == "delivered" and len(world.inbox(BOB)) == 2
    assert world.view(lambda snapshot: usage(snapshot, "account", BOB)) == (2 * SIZE, 2)


def test_the_settings_limit_holds_at_delivery() -> None:
    """For who has none; the sender hears of it when the message's lifetime is over."""
    world = World(quota_octets=SIZE - 1)
    world.manager.start()
    queue_id = world.submit(BOB)
    world.pass_time(4 * DAY, step=HOUR)
    assert world.states(queue_id) == ["deferred"] and world.inbox(BOB) == []
    world.pass_time(2 * DAY, step=HOUR)
    assert world.states(queue_id) == ["expired"] and world.inbox(BOB) == []
