"""Records of the directory come back as they were written, and show no secret."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fedaemon.accounts.records import (
    DEFAULT_RIGHTS,
    RIGHTS,
    SCOPES,
    Account,
    Alias,
    Domain,
    Password,
    decode_account,
    decode_alias,
    decode_domain,
    encode_account,
    encode_alias,
    encode_domain,
)
from fedaemon.store import records
from tests.accounts.world import make_account

limits = st.none() | st.integers(0, 10**9)
names = st.text(max_size=20)
passwords = st.builds(
    Password,
    name=names,
    scopes=st.frozensets(st.sampled_from(sorted(SCOPES))),
    hash=names,
    stored_key=st.binary(max_size=32),
    server_key=st.binary(max_size=32),
    created_ms=st.integers(0, 2**50),
)


@given(
    st.builds(
        Account,
        address=names,
        disabled=st.booleans(),
        daily_limit=limits,
        identities=st.lists(names, max_size=4).map(tuple),
        scram_salt=st.binary(max_size=16),
        scram_iterations=st.integers(0, 10**6),
        passwords=st.lists(passwords, max_size=3).map(tuple),
        success_notices=st.booleans(),
        may=st.frozensets(st.sampled_from(sorted(RIGHTS))),
        quota_octets=limits,
        quota_messages=limits,
    )
)
def test_an_account_comes_back_as_it_was(account: Account) -> None:
    """decode∘encode is identity for any account."""
    assert decode_account(encode_account(account)) == account


@given(
    st.builds(
        Domain,
        name=names,
        disabled=st.booleans(),
        daily_limit=limits,
        lifetime_s=limits,
        retention_s=limits,
        quota_octets=limits,
        quota_messages=limits,
    )
)
def test_a_domain_comes_back_as_it_was(domain: Domain) -> None:
    """decode∘encode is identity for any domain."""
    assert decode_domain(encode_domain(domain)) == domain


@given(st.builds(Alias, address=names, targets=st.lists(names, max_size=5).map(tuple)))
def test_an_alias_comes_back_as_it_was(alias: Alias) -> None:
    """decode∘encode is identity for any alias."""
    assert decode_alias(encode_alias(alias)) == alias


def test_records_of_the_first_version_are_read() -> None:
    """What an earlier fedaemon wrote, without the later fields, has their defaults."""
    assert decode_domain(
        records.encode({"name": "example.org", "disabled": True, "daily_limit": 7})
    ) == Domain("example.org", True, 7)
    first = {"address": "a@example.org", "disabled": False, "daily_limit": None, "identities": []}
    first |= {"scram_salt": "", "scram_iterations": 4096, "passwords": []}
    account = decode_account(records.encode(first))
    assert account == Account("a@example.org", scram_iterations=4096)
    assert account.may == DEFAULT_RIGHTS and not account.success_notices
    assert "priority" in RIGHTS - DEFAULT_RIGHTS


def test_the_password_used_is_not_stored() -> None:
    """logged_in_with belongs to a session, not to the record."""
    account = Account("a@example.org", logged_in_with="$scrypt$hash")
    assert decode_account(encode_account(account)).logged_in_with == ""


def test_repr_and_record_hold_no_secret() -> None:
    """An account printed into a log shows neither hash nor keys, and its record holds no password."""
    account = make_account(main="a very secret phrase")
    assert "scrypt" not in repr(account)
    assert repr(account.passwords[0].stored_key) not in repr(account)
    assert b"very secret" not in encode_account(account)
