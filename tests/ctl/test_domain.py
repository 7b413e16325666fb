"""fedaemonctl domain."""

from __future__ import annotations

import pytest

from tests.ctl.console import Console


def test_add_list_show_remove(console: Console) -> None:
    """A domain comes, is shown in its canonical form, and goes; each step says what is next."""
    assert "account add NAME@xn--bcher-kva.example" in console.text("domain", "add", "B\u00fccher.example")
    assert console.json("domain", "list") == [
        {"domain": "xn--bcher-kva.example", "disabled": False, "daily_limit": None}
    ]
    assert console.json("domain", "show", "b\u00fccher.example")["accounts"] == []
    assert "no domain" in console.text("domain", "remove", "b\u00fccher.example")
    assert console.json("domain", "list") == []


def test_the_list_for_people(console: Console) -> None:
    """Aligned columns with titles."""
    console.text("domain", "add", "example.org", "--daily-limit", "0")
    console.text("domain", "add", "b.example")
    console.text("domain", "disable", "b.example")
    assert console.text("domain", "list").splitlines() == [
        "DOMAIN       STATE     DAILY LIMIT",
        "b.example    disabled  default",
        "example.org  active    none",
    ]


def test_disable_and_enable(console: Console) -> None:
    """A switch that is shown, with what it does."""
    console.text("domain", "add", "example.org")
    assert "no mail" in console.text("domain", "disable", "example.org")
    assert "state:       disabled" in console.text("domain", "show", "example.org")
    assert console.json("domain", "enable", "example.org")["disabled"] is False


def test_limits(console: Console) -> None:
    """A number, 0 for none, or the settings' default."""
    console.text("domain", "add", "example.org", "--daily-limit", "100")
    for given, limit in (("5", 5), ("0", 0), ("default", None)):
        assert console.json("domain", "set", "example.org", "--daily-limit", given)["daily_limit"] == limit


@pytest.mark.parametrize("limit", ["-1", "many", "1.5", "\u0663"])
def test_limits_that_are_none(console: Console, limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and how to say it."""
    with pytest.raises(SystemExit) as ended:
        console.run("domain", "set", "example.org", f"--daily-limit={limit}")
    assert ended.value.code == 2
    assert "0 for no limit" in capsys.readouterr().err


def test_refusals(console: Console, cheap: None) -> None:
    """Twice, unknown, not empty, no domain: exit code 1 and the reason."""
    console.text("domain", "add", "example.org")
    assert "already" in console.refused("domain", "add", "EXAMPLE.org")
    assert "fedaemonctl domain add b.example" in console.refused("domain", "disable", "b.example")
    assert console.refused("domain", "add", "a..b")
    console.text("account", "add", "a@example.org")
    assert "a@example.org" in console.refused("domain", "remove", "example.org")
