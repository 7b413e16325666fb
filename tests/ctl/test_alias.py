"""fedaemonctl alias."""

from __future__ import annotations

import pytest

from tests.ctl.console import Console


@pytest.fixture
def console(console: Console, cheap: None) -> Console:
    """A console on a directory with the account alice@example.org."""
    console.text("domain", "add", "example.org")
    console.text("account", "add", "alice@example.org")
    return console


def test_add_list_remove(console: Console) -> None:
    """Targets here and elsewhere, added to, listed, removed one by one or all."""
    added = console.json("alias", "add", "Info@example.org", "ALICE@example.org", "Bob@Else.example")
    assert added == {"address": "info@example.org", "targets": ["alice@example.org", "Bob@else.example"]}
    assert console.text("alias", "add", "info@example.org", "c@else.example").endswith("c@else.example\n")
    console.text("alias", "add", "@example.org", "info@example.org")
    assert [entry["address"] for entry in console.json("alias", "list")] == [
        "@example.org",
        "info@example.org",
    ]
    assert console.text("alias", "list").splitlines() == [
        "ADDRESS           TARGETS",
        "@example.org      info@example.org",
        "info@example.org  alice@example.org, Bob@else.example, c@else.example",
    ]
    left = console.json("alias", "remove", "info@example.org", "bob@else.example", "c@else.example")
    assert left["targets"] == ["alice@example.org"]
    assert console.json("alias", "remove", "@example.org") == {"address": "@example.org", "removed": True}
    assert len(console.json("alias", "list", "--domain", "example.org")) == 1
    assert console.json("alias", "list", "--domain", "else.example") == []


def test_refusals(console: Console) -> None:
    """Unknown domain, unknown target, an account's address, a circle, an unknown alias."""
    assert "domain add b.example" in console.refused("alias", "add", "x@b.example", "alice@example.org")
    assert "account add nobody@" in console.refused("alias", "add", "x@example.org", "nobody@example.org")
    assert "is an account" in console.refused("alias", "add", "alice@example.org", "x@else.example")
    assert "lead to itself" in console.refused("alias", "add", "x@example.org", "x@example.org")
    assert "no alias" in console.refused("alias", "remove", "x@example.org")
    assert console.json("alias", "list") == []
