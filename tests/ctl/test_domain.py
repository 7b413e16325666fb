"""fedaemonctl domain."""

from __future__ import annotations

import pytest

from tests.ctl.console import Console


def test_add_list_show_remove(console: Console) -> None:
    """A domain comes, is shown in its canonical form, and goes; each step says what is next."""
    assert "account add NAME@xn--bcher-kva.example" in console.text("domain", "add", "B\u00fccher.example")
    assert console.json("domain", "list") == [
        {
            "domain": "xn--bcher-kva.example",
            "disabled": False,
            "daily_limit": None,
            "lifetime_s": None,
            "retention_s": None,
            "quota_octets": None,
            "quota_messages": None,
            "quota": {
                "octets": 0,
                "octets_limit": None,
                "messages": 0,
                "messages_limit": None,
                "over_quota": False,
            },
        }
    ]
    assert console.json("domain", "show", "b\u00fccher.example")["accounts"] == []
    assert "no domain" in console.text("domain", "remove", "b\u00fccher.example")
    assert console.json("domain", "list") == []


def test_the_list_for_people(console: Console) -> None:
    """Aligned columns with titles."""
    console.text("domain", "add", "example.org", "--daily-limit", "0")
    console.text("domain", "add", "b.example")
    console.text("domain", "disable", "b.example")
    console.text("domain", "set", "b.example", "--lifetime", "1d12h", "--retention", "0")
    assert console.text("domain", "list").splitlines() == [
        "DOMAIN       STATE     DAILY LIMIT  LIFETIME  RETENTION  KEEPS",
        "b.example    disabled  default      1d12h     0          0 octets, 0 messages",
        "example.org  active    none         default   default    0 octets, 0 messages",
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


def test_times(console: Console) -> None:
    """Given when the domain is added or later; each alone, and back to the settings' default."""
    added = console.json("domain", "add", "example.org", "--lifetime", "3d", "--retention", "30d")
    assert (added["lifetime_s"], added["retention_s"]) == (3 * 86_400, 30 * 86_400)
    console.text("domain", "set", "example.org", "--retention", "0")
    shown = console.json("domain", "show", "example.org")
    assert (shown["lifetime_s"], shown["retention_s"], shown["daily_limit"]) == (3 * 86_400, 0, None)
    assert "lifetime:    3d\nretention:   0\n" in console.text("domain", "show", "example.org")
    assert console.json("domain", "set", "example.org", "--lifetime", "default")["lifetime_s"] is None


@pytest.mark.parametrize(
    "option", [("--lifetime", "0"), ("--lifetime", "31d"), ("--retention", "soon"), ("--retention", "5")]
)
def test_times_that_are_none(
    console: Console, option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what can be written."""
    with pytest.raises(SystemExit) as ended:
        console.run("domain", "add", "example.org", *option)
    assert ended.value.code == 2
    assert option[1] in capsys.readouterr().err


def test_set_needs_something_to_set(console: Console) -> None:
    """Exit code 2, and the options that there are."""
    console.text("domain", "add", "example.org")
    assert console.run("domain", "set", "example.org") == 2
    assert "--lifetime" in console.err


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
