"""Full mailboxes are told at RCPT, before the content (RFC 1870 6.4), on both ways in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedaemon.accounts import directory
from fedaemon.accounts.records import Account, Alias, Domain
from fedaemon.delivery.quota import OverQuota
from fedaemon.mailbox.state import add_usage
from fedaemon.message.address import parse_address
from fedaemon.submission.envelope import Envelope
from tests.submission.world import ALICE, BOB, World


@pytest.fixture(params=[False, True], ids=["submission", "mx"])
def world(request: pytest.FixtureRequest) -> World:
    """A way in to a domain where bob keeps 900 of 1000 octets and 3 of 5 messages."""
    world = World(mx=request.param)
    bob = Account(BOB, quota_octets=1000, quota_messages=5)
    world.engine.transact(lambda transaction: directory.put_account(transaction, bob))
    keep(world, 900, 3)
    return world


def keep(world: World, octets: int, messages: int) -> None:
    """Have more in bob's mailbox."""
    world.engine.transact(lambda transaction: add_usage(transaction, BOB, octets, messages))


def put_alias(world: World, address: str, target: str) -> None:
    """Have mail to *address* go to *target*, whether that exists or not."""
    world.engine.transact(lambda transaction: directory.put_alias(transaction, Alias(address, (target,))))


def ask(world: World, address: str = BOB, size: int | None = None) -> list[str]:
    """Name a recipient; return whom the envelope has then."""
    envelope = Envelope(parse_address(ALICE), size=size)
    world.recipient(envelope, address)
    return list(envelope.recipients)


def refusal(world: World, address: str = BOB, size: int | None = None) -> tuple[int, str, str]:
    """Name a recipient that must be refused; return code, status and text."""
    with pytest.raises(OverQuota) as refused:
        ask(world, address, size)
    return refused.value.code, refused.value.status, refused.value.text


def test_a_size_that_fits_and_one_that_does_not(world: World) -> None:
    """What was declared decides; without a size there must be room for something."""
    assert ask(world, size=100) == ask(world) == [BOB]
    code, status, text = refusal(world, size=101)
    assert (code, status) == (452, "4.2.2") and text.startswith(f"<{BOB}>: the mailbox is full")
    keep(world, 100, 0)
    assert refusal(world)[:2] == (452, "4.2.2")
    assert ask(world, ALICE, size=10**9) == [ALICE]


def test_as_many_messages_as_there_may_be(world: World) -> None:
    """The number alone keeps mail out, too."""
    keep(world, 0, 2)
    assert refusal(world, size=1)[:2] == (452, "4.2.2")


def test_a_size_that_is_more_than_the_limit(world: World) -> None:
    """Trying again cannot help: the sender is told at once."""
    code, status, text = refusal(world, size=1001)
    assert (code, status) == (552, "5.2.3") and "1001 octets are more than the mailbox can hold" in text


def test_the_domain_as_a_whole(world: World) -> None:
    """Alice has no limit, but her domain has."""
    domain = Domain("example.test", quota_octets=950)
    world.engine.transact(lambda transaction: directory.put_domain(transaction, domain))
    assert ask(world, ALICE, size=50) == [ALICE]
    assert refusal(world, ALICE, size=51)[0] == 452


def test_the_settings_limit(world: World) -> None:
    """Holds for who has none of their own."""
    world.intake.policy.rules = replace(world.intake.policy.rules, quota_octets=500)
    assert ask(world, ALICE, size=500) == [ALICE]
    assert refusal(world, ALICE, size=501)[0] == 552
    assert ask(world, BOB, size=100) == [BOB]


def test_a_tag_and_an_alias_are_the_same_mailbox(world: World) -> None:
    """Aliases are followed while they lead to one place, and the account is not named to the sender."""
    for alias, target in (("sales@example.test", BOB), ("shop@example.test", "sales@example.test")):
        put_alias(world, alias, target)
    keep(world, 100, 0)
    assert refusal(world, "bob+tag@example.test")[0] == 452
    text = refusal(world, "shop@example.test")[2]
    assert text.startswith("<shop@example.test>: ") and "bob" not in text


def test_others_of_an_alias_get_their_mail(world: World) -> None:
    """One full mailbox of several is left to delivery; so is an alias to another server, or to nobody."""
    keep(world, 100, 0)
    both = Alias("both@example.test", (BOB, ALICE))
    world.engine.transact(lambda transaction: directory.put_alias(transaction, both))
    for several in ("team@example.test", "both@example.test"):
        assert ask(world, several, size=2000) == [several]
    for alias, target in (("away@example.test", "x@else.test"), ("gone@example.test", "former@example.test")):
        put_alias(world, alias, target)
        assert ask(world, alias, size=2000) == [alias]


def test_aliases_in_a_circle_are_left_to_expansion(world: World) -> None:
    """They end the search, not the server."""
    for alias, target in (("a@example.test", "b@example.test"), ("b@example.test", "a@example.test")):
        put_alias(world, alias, target)
    assert ask(world, "a@example.test", size=2000) == ["a@example.test"]
