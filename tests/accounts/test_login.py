"""User names are full addresses, however they are spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.accounts import login
from fedaemon.accounts.login import login_key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("alice@example.org", "alice@example.org"),
        ("Alice@EXAMPLE.ORG", "alice@example.org"),
        (" alice@example.org\r\n", "alice@example.org"),
        ("j\u00fcrgen@b\u00fccher.example", "j\u00fcrgen@xn--bcher-kva.example"),
        ("JU\u0308RGEN@B\u00dcCHER.example", "j\u00fcrgen@xn--bcher-kva.example"),
        ("alice+tag@example.org", "alice+tag@example.org"),
    ],
)
def test_spellings_of_one_login(text: str, key: str) -> None:
    """Case, IDNA, composition and pasted space do not matter; a tag is not taken off."""
    assert login_key(text) == key


@pytest.mark.parametrize(
    "text", ["", "alice", "@", "alice@", "@example.org", "a b@example.org", "a@b@c", "x" * 400 + "@a.org"]
)
def test_not_a_full_address(text: str) -> None:
    """What is no address is no login."""
    assert login_key(text) is None


@given(st.text(max_size=400))
def test_any_text_is_a_login_or_none(text: str) -> None:
    """Nothing raises, and the key of a key is itself."""
    key = login_key(text)
    assert key is None or login_key(key) == key


@pytest.mark.parametrize(
    "name", ["WRONG", "NOT_AN_ADDRESS", "PLACEHOLDER", "DISABLED", "REVOKED", "OTHER_USER"]
)
def test_texts_are_one_short_line(name: str) -> None:
    """A text fits a reply line of 512 octets with code and status, in plain ASCII."""
    text = getattr(login, name)
    assert text.isascii() and text.isprintable() and len(text) < 400


def test_a_wrong_password_says_where_to_look() -> None:
    """The 535 text names the form of the login, the command that makes a password, and the page."""
    assert "full address" in login.WRONG
    assert "fedaemonctl password add" in login.WRONG
    assert "docs/troubleshooting" in login.WRONG
