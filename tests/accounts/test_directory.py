"""The directory: what may be added, which address is whose, and what is refused with which advice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from fedaemon.accounts import directory
from fedaemon.accounts.passwords import new_password
from fedaemon.accounts.records import MAIN, SCOPES, Account, Alias, Domain
from fedaemon.errors import BadSyntax, Refused
from fedaemon.message.address import parse_address
from tests.accounts.world import ALICE, CHEAP, make_account
from tests.fakes import MemoryTransaction


@pytest.fixture
def transaction() -> MemoryTransaction:
    """example.org with the account alice and the alias info, and the empty domain example.net."""
    transaction = MemoryTransaction({})
    directory.add_domain(transaction, Domain("example.org"))
    directory.add_domain(transaction, Domain("example.net"))
    directory.add_account(transaction, make_account())
    directory.add_alias(transaction, "info@example.org", (ALICE,))
    return transaction


def resolved(transaction: MemoryTransaction, text: str) -> str | None:
    found = directory.resolve(transaction, parse_address(text))
    return None if found is None else found.address


def test_resolving(transaction: MemoryTransaction) -> None:
    """An exact name is found first, then the one without its tag, in any case."""
    assert resolved(transaction, "Alice@Example.ORG") == ALICE
    assert resolved(transaction, "alice+shop@example.org") == ALICE
    assert resolved(transaction, "INFO@example.org") == "info@example.org"
    assert resolved(transaction, "info+x@example.org") == "info@example.org"
    assert resolved(transaction, "nobody@example.org") is None
    assert resolved(transaction, "alice@example.net") is None


def test_a_tagged_name_of_its_own_comes_first(transaction: MemoryTransaction) -> None:
    """An account or alias may itself have a tag in its name."""
    directory.add_account(transaction, make_account("bob@example.org"))
    directory.add_alias(transaction, "alice+lists@example.org", ("bob@example.org",))
    assert resolved(transaction, "alice+lists@example.org") == "alice+lists@example.org"
    assert resolved(transaction, "alice+other@example.org") == ALICE


def test_the_catch_all_comes_last(transaction: MemoryTransaction) -> None:
    """@domain takes what nothing else takes, postmaster@ included (RFC 2142), and only in its domain."""
    assert resolved(transaction, "postmaster@example.org") is None
    directory.add_alias(transaction, "@example.org", (ALICE,))
    assert resolved(transaction, "postmaster@example.org") == "@example.org"
    assert resolved(transaction, ALICE) == ALICE
    assert resolved(transaction, "x@example.net") is None


def test_hosted(transaction: MemoryTransaction) -> None:
    """A domain is hosted when it was added, disabled or not; its subdomains are not."""
    directory.put_domain(transaction, Domain("example.net", disabled=True))
    assert directory.is_hosted(transaction, "example.net")
    assert not directory.is_hosted(transaction, "sub.example.org")


def test_recipients(transaction: MemoryTransaction) -> None:
    """Unknown is 5.1.1, a disabled account or domain 5.2.1."""
    assert directory.check_recipient(transaction, parse_address(ALICE)).address == ALICE
    with pytest.raises(Refused) as unknown:
        directory.check_recipient(transaction, parse_address("nobody@example.org"))
    assert (unknown.value.code, unknown.value.status) == (550, "5.1.1")
    directory.put_account(transaction, make_account(disabled=True))
    with pytest.raises(Refused) as disabled:
        directory.check_recipient(transaction, parse_address(ALICE))
    assert (disabled.value.code, disabled.value.status) == (550, "5.2.1")
    directory.put_domain(transaction, Domain("example.org", disabled=True))
    with pytest.raises(Refused) as closed:
        directory.check_recipient(transaction, parse_address("info@example.org"))
    assert closed.value.status == "5.2.1"


def test_accounts_of_a_disabled_domain_are_disabled(transaction: MemoryTransaction) -> None:
    """get_account minds the domain; the record itself is as it was."""
    directory.put_domain(transaction, Domain("example.org", disabled=True))
    found = directory.get_account(transaction, ALICE)
    assert found is not None and found.disabled
    assert not directory.need_account(transaction, ALICE).disabled


def test_sending_as(transaction: MemoryTransaction) -> None:
    """Own address and identities, with any tag; a whole domain; never an alias, nor anybody else."""
    directory.add_identity(transaction, ALICE, "sales@example.org")
    directory.add_identity(transaction, ALICE, "@example.net")
    account = directory.need_account(transaction, ALICE)

    def may(text: str) -> bool:
        return directory.may_send_as(transaction, account, parse_address(text))

    assert all(map(may, [ALICE, "ALICE+x@Example.org", "sales+y@example.org", "anybody@example.net"]))
    assert not any(
        map(
            may,
            [
                "info@example.org",
                "bob@example.org",
                "x@sub.example.net",
                "alice@example.com",
                '"alice@example.org"@example.com',
            ],
        )
    )


def test_a_session_ends_with_its_password(transaction: MemoryTransaction) -> None:
    """current refuses when the account is gone or disabled, or the password of the session is removed."""
    account = directory.need_account(transaction, ALICE)
    session = replace(account, logged_in_with=account.passwords[0].hash)
    assert directory.current(transaction, session).logged_in_with == session.logged_in_with
    directory.remove_password(transaction, ALICE, MAIN)
    with pytest.raises(Refused) as removed:
        directory.current(transaction, session)
    assert (removed.value.code, removed.value.status) == (535, "5.7.8")
    directory.put_account(transaction, replace(account, disabled=True))
    with pytest.raises(Refused) as disabled:
        directory.current(transaction, session)
    assert (disabled.value.code, disabled.value.status) == (535, "5.7.13")
    directory.remove_account(transaction, ALICE)
    with pytest.raises(Refused) as gone:
        directory.current(transaction, session)
    assert gone.value.code == 535


def test_removing_an_account_names_dangling_aliases(transaction: MemoryTransaction) -> None:
    """The caller learns which aliases lead nowhere now."""
    assert directory.remove_account(transaction, ALICE) == ["info@example.org"]
    assert directory.stored_account(transaction, ALICE) is None


def test_a_domain_goes_only_when_empty(transaction: MemoryTransaction) -> None:
    """Accounts and aliases are named and keep it; an empty one goes."""
    with pytest.raises(Refused, match=r"alice@example\.org, info@example\.org"):
        directory.remove_domain(transaction, "example.org")
    directory.remove_domain(transaction, "example.net")
    assert [domain.name for domain in directory.domains(transaction)] == ["example.org"]


def test_alias_targets_add_up_and_go_one_by_one(transaction: MemoryTransaction) -> None:
    """Adding to an alias keeps what it has, each target once; removing the last removes the alias."""
    alias = directory.add_alias(transaction, "info@example.org", ("Bob@elsewhere.example", ALICE, ALICE))
    assert alias == Alias("info@example.org", (ALICE, "Bob@elsewhere.example"))
    left = directory.remove_alias(transaction, "info@example.org", ("bob@elsewhere.example",))
    assert left == Alias("info@example.org", (ALICE,))
    assert directory.remove_alias(transaction, "info@example.org", (ALICE,)) is None
    assert directory.get_alias(transaction, "info@example.org") is None


def test_targets_elsewhere_keep_their_case(transaction: MemoryTransaction) -> None:
    """The local part of an address elsewhere is that server's business (RFC 5321 2.4); ours is canonical."""
    assert directory.parse_target(transaction, "Bob@Elsewhere.EXAMPLE") == "Bob@elsewhere.example"
    assert directory.parse_target(transaction, "Alice@Example.ORG") == ALICE


REFUSALS: list[tuple[Callable[[MemoryTransaction], object], str]] = [
    (lambda t: directory.add_domain(t, Domain("example.org")), "already"),
    (lambda t: directory.add_domain(t, Domain("[192.0.2.1]")), "literal"),
    (lambda t: directory.remove_domain(t, "example.com"), "fedaemonctl domain add example.com"),
    (
        lambda t: directory.add_account(t, make_account("a@example.com")),
        "example.com is not a domain here; add it first: fedaemonctl domain add example.com",
    ),
    (lambda t: directory.add_account(t, make_account()), "is an account already"),
    (lambda t: directory.add_account(t, make_account("info@example.org")), "is an alias already"),
    (lambda t: directory.remove_account(t, "bob@example.org"), "no account bob@example.org"),
    (lambda t: directory.add_identity(t, "bob@example.org", "x@y.example"), "fedaemonctl account list"),
    (lambda t: directory.add_identity(t, ALICE, ALICE), "already"),
    (lambda t: directory.remove_identity(t, ALICE, "x@y.example"), "fedaemonctl account show"),
    (lambda t: directory.remove_password(t, ALICE, "laptop"), "fedaemonctl password list"),
    (lambda t: directory.add_alias(t, "x@example.com", (ALICE,)), "fedaemonctl domain add example.com"),
    (lambda t: directory.add_alias(t, ALICE, ("x@y.example",)), "is an account already"),
    (lambda t: directory.add_alias(t, "x@example.org", ("nobody@example.org",)), "add it first"),
    (lambda t: directory.add_alias(t, "x@example.org", ("x@example.org",)), "lead to itself"),
    (lambda t: directory.add_alias(t, "@example.org", ("nobody@example.org",)), "lead to itself"),
    (lambda t: directory.remove_alias(t, "x@example.org"), "no alias x@example.org"),
    (lambda t: directory.remove_alias(t, "info@example.org", ("b@example.org",)), "not a target"),
]


@pytest.mark.parametrize(("change", "text"), REFUSALS)
def test_refusals_say_what_to_do(
    transaction: MemoryTransaction, change: Callable[[MemoryTransaction], object], text: str
) -> None:
    """Each refused change names the reason or the command that helps."""
    with pytest.raises(Refused, match=text.replace("(", r"\(")):
        change(transaction)


def test_a_circle_of_aliases_is_refused_when_it_is_closed(transaction: MemoryTransaction) -> None:
    """a leads to b leads to c: c cannot lead to a, not even through a tag."""
    directory.add_alias(transaction, "c@example.org", ("away@elsewhere.example",))
    directory.add_alias(transaction, "b@example.org", ("c@example.org",))
    directory.add_alias(transaction, "a@example.org", ("b@example.org",))
    with pytest.raises(Refused, match="leads back to c@"):
        directory.add_alias(transaction, "c@example.org", ("a+tag@example.org",))


@pytest.mark.parametrize("text", ["@", "@-", "nobody", "a b@example.org", ""])
def test_names_that_are_none(text: str) -> None:
    """What is neither an address nor @domain is BadSyntax."""
    with pytest.raises(BadSyntax):
        directory.parse_name(text)


def test_passwords_of_an_account(transaction: MemoryTransaction) -> None:
    """Names are used once unless replaced; a password made for an earlier account of the name is refused."""
    account = directory.need_account(transaction, ALICE)
    laptop = new_password(account, "laptop", "one", now_ms=0, cost=CHEAP)
    directory.set_password(transaction, account, laptop, replaces=False)
    with pytest.raises(Refused, match='--name "laptop"'):
        directory.set_password(transaction, account, laptop, replaces=False)
    newer = new_password(account, "laptop", "two", now_ms=0, cost=CHEAP)
    directory.set_password(transaction, account, newer, replaces=True)
    names = [
        (password.name, password.hash) for password in directory.need_account(transaction, ALICE).passwords
    ]
    assert names == [(MAIN, account.passwords[0].hash), ("laptop", newer.hash)]
    directory.put_account(transaction, make_account())
    with pytest.raises(Refused, match="try again"):
        directory.set_password(transaction, account, newer, replaces=True)


def test_an_account_has_at_most_100_passwords(transaction: MemoryTransaction) -> None:
    """The record is read at each login, so its size has a limit."""
    account = make_account(main=None, apps={})
    one = new_password(account, "0", "x", now_ms=0, cost=CHEAP)
    full = replace(account, passwords=tuple(replace(one, name=str(n)) for n in range(100)))
    directory.put_account(transaction, full)
    with pytest.raises(Refused, match="100 passwords"):
        directory.set_password(transaction, full, replace(one, name="100"), replaces=False)
    directory.set_password(transaction, full, replace(one, scopes=SCOPES - {"smtp"}), replaces=True)
    assert len(directory.need_account(transaction, ALICE).passwords) == 100


def test_listing_by_domain(transaction: MemoryTransaction) -> None:
    """Accounts and aliases are listed for one domain or for all."""
    directory.add_account(transaction, make_account("z@example.net"))
    assert [account.address for account in directory.accounts(transaction)] == [ALICE, "z@example.net"]
    assert [account.address for account in directory.accounts(transaction, "example.net")] == [
        "z@example.net"
    ]
    assert [alias.address for alias in directory.aliases(transaction, "example.net")] == []
    assert Account("a@example.org").domain == "example.org"
