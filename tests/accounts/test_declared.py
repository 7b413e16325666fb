"""The directory as a text: out and in again, all of it or none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.accounts import declared, declared_text, directory
from fedaemon.accounts.records import RIGHTS, Alias, Domain
from fedaemon.errors import BadSyntax, Refused
from fedaemon.store.interface import Transaction
from tests.accounts.world import ALICE, CHEAP, make_account
from tests.fakes import MemoryEngine

TEXT = """
[[domain]]
name = "Example.ORG"
daily_limit = 1000
lifetime = "3d"

[[domain]]
name = "b\u00fccher.example"
disabled = true
retention = "0"

[[account]]
address = "Alice@example.org"
may = ["priority", "deliver_by"]
success_notices = true
identities = ["sales@example.org", "@B\u00dcCHER.example"]

[[account]]
address = "bob@example.org"
disabled = true
daily_limit = 0

[[alias]]
address = "@example.org"
targets = ["info@example.org"]

[[alias]]
address = "info@example.org"
targets = ["Alice@example.org", "Bob@Else.example"]
"""


def apply(engine: MemoryEngine, text: str, prune: bool = False) -> list[str]:
    wanted = declared_text.read(text)
    changes = engine.transact(
        lambda transaction: declared.apply(transaction, wanted, prune=prune, cost=CHEAP)
    )
    return [str(change) for change in changes]


def test_applying_to_nothing() -> None:
    """Everything is added, canonical, and an alias may come before the one it leads to."""
    engine = MemoryEngine()
    assert apply(engine, TEXT) == [
        "+ domain example.org",
        "+ domain xn--bcher-kva.example",
        "+ account alice@example.org",
        "+ account bob@example.org",
        "+ alias @example.org",
        "+ alias info@example.org",
    ]
    alice = engine.view(lambda snapshot: directory.need_account(snapshot, ALICE))
    assert alice.identities == ("sales@example.org", "@xn--bcher-kva.example")
    assert alice.may == {"priority", "deliver_by"} and alice.success_notices
    domains = list(engine.view(lambda snapshot: list(directory.domains(snapshot))))
    assert [(domain.lifetime_s, domain.retention_s) for domain in domains] == [(3 * 86_400, None), (None, 0)]
    assert alice.passwords == () and len(alice.scram_salt) == 16
    info = engine.view(lambda snapshot: directory.need_alias(snapshot, "info@example.org"))
    assert info.targets == (ALICE, "Bob@else.example")


def test_applying_again_changes_nothing() -> None:
    """Neither the same text nor what is written out has anything left to change, with or without prune."""
    engine = MemoryEngine()
    apply(engine, TEXT)
    before = dict(engine.entries)
    written = engine.view(declared_text.write)
    for text in (TEXT, written):
        assert apply(engine, text) == apply(engine, text, prune=True) == []
    assert engine.entries == before


def test_changes_are_told_and_passwords_kept() -> None:
    """What differs is listed, old and new; passwords stay, and what is not named stays without prune."""
    engine = MemoryEngine()
    apply(engine, TEXT)
    kept = make_account()
    engine.transact(lambda transaction: directory.put_account(transaction, kept))
    changes = apply(
        engine,
        '[[account]]\naddress = "alice@example.org"\ndaily_limit = 5\n'
        'identities = ["x@example.org"]\ndisabled = true\n',
    )
    assert changes == [
        "~ account alice@example.org\n    disabled: no -> yes\n    daily_limit: default -> 5\n"
        "    identities: none -> x@example.org"
    ]
    alice = engine.view(lambda snapshot: directory.need_account(snapshot, ALICE))
    assert alice == replace(kept, disabled=True, daily_limit=5, identities=("x@example.org",))
    assert len(list(engine.view(lambda snapshot: list(directory.accounts(snapshot))))) == 2


def test_prune_removes_the_rest() -> None:
    """What is not named goes: aliases, accounts, domains."""
    engine = MemoryEngine()
    apply(engine, TEXT)
    only = '[[domain]]\nname = "example.org"\n[[account]]\naddress = "alice@example.org"\n'
    assert apply(engine, only, prune=True) == [
        "~ domain example.org\n    daily_limit: 1000 -> default\n    lifetime: 3d -> default",
        "- alias @example.org",
        "- alias info@example.org",
        "- account bob@example.org",
        "~ account alice@example.org\n    identities: sales@example.org, @xn--bcher-kva.example -> none\n"
        "    success_notices: yes -> no\n    may: deliver_by, priority -> deliver_by, future_release",
        "- domain xn--bcher-kva.example",
    ]
    assert apply(engine, only, prune=True) == []


def test_an_account_may_become_an_alias_only_with_prune() -> None:
    """Its mailbox and passwords would go: that must be said."""
    engine = MemoryEngine()
    apply(engine, TEXT)
    text = (
        '[[domain]]\nname = "example.org"\n[[account]]\naddress = "alice@example.org"\n'
        '[[alias]]\naddress = "bob@example.org"\ntargets = ["alice@example.org"]\n'
    )
    with pytest.raises(Refused, match="fedaemonctl account remove bob@"):
        apply(engine, text)
    assert "+ alias bob@example.org" in apply(engine, text, prune=True)


def test_an_alias_may_become_an_account() -> None:
    """An alias has nothing to lose."""
    engine = MemoryEngine()
    apply(engine, TEXT)
    changes = apply(engine, '[[account]]\naddress = "info@example.org"\n')
    assert changes == ["- alias info@example.org", "+ account info@example.org"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[account]]\naddress = "a@example.com"\n', "example.com is not a domain here"),
        (
            '[[alias]]\naddress = "a@example.com"\ntargets = ["x@y.example"]\n',
            "example.com is not a domain here",
        ),
        (
            '[[alias]]\naddress = "a@example.org"\ntargets = ["gone@example.org"]\n',
            "no account or alias gone@",
        ),
        ('[[alias]]\naddress = "a@example.org"\ntargets = ["a@example.org"]\n', "lead to itself"),
        (
            '[[alias]]\naddress = "a@example.org"\ntargets = ["b@example.org"]\n'
            '[[alias]]\naddress = "b@example.org"\ntargets = ["a@example.org"]\n',
            "lead to itself",
        ),
    ],
)
def test_what_does_not_hold_together_is_refused_whole(text: str, said: str) -> None:
    """When one entry cannot be, none of the text is applied."""
    engine = MemoryEngine()
    apply(engine, '[[domain]]\nname = "example.org"\n')
    before = dict(engine.entries)
    with pytest.raises(Refused, match=said):
        apply(engine, '[[account]]\naddress = "fine@example.org"\n' + text)
    assert engine.entries == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[domain]\n", "line 1"),
        ("[[user]]\n", r"unknown table \[\[user\]\]"),
        ("[domain]\n", r"written as \[\[domain\]\]"),
        ("[[domain]]\n", 'number 1: name = "…" is missing'),
        (
            '[[domain]]\nname = "a.org"\nlimit = 3\n',
            'unknown key "limit"; known: daily_limit, disabled, lifetime, name, quota, quota_messages, retention',
        ),
        ('[[domain]]\nname = "a.org"\n[[domain]]\nname = "A.org"\n', "number 2: a.org is there twice"),
        ('[[domain]]\nname = "a..org"\n', 'name "a..org": '),
        ('[[domain]]\nname = "a.org"\ndisabled = "yes"\n', "true or false"),
        ('[[domain]]\nname = "a.org"\ndaily_limit = -1\n', "0 for no limit"),
        ('[[domain]]\nname = "a.org"\ndaily_limit = true\n', "0 for no limit"),
        ('[[domain]]\nname = "a.org"\nlifetime = 3\n', "a time in quotes"),
        ('[[domain]]\nname = "a.org"\nlifetime = "0"\n', 'lifetime: "0" is not from 1m to 30d'),
        ('[[domain]]\nname = "a.org"\nretention = "-1d"\n', 'retention: "-1d" is no time'),
        (
            '[[account]]\naddress = "a@a.org"\nsuccess_notices = "on"\n',
            "success_notices must be true or false",
        ),
        ('[[account]]\naddress = "a@a.org"\nmay = ["all"]\n', "deliver_by, future_release, priority"),
        ('[[account]]\naddress = "alice"\n', 'address "alice"'),
        ('[[account]]\naddress = "a@a.org"\nidentities = "b@a.org"\n', "must be a list"),
        ('[[alias]]\naddress = "a@a.org"\n', "targets is missing or empty"),
        (
            '[[account]]\naddress = "a@a.org"\n[[alias]]\naddress = "a@a.org"\ntargets = ["b@a.org"]\n',
            "one or the other",
        ),
    ],
)
def test_faults_in_the_text(text: str, said: str) -> None:
    """Each is named with its place."""
    with pytest.raises(BadSyntax, match=said):
        declared_text.read(text)


locals_ = st.sampled_from(["a", "b", "c", "d+e", '"f g"', "\u00fc"])
hosted = st.sampled_from(["one.example", "two.example", "xn--bcher-kva.example"])
addresses = st.builds("{}@{}".format, locals_, hosted)
limits = st.none() | st.integers(0, 10**6)


@given(
    st.sets(hosted),
    st.dictionaries(
        addresses, st.tuples(st.booleans(), limits, st.lists(addresses, unique=True, max_size=3))
    ),
    st.dictionaries(
        addresses, st.lists(st.builds("{}@else.example".format, locals_), min_size=1, max_size=3, unique=True)
    ),
    limits,
    st.tuples(st.none() | st.integers(60, 30 * 86_400), st.none() | st.integers(0, 10**8)),
    st.tuples(st.booleans(), st.frozensets(st.sampled_from(sorted(RIGHTS)))),
)
def test_what_is_written_makes_the_same_directory(
    names: set[str],
    accounts: dict[str, tuple[bool, int | None, list[str]]],
    aliases: dict[str, list[str]],
    limit: int | None,
    times: tuple[int | None, int | None],
    asks: tuple[bool, frozenset[str]],
) -> None:
    """Written from one store and applied to an empty one, any directory comes back."""
    engine = MemoryEngine()

    def fill(transaction: Transaction) -> None:
        for name in names:
            directory.add_domain(transaction, Domain(name, False, limit, *times))
        for address, (disabled, daily, identities) in accounts.items():
            if address.rpartition("@")[2] in names:
                account = make_account(address, main=None, disabled=disabled)
                directory.add_account(
                    transaction,
                    replace(
                        account,
                        daily_limit=daily,
                        identities=tuple(identities),
                        success_notices=asks[0],
                        may=asks[1],
                    ),
                )
        for address, targets in aliases.items():
            if address.rpartition("@")[2] in names and address not in accounts:
                directory.put_alias(transaction, Alias(address, tuple(targets)))

    engine.transact(fill)
    written = engine.view(declared_text.write)
    copy = MemoryEngine()
    apply(copy, written)
    assert copy.view(declared_text.write) == written
    assert apply(engine, written, prune=True) == []
