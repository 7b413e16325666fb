"""What of a transaction reaches the queue: times, priority, SMTPUTF8, TLS-Required; and suppressed recipients.

Standards: RFC 4865, RFC 2852, RFC 6710, RFC 6531 3.4, RFC 8689 3 and 4.1.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedaemon.accounts import directory
from fedaemon.delivery import suppression
from fedaemon.delivery.suppression import BOUNCED, COMPLAINED, MANUAL, Suppression
from fedaemon.errors import MailError, Refused
from fedaemon.message.address import parse_address
from fedaemon.store.interface import Transaction
from fedaemon.submission.envelope import Envelope
from fedaemon.submission.wishes import NO_TERMS, Terms, Wishes
from tests.submission.world import ALICE, BOB, HEADER, NOW_MS, World

GONE = "gone@else.test"


@pytest.fixture
def world() -> World:
    """Alice, logged in on a submission service."""
    return World()


def test_terms_reach_the_queue(world: World) -> None:
    """What was granted with MAIL is what the queue is told."""
    terms = world.terms(Wishes(60, None, (3600, "NT"), -4))
    assert terms == Terms(NOW_MS + 60_000, NOW_MS + 3_600_000, "NT", -4)
    record = world.submit(terms=terms)
    assert record.release_ms == NOW_MS + 60_000
    assert (record.deliver_by_ms, record.deliver_by_mode) == (NOW_MS + 3_600_000, "NT")
    assert record.priority == -4


def test_a_plain_message_has_none_of_it(world: World) -> None:
    """Everything stays at its default."""
    assert world.terms(None) is NO_TERMS
    record = world.submit()
    assert (record.release_ms, record.deliver_by_ms, record.priority) == (0, 0, 0)
    assert not record.smtputf8 and not record.tls_optional and record.lifetime_ms is None


def test_a_right_taken_away_is_gone_for_the_next_message(world: World) -> None:
    """The account is read anew for each message, also in a session that logged in before."""
    assert world.terms(Wishes(hold_for_s=1)).release_ms
    world.engine.transact(
        lambda transaction: directory.put_account(
            transaction, replace(directory.need_account(transaction, ALICE), may=frozenset({"priority"}))
        )
    )
    with pytest.raises(Refused, match="--allow future_release"):
        world.terms(Wishes(hold_for_s=1))
    assert world.terms(Wishes(priority=7)).priority == 7


def test_trusted_hosts_have_the_default_rights(world: World) -> None:
    """Without a login: hold and deliver by, but not before others."""
    world.peer.account, world.peer.trusted = None, True
    assert world.terms(Wishes(hold_for_s=1, priority=5)) == Terms(release_ms=NOW_MS + 1000)
    offered = world.intake.offer(world.peer)
    assert offered is not None and offered.max_hold_s == 86_400


def test_other_servers_are_offered_nothing() -> None:
    """RFC 4865 4.2: on submission only; even if it were asked for, it is refused."""
    world = World(mx=True)
    assert world.intake.offer(world.peer) is None
    with pytest.raises(Refused):
        world.terms(Wishes(hold_for_s=1), "ann@else.test")


def test_the_lifetime_of_the_account_s_domain(world: World) -> None:
    """A domain's own lifetime goes with the messages of its accounts, not with those to it."""

    def change(transaction: Transaction) -> None:
        domain = directory.need_domain(transaction, "example.test")
        directory.put_domain(transaction, replace(domain, lifetime_s=3600))

    world.engine.transact(change)
    assert world.submit().lifetime_ms == 3_600_000
    from_outside = World(mx=True)
    from_outside.engine.transact(change)
    assert from_outside.submit(sender="ann@else.test").lifetime_ms is None


@pytest.mark.parametrize(
    ("addresses", "header", "needed"),
    [
        ((BOB, "x@b\u00fccher.example"), HEADER, False),
        (("j\u00fcrgen@else.test",), HEADER, True),
        ((BOB,), HEADER + "Subject: \u00fc\r\n".encode(), True),
    ],
)
def test_smtputf8_only_where_it_is_needed(
    world: World, addresses: tuple[str, ...], header: bytes, needed: bool
) -> None:
    """RFC 6531: clients say it always; what is ASCII goes to servers without it, whatever the body is."""
    assert world.submit(*addresses, header=header, smtputf8=True).smtputf8 is needed


def test_utf8_that_was_not_declared_changes_nothing(world: World) -> None:
    """Raw 8-bit in a header without SMTPUTF8 is not turned into a demand for it."""
    assert not world.submit(header=HEADER + "Subject: \u00fc\r\n".encode()).smtputf8


FIELDS = [
    (b"TLS-Required: No\r\n", True),
    (b"tls-required:\r\n\tNO \r\n", True),
    (b"TLS-Required: Yes\r\n", False),
    (b"TLS-Required: No (really)\r\n", False),
    (b"TLS-Required:\r\n", False),
    (b"TLS-Required: No\r\nTLS-Required: No\r\n", False),
    (b"X-TLS-Required: No\r\n", False),
    (b"Subject: TLS-Required: No\r\n", False),
    (b"Subject: x\r\n TLS-Required: No\r\n", False),
]


@pytest.mark.parametrize(("field", "optional"), FIELDS)
@pytest.mark.parametrize("mx", [False, True])
def test_tls_required_no(field: bytes, optional: bool, mx: bool) -> None:
    """RFC 8689 3: one field, that one value; on both services, and the field stays in the message."""
    world = World(mx=mx)
    record = world.submit(header=field + HEADER, sender="ann@else.test" if mx else ALICE)
    assert record.tls_optional is optional


def test_requiretls_overrides_the_field(world: World) -> None:
    """RFC 8689 4.1: with REQUIRETLS in the envelope the field is ignored."""
    record = world.submit(header=b"TLS-Required: No\r\n" + HEADER, require_tls=True)
    assert record.require_tls and not record.tls_optional


def test_a_malformed_header_from_outside_is_searched_too() -> None:
    """Mail from other servers need not have a header that can be read as a whole."""
    world = World(mx=True)
    record = world.submit(header=b"no field at all\r\nTLS-Required: No\r\n", sender="ann@else.test")
    assert record.tls_optional


# -- suppressed recipients


def suppress(world: World, category: str = BOUNCED, until_ms: int = NOW_MS + 86_400_000) -> None:
    """Put gone@else.test on alice's list."""
    entry = Suppression(ALICE, GONE, NOW_MS, until_ms, category, "550 5.1.1 no such user")
    world.engine.transact(lambda transaction: suppression.put(transaction, entry))


def refusal(world: World, address: str = GONE) -> MailError:
    """Return the refusal that a recipient gets."""
    with pytest.raises(MailError) as refused:
        world.recipient(Envelope(parse_address(ALICE)), address)
    return refused.value


def test_a_suppressed_recipient_is_refused_with_all_there_is_to_know(world: World) -> None:
    """When it bounced, what the remote said, until when, and who can lift it."""
    suppress(world)
    error = refusal(world, "Gone@ELSE.test")
    assert (error.code, error.status) == (550, "5.1.8")
    for part in (
        "bounced there on 2023-11-14 22:13 UTC",
        "(550 5.1.1 no such user)",
        "until 2023-11-15 22:13 UTC",
        f"fedaemonctl suppression remove {ALICE} Gone@else.test",
    ):
        assert part in error.text


@pytest.mark.parametrize(("category", "word"), [(COMPLAINED, "complained"), (MANUAL, "administrator")])
def test_other_reasons_are_named(world: World, category: str, word: str) -> None:
    """A complaint or an administrator's entry is policy, and says so."""
    suppress(world, category, until_ms=0)
    error = refusal(world)
    assert error.status == "5.7.1" and word in error.text and "until 20" not in error.text


def test_only_who_bounced_and_only_so_long(world: World) -> None:
    """Others may write there; when the time is over, so may the account; local addresses are not looked up."""
    suppress(world)
    world.log_in(BOB)
    world.recipient(Envelope(parse_address(BOB)), GONE)
    world.log_in(ALICE)
    world.recipient(Envelope(parse_address(ALICE)), BOB)
    refusal(world)
    world.now_s += 86_400
    world.recipient(Envelope(parse_address(ALICE)), GONE)


def test_an_alias_that_leads_there_is_not_refused(world: World) -> None:
    """Its other targets shall get the message; the one that bounces is reported."""
    suppress(world)
    assert world.submit("team@example.test").recipients == 3
