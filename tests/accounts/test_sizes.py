"""Sizes as administrators write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedaemon.accounts.sizes import parse_size, rounded_size, show_size
from fedaemon.errors import BadSyntax


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("5G", 5 * 2**30),
        ("5GB", 5 * 2**30),
        ("5GiB", 5 * 2**30),
        ("5gb", 5 * 2**30),
        ("300MB", 300 * 2**20),
        ("2T", 2 * 2**40),
        ("64K", 2**16),
        ("17B", 17),
        ("17", 17),
    ],
)
def test_what_can_be_written(text: str, octets: int) -> None:
    """Each unit, with and without the B, in either case; a number alone is octets."""
    assert parse_size(text, low=0, high=2**50) == octets


@pytest.mark.parametrize(
    "text", ["", "GB", "5 GB", "1.5GB", "-5GB", "5iB", "5PB", "5GBB", "\u0665GB", "5\u212a", "9" * 19]
)
def test_what_is_no_size(text: str) -> None:
    """Refused with what to write instead."""
    with pytest.raises(BadSyntax, match='such as "5GB"'):
        parse_size(text, low=0, high=2**80)


@pytest.mark.parametrize("text", ["5", "1048575", "1025GB"])
def test_slips_of_the_keyboard(text: str) -> None:
    """A size out of its bounds is refused with the bounds."""
    with pytest.raises(BadSyntax, match="is not from 1MB to 1TB"):
        parse_size(text, low=2**20, high=2**40)


@given(st.integers(0, 2**50) | st.sampled_from([2**10, 2**20, 3 * 2**30, 2**50]))
def test_what_is_shown_is_read_back(octets: int) -> None:
    """Exactly, whatever the unit."""
    assert parse_size(show_size(octets), low=0, high=2**50) == octets


def test_the_largest_exact_unit_is_shown() -> None:
    """As the settings have it."""
    assert [show_size(octets) for octets in (5 * 2**30, 1536 * 2**20, 1000, 0)] == [
        "5GB",
        "1536MB",
        "1000",
        "0",
    ]


def test_for_people() -> None:
    """One decimal at most, and none that is zero."""
    sizes = (0, 1023, 1024, 5 * 2**30, 2**30 + 2**28, 3 * 2**40)
    assert [rounded_size(octets) for octets in sizes] == [
        "0 octets",
        "1023 octets",
        "1 KiB",
        "5 GiB",
        "1.2 GiB",
        "3 TiB",
    ]
