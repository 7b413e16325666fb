"""Aliases lead to final addresses: each once, circles cut, and never endlessly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.accounts import directory
from fedaemon.accounts.directory import Expanded, expand
from fedaemon.accounts.records import Alias, Domain
from fedaemon.errors import Refused, Unavailable
from fedaemon.message.address import parse_address
from tests.accounts.world import make_account
from tests.fakes import MemoryTransaction


def world(**aliases: list[str]) -> MemoryTransaction:
    """Return example.org with accounts alice and bob, and aliases by local part; "all" is the catch-all."""
    transaction = MemoryTransaction({})
    directory.add_domain(transaction, Domain("example.org"))
    for name in ("alice", "bob"):
        directory.add_account(transaction, make_account(f"{name}@example.org", main=None))
    for name, targets in aliases.items():
        address = "@example.org" if name == "all" else f"{name}@example.org"
        written = tuple(target if "@" in target else f"{target}@example.org" for target in targets)
        directory.put_alias(transaction, Alias(address, written))
    return transaction


def expanded(transaction: MemoryTransaction, name: str) -> list[str]:
    return [found.address for found in expand(transaction, parse_address(f"{name}@example.org"))]


def test_an_account_is_itself() -> None:
    """Mail to an account stays, under its canonical address, without the tag."""
    found = expand(world(), parse_address("ALICE+x@example.org"))
    assert found == [Expanded("alice@example.org", True)]


def test_an_address_elsewhere_is_itself() -> None:
    """What is not ours is written as it was."""
    assert expand(world(), parse_address("Bob@else.example")) == [Expanded("Bob@else.example", False)]


def test_an_alias_is_its_targets_in_order() -> None:
    """Targets inside and outside, through several aliases, each once, in the order of the targets."""
    transaction = world(team=["bob", "out@else.example", "both", "OUT@else.example"], both=["alice", "bob"])
    assert expand(transaction, parse_address("team@example.org")) == [
        Expanded("bob@example.org", True),
        Expanded("out@else.example", False),
        Expanded("alice@example.org", True),
    ]


def test_the_catch_all_expands() -> None:
    """What nothing takes goes where the catch-all says."""
    assert expanded(world(all=["alice"]), "whoever") == ["alice@example.org"]


def test_a_circle_is_cut() -> None:
    """What a circle leads to besides itself is kept."""
    assert expanded(world(a=["b", "alice"], b=["a", "bob"]), "a") == ["bob@example.org", "alice@example.org"]


def test_a_circle_of_nothing_else_is_our_own_fault() -> None:
    """Mail is not refused for good because the directory is wrong: 451 4.3.5."""
    with pytest.raises(Unavailable) as failure:
        expanded(world(a=["b"], b=["a"]), "a")
    assert (failure.value.code, failure.value.status) == (451, "4.3.5")


def test_ten_aliases_in_a_row() -> None:
    """Ten are followed, eleven are a mistake."""
    chain = {f"n{n}": [f"n{n + 1}"] for n in range(10)}
    assert expanded(world(**chain | {"n9": ["alice"]}), "n0") == ["alice@example.org"]
    with pytest.raises(Unavailable, match="10 aliases"):
        expanded(world(**chain | {"n10": ["alice"]}), "n0")


def test_a_thousand_addresses() -> None:
    """1000 are delivered to, 1001 are a mistake."""
    thousand = [f"r{n}@else.example" for n in range(1000)]
    assert len(expanded(world(big=thousand), "big")) == 1000
    with pytest.raises(Unavailable, match="1000"):
        expanded(world(big=[*thousand, "alice"]), "big")


def test_unknown_and_disabled_recipients_are_refused() -> None:
    """At the top what takes no mail is refused as at RCPT."""
    with pytest.raises(Refused) as unknown:
        expanded(world(), "nobody")
    assert unknown.value.status == "5.1.1"
    transaction = world()
    directory.put_account(transaction, make_account("alice@example.org", main=None, disabled=True))
    with pytest.raises(Refused) as disabled:
        expanded(transaction, "alice")
    assert disabled.value.status == "5.2.1"


def test_a_target_that_is_gone_is_not_lost_in_silence() -> None:
    """It stays as a local address, whose delivery fails and is reported."""
    found = expand(world(a=["gone", "alice"]), parse_address("a@example.org"))
    assert found == [Expanded("gone@example.org", True), Expanded("alice@example.org", True)]


names = st.sampled_from([*"abcdef", "alice", "bob", "gone", "out@else.example"])


@given(st.dictionaries(st.sampled_from([*"abcdef", "all"]), st.lists(names, min_size=1, max_size=4)))
def test_any_directory_gives_an_answer(aliases: dict[str, list[str]]) -> None:
    """Whatever leads where: expansion ends, gives no address twice and no alias, or says that it cannot."""
    transaction = world(**aliases)
    try:
        found = expanded(transaction, "a")
    except (Refused, Unavailable):
        return
    assert found and len(set(found)) == len(found)
    assert all(directory.get_alias(transaction, address) is None for address in found)
