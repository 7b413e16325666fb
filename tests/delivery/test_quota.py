"""Room in mailboxes: whose limits hold, what is told to whom, and that mail for a full one waits (RFC 9208)."""

from __future__ import annotations

from functools import partial

import pytest

from fedaemon.accounts import directory
from fedaemon.accounts.records import Account, Domain
from fedaemon.delivery import quota
from fedaemon.delivery.outcomes import record_outcomes
from fedaemon.delivery.quota import OverQuota, Quota
from fedaemon.delivery.transport import Outcome, Result
from fedaemon.mailbox.state import Usage, add_usage
from fedaemon.store.interface import Transaction
from tests.delivery.support import ALICE, BOB, DAY, HOUR, World

GB = 2**30


def limited(
    account: tuple[int | None, int | None] = (None, None),
    domain: tuple[int | None, int | None] = (None, None),
) -> World:
    """Return a world in which bob and his domain have limits of octets and messages."""
    world = World()
    world.transact(lambda transaction: set_limits(transaction, account, domain))
    return world


def set_limits(
    transaction: Transaction, account: tuple[int | None, int | None], domain: tuple[int | None, int | None]
) -> None:
    directory.put_account(transaction, Account(BOB, quota_octets=account[0], quota_messages=account[1]))
    directory.put_domain(
        transaction, Domain("example.test", quota_octets=domain[0], quota_messages=domain[1])
    )


def keep(world: World, address: str, octets: int, messages: int = 1) -> None:
    """Have more in a mailbox of *address*, or less."""
    world.transact(lambda transaction: add_usage(transaction, address, octets, messages))


def fits(world: World, octets: int, messages: int = 1, default: int | None = None) -> bool:
    """Tell whether so much more can be kept by bob."""
    try:
        world.view(lambda snapshot: quota.check(snapshot, BOB, octets, messages, quota_octets=default))
    except OverQuota:
        return False
    return True


def test_the_last_octet_and_message_have_room() -> None:
    """A limit can be reached, not passed; what is too large leaves room for what is not."""
    world = limited((1000, 3))
    keep(world, BOB, 600, 2)
    assert fits(world, 400) and fits(world, 1) and not fits(world, 401)
    assert not fits(world, 100, 2)
    keep(world, BOB, 0, 1)
    assert not fits(world, 1)
    keep(world, BOB, -600, -2)
    assert fits(world, 1000, 2)


@pytest.mark.parametrize(
    ("own", "default", "octets", "room"),
    [
        (None, None, 2**40, True),
        (None, 1000, 1000, True),
        (None, 1000, 1001, False),
        (2000, 1000, 1500, True),
        (500, 1000, 700, False),
        (0, 1000, 2**40, True),
    ],
)
def test_which_limit_holds(own: int | None, default: int | None, octets: int, room: bool) -> None:
    """The account's own, else the settings'; 0 is no limit in spite of the settings."""
    assert fits(limited((own, None)), octets, default=default) is room


@pytest.mark.parametrize("domain", [(1000, None), (None, 1)])
def test_a_domain_is_limited_as_a_whole(domain: tuple[int | None, int | None]) -> None:
    """What others of the domain keep counts, and an account's own limit does not lift the domain's."""
    world = limited((0, 0), domain)
    assert fits(world, 900)
    keep(world, ALICE, 900)
    assert not fits(world, 900)


def test_a_limit_below_what_is_kept() -> None:
    """Keeps new messages out and nothing else; both roots say what is used."""
    world = limited((1000, None), (5000, 50))
    keep(world, BOB, 3000, 7)
    keep(world, ALICE, 500, 1)
    own, domain = world.view(lambda snapshot: quota.of_account(snapshot, BOB))
    assert own == Quota("account", BOB, Usage(3000, 7), 1000, None)
    assert domain == Quota("domain", "example.test", Usage(3500, 8), 5000, 50)
    assert not own.has_room(1) and own.could_hold(1000) and not own.could_hold(1001)


def test_an_account_or_domain_that_is_gone() -> None:
    """The settings' limit holds for mailboxes whose account was removed."""
    world = World()
    world.transact(lambda transaction: directory.remove_account(transaction, BOB))
    world.transact(lambda transaction: transaction.delete(("domain", "example.test")))
    assert fits(world, 10, default=10) and not fits(world, 11, default=10)


def test_what_its_owner_is_told() -> None:
    """What is used of what, what to do, and the command of who can change it; IMAP says OVERQUOTA."""
    world = limited((5 * GB, None), (20 * GB, None))
    keep(world, BOB, 5 * GB - 10, 3021)
    with pytest.raises(OverQuota) as refused:
        world.view(lambda snapshot: quota.check(snapshot, BOB, 2**20))
    error = refused.value
    assert (error.code, error.status, error.imap_code) == (452, "4.2.2", b"OVERQUOTA")
    assert f"{BOB} keeps 5 GiB of 5 GiB, 3,021 messages, and 1 MiB more have no room" in error.text
    assert "Trash" in error.text and error.text.endswith(f"fedaemonctl account quota {BOB}")
    keep(world, BOB, -4 * GB, 0)
    keep(world, ALICE, 19 * GB, 0)
    with pytest.raises(OverQuota, match=r"fedaemonctl domain quota example\.test$"):
        world.view(lambda snapshot: quota.check(snapshot, BOB, 2**20))


def test_one_message_that_can_never_have_room() -> None:
    """552 5.2.3 when deleting cannot help; many small ones together are refused for now."""
    world = limited((1000, None))
    for messages, expected in ((1, (552, "5.2.3")), (2, (452, "4.2.2"))):
        with pytest.raises(OverQuota) as refused:
            world.view(partial(quota.check, address=BOB, octets=1001, messages=messages))
        assert (refused.value.code, refused.value.status) == expected


def test_what_a_sender_is_told() -> None:
    """Always 452, under the address that was given, without numbers and without the account's name."""
    world = limited((1000, None))
    keep(world, BOB, 900)
    check = partial(quota.check_room, address=BOB, named="sales@example.test")
    world.view(partial(check, octets=100))
    for octets in (101, 5000):
        with pytest.raises(OverQuota) as refused:
            world.view(partial(check, octets=octets))
        error = refused.value
        assert (error.code, error.status) == (452, "4.2.2")
        assert error.text.startswith("<sales@example.test>: the mailbox is full")
        assert "bob" not in error.text and "900" not in error.text and "1000" not in error.text


def test_over_quota_in_an_administrators_eyes() -> None:
    """A hundred KB left are none; with a limit of messages only, the last one counts."""
    world = limited((GB, None))
    keep(world, BOB, GB - quota.ORDINARY_OCTETS)
    assert [root.is_over for root in world.view(lambda snapshot: quota.of_account(snapshot, BOB))] == [
        False
    ] * 2
    keep(world, BOB, 1)
    assert [root.is_over for root in world.view(lambda snapshot: quota.of_account(snapshot, BOB))] == [
        True,
        False,
    ]
    world = limited((None, 1))
    assert not world.view(lambda snapshot: quota.of_account(snapshot, BOB))[0].is_over
    keep(world, BOB, 1)
    assert world.view(lambda snapshot: quota.of_account(snapshot, BOB))[0].is_over


def test_mail_for_a_full_mailbox_waits_and_is_not_lost() -> None:
    """Deferred by the schedule, delivered once there is room; given up only when its lifetime is over."""
    world = limited((1000, None))
    keep(world, BOB, 1000)
    queue_id, other = world.enqueue(BOB), world.enqueue(BOB)

    def deliver(which: str) -> str:
        effect = partial(quota.check_room, address=BOB, octets=100, named=BOB)
        outcome = Outcome(0, Result.DELIVERED, "delivered", 250, "2.1.5", "local", effect=effect)
        world.transact(
            lambda transaction: record_outcomes(transaction, world.terms, which, [outcome], world.now_ms())
        )
        return world.states(which)[0]

    assert deliver(queue_id) == "deferred" == deliver(other)
    found = world.recipient(queue_id)
    assert found.last is not None and (found.last["code"], found.last["status"]) == (452, "4.2.2")
    assert 0 < found.next_attempt_ms - world.now_ms() <= HOUR * 1000
    world.clock.advance(4 * DAY)
    assert deliver(other) == "deferred"
    keep(world, BOB, -500)
    assert deliver(queue_id) == "delivered"
    keep(world, BOB, 500)
    world.clock.advance(DAY + HOUR)
    assert deliver(other) == "expired"
