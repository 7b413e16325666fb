"""fedaemonctl suppression."""

from __future__ import annotations

import pytest

from fedaemon.delivery import suppression
from tests.ctl.console import Console

ALICE, GONE = "alice@example.org", "gone@else.example"


@pytest.fixture
def console(console: Console, cheap: None) -> Console:
    """A console on a directory with an account."""
    console.text("domain", "add", "example.org")
    console.text("account", "add", ALICE)
    return console


def test_add_list_show_remove(console: Console) -> None:
    """An entry comes, is shown in its canonical form, and goes."""
    added = console.json("suppression", "add", ALICE, "Gone@ELSE.example", "--why", "left\nthe firm")
    assert added["address"] == GONE and added["until_ms"] is None and added["category"] == "manual"
    assert console.json("suppression", "list") == [added]
    assert console.json("suppression", "show", ALICE, GONE) == added
    assert "reply:    left the firm" in console.text("suppression", "show", ALICE, GONE)
    assert "taken again" in console.text("suppression", "remove", ALICE, "GONE@else.example")
    assert console.json("suppression", "list") == []


def test_the_list_for_people(console: Console) -> None:
    """Why, since when and until when, aligned; what has run out is not in it."""

    def bounced(address: str, keep_ms: int) -> None:
        console.engine.transact(
            lambda transaction: suppression.note_bounce(
                transaction, ALICE, address, suppression.BOUNCED, "550 no", 1_700_000_000_000, keep_ms
            )
        )

    bounced(GONE, 10**13)
    bounced("past@else.example", 1)
    assert console.text("suppression", "list").splitlines() == [
        "ACCOUNT            ADDRESS            WHY        SINCE                 UNTIL",
        "alice@example.org  gone@else.example  recipient  2023-11-14 22:13 UTC  2340-10-04 16:00 UTC",
    ]
    assert console.json("suppression", "list", "--account", "bob@example.org") == []
    assert "suppression list" in console.refused("suppression", "show", ALICE, "past@else.example")


def test_for_a_time(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    """A span from now; anything else is exit code 2."""
    added = console.json("suppression", "add", ALICE, GONE, "--for", "14d")
    assert added["until_ms"] - added["since_ms"] == 14 * 86_400_000
    with pytest.raises(SystemExit) as ended:
        console.run("suppression", "add", ALICE, "x@else.example", "--for", "ever")
    assert ended.value.code == 2 and '"ever" is no time' in capsys.readouterr().err


def test_refusals(console: Console) -> None:
    """Unknown account, twice, no address, not there: exit code 1 and what to do."""
    assert "fedaemonctl account list" in console.refused("suppression", "add", "bob@example.org", GONE)
    console.text("suppression", "add", ALICE, GONE)
    assert "suppression show" in console.refused("suppression", "add", ALICE, GONE)
    assert "@" in console.refused("suppression", "add", ALICE, "gone")
    assert "suppression list" in console.refused("suppression", "remove", ALICE, "x@else.example")
