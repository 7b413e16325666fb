"""Passwords: what is stored for them, which of them exist, and that checking costs the same for everybody."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.accounts import passwords
from fedaemon.accounts.passwords import (
    ALPHABET,
    find_password,
    generate_password,
    hash_password,
    matches,
    new_password,
    prepare,
    saslprep,
    scram_keys,
)
from fedaemon.accounts.records import SCOPES, Account, Password
from fedaemon.errors import Refused
from tests.accounts.world import CHEAP, make_account

STAND_IN = hash_password("nobody's", bytes(16), CHEAP)


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),  # SOFT HYPHEN mapped to nothing
        ("user", "user"),
        ("USER", "USER"),  # case is kept
        ("\u00aa", "a"),  # NFKC
        ("\u2168", "IX"),
    ],
)
def test_saslprep_examples(text: str, prepared: str) -> None:
    """The examples of RFC 4013 3 that give a string."""
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u06271", "a\u0000b", "a\ufffdb", "a\ue000b", "\u0627a\u0628"])
def test_saslprep_prohibits(text: str) -> None:
    """Control and private characters are refused, and text of both directions (RFC 4013 2.3 and 2.4)."""
    with pytest.raises(Refused):
        saslprep(text)


def test_saslprep_takes_right_to_left() -> None:
    """A password in a script written from right to left is fine when all of it is."""
    assert saslprep("\u05e9\u05dc\u05d5\u05dd") == "\u05e9\u05dc\u05d5\u05dd"


@given(st.text(max_size=200))
def test_preparing_gives_a_usable_password_or_refuses(text: str) -> None:
    """Whatever is typed: only Refused is raised, and what is prepared has no NUL and no space around."""
    try:
        prepared = prepare(text)
    except Refused:
        return
    assert prepared and "\0" not in prepared
    assert prepare(f" \t{text.strip()}\r\n") == prepared


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128))
def test_ascii_is_kept_as_it_is(text: str) -> None:
    """SASLprep changes nothing in printable ASCII, with or without the short cut."""
    assert prepare(text) == saslprep(text) == text


def test_a_password_has_at_most_128_characters() -> None:
    """128 are fine, 129 are not."""
    assert prepare("x" * 128)
    with pytest.raises(Refused, match="128"):
        prepare("x" * 129)


def test_generated_passwords() -> None:
    """24 characters from an alphabet without look-alikes, never the same twice."""
    made = {generate_password() for _ in range(50)}
    assert len(made) == 50
    assert all(len(password) == 24 and set(password) <= set(ALPHABET) for password in made)
    assert len(set(ALPHABET)) == 32


def test_scram_keys_of_rfc_7677() -> None:
    """The keys prove the example of RFC 7677 3: the server's signature there is made with this ServerKey."""
    keys = scram_keys("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    assert base64.b64encode(keys.stored_key) == b"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    assert base64.b64encode(keys.server_key) == b"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="


def test_scrypt_of_rfc_7914(monkeypatch: pytest.MonkeyPatch) -> None:
    """hash_password is scrypt: the third vector of RFC 7914 12, which has our r, p and n."""
    monkeypatch.setattr(passwords, "DIGEST_OCTETS", 64)
    hashed = hash_password("pleaseletmein", b"SodiumChloride", passwords.Cost(scrypt_log2_n=14))
    expected = bytes.fromhex(
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
        "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
    )
    assert hashed.startswith("$scrypt$ln=14,r=8,p=1$")
    assert base64.b64decode(hashed.split("$")[4]) == expected


def test_the_default_cost_is_what_the_design_asks_for() -> None:
    """At least n = 2**14, r = 8, p = 1, and the 4096 rounds of RFC 7677, but not more than clients take."""
    assert passwords.COST.scrypt_log2_n >= 14
    assert (passwords.SCRYPT_R, passwords.SCRYPT_P) == (8, 1)
    assert 4096 <= passwords.COST.iterations <= 65536


def test_a_hash_matches_its_password_only() -> None:
    """The right password matches, another does not; two hashes of one password differ by their salt."""
    first, second = (hash_password("secret", salt * 16, CHEAP) for salt in (b"a", b"b"))
    assert matches("secret", first) and matches("secret", second)
    assert not matches("Secret", first)
    assert first.split("$")[4] != second.split("$")[4]


def test_a_password_with_space_around_it_is_not_stored() -> None:
    """SCRAM clients would not strip it, so that it would be two passwords."""
    with pytest.raises(Refused, match="begin or end"):
        new_password(
            Account("a@example.org", scram_salt=b"s" * 16, scram_iterations=4096), "", "secret ", now_ms=0
        )


def test_each_password_of_an_account_is_found() -> None:
    """The hash of the password that matches is returned, whichever it is."""
    account = make_account(main="one", apps={"laptop": ("two", SCOPES), "phone": ("three", SCOPES)})
    found = [find_password(text, account, STAND_IN) for text in ("one", "two", "three", "four")]
    assert found == [*(password.hash for password in account.passwords), None]


def test_a_scram_key_alone_is_not_enough() -> None:
    """Both hashes must agree: a record whose scrypt hash is of another password lets nobody in."""
    account = make_account(main="one", apps={"laptop": ("two", SCOPES)})
    one, two = account.passwords
    crossed = Password("", SCOPES, two.hash, one.stored_key, one.server_key)
    mixed = Account(
        account.address,
        scram_salt=account.scram_salt,
        scram_iterations=account.scram_iterations,
        passwords=(crossed,),
    )
    assert find_password("one", mixed, STAND_IN) is None


def test_the_password_of_the_stand_in_lets_nobody_in() -> None:
    """Knowing what the stand-in hash is of is of no use."""
    assert find_password("nobody's", make_account(main=None), STAND_IN) is None


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("right", [False, True])
def test_checking_costs_the_same_whatever_the_account_has(
    count: int, right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One PBKDF2 and one scrypt with the same parameters: no password, five, right or wrong."""
    account = make_account(main=None, apps={str(n): (f"password {n}", SCOPES) for n in range(count)})
    work: list[tuple[str, Any]] = []

    def counted(name: str, function: Callable[..., bytes], cost: Callable[..., Any]) -> Callable[..., bytes]:
        def call(*arguments: Any, **named: Any) -> bytes:
            work.append((name, cost(*arguments, **named)))
            return function(*arguments, **named)

        return call

    monkeypatch.setattr(
        hashlib, "pbkdf2_hmac", counted("pbkdf2", hashlib.pbkdf2_hmac, lambda *arguments: arguments[3])
    )
    monkeypatch.setattr(
        hashlib, "scrypt", counted("scrypt", hashlib.scrypt, lambda *_, **named: (named["n"], named["r"]))
    )
    find_password("password 0" if right else "wrong", account, STAND_IN)
    assert work == [("pbkdf2", 4096), ("scrypt", (4, 8))]
