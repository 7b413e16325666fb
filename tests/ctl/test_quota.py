"""fedaemonctl account quota, domain quota, and how the lists show who is full."""

from __future__ import annotations

import pytest

from fedaemon.mailbox.state import add_usage
from tests.ctl.console import Console

ALICE, BOB, CAROL = "alice@example.org", "bob@example.org", "carol@b.example"
GB = 2**30


@pytest.fixture
def console(console: Console, cheap: None) -> Console:
    """Two domains with three accounts, of which alice keeps 1.2 GiB in 3,021 messages."""
    for domain in ("example.org", "b.example"):
        console.text("domain", "add", domain)
    for address in (ALICE, BOB, CAROL):
        console.text("account", "add", address)
    keep(console, ALICE, GB + GB // 5, 3021)
    return console


def keep(console: Console, address: str, octets: int, messages: int) -> None:
    """Have more in the mailbox of *address*."""
    console.engine.transact(lambda transaction: add_usage(transaction, address, octets, messages))


def over(console: Console, *options: str) -> list[str]:
    """Return the accounts that --over-quota finds."""
    return [entry["address"] for entry in console.json("account", "list", "--over-quota", *options)]


def test_set_and_show(console: Console) -> None:
    """A size and a number, each alone; without options nothing is changed."""
    console.text("account", "quota", ALICE, "--storage", "5G")
    said = f"{ALICE}: 1.2 GiB of 5 GiB, 3,021 messages (storage 5GB, messages default)\n"
    assert console.text("account", "quota", "Alice@Example.org") == said
    console.text("account", "quota", ALICE, "--messages", "10000")
    assert "keeps:       1.2 GiB of 5 GiB, 3,021 of 10,000 messages\n" in console.text(
        "account", "show", ALICE
    )
    shown = console.json("account", "quota", ALICE, "--storage", "none")
    assert (shown["quota_octets"], shown["quota_messages"]) == (0, 10_000)
    assert shown["quota"] == console.json("account", "show", ALICE)["quota"]
    assert shown["quota"] == {
        "octets": GB + GB // 5,
        "octets_limit": None,
        "messages": 3021,
        "messages_limit": 10_000,
        "over_quota": False,
    }


def test_the_settings_default(console: Console) -> None:
    """It holds until the account has a limit of its own or none, and again when that is taken back."""
    console.quota = 2 * GB
    assert "1.2 GiB of 2 GiB" in console.text("account", "show", ALICE)
    for given, said in (("none", "1.2 GiB, 3,021"), ("3GB", "of 3 GiB"), ("default", "of 2 GiB")):
        assert said in console.text("account", "quota", ALICE, "--storage", given)


def test_a_domain(console: Console) -> None:
    """Its accounts together; the settings' default for accounts is not for it."""
    console.quota = 2 * GB
    keep(console, BOB, GB, 10)
    assert console.text("domain", "quota", "example.org") == (
        "example.org: 2.2 GiB, 3,031 messages (storage default, messages default)\n"
    )
    shown = console.json("domain", "quota", "example.org", "--storage", "20GB", "--messages", "50000")
    assert (shown["quota_octets"], shown["quota_messages"]) == (20 * GB, 50_000)
    assert "keeps:       2.2 GiB of 20 GiB, 3,031 of 50,000 messages\n" in console.text(
        "domain", "show", "example.org"
    )
    assert console.json("domain", "show", "example.org")["quota"] == shown["quota"]


def test_full_accounts_are_found(console: Console) -> None:
    """Those over their own limit and those of a domain that is, and the lists say which."""
    assert over(console) == []
    console.text("account", "quota", ALICE, "--storage", "1GB")
    assert over(console) == [ALICE] and over(console, "--domain", "b.example") == []
    assert "1.2 GiB of 1 GiB, 3,021 messages (over quota)" in console.text("account", "list")
    assert f"{BOB}    active  default      1          0 octets, 0 messages\n" in console.text(
        "account", "list"
    )
    console.text("domain", "quota", "example.org", "--storage", "1GB")
    assert over(console) == [ALICE, BOB]
    assert console.json("account", "show", BOB)["quota"]["over_quota"] is True
    listed = console.text("account", "list", "--over-quota")
    assert "0 octets, 0 messages (example.org is over quota)" in listed and CAROL not in listed
    assert "1.2 GiB of 1 GiB, 3,021 messages (over quota)" in console.text("domain", "list")
    console.text("domain", "quota", "example.org", "--storage", "none")
    console.text("account", "quota", ALICE, "--storage", "default")
    assert over(console) == []


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--storage", "5"), "is not from 1MB to 1024TB"),
        (("--storage", "much"), '"none" for no limit'),
        (("--storage", "0"), "is not from 1MB"),
        (("--messages", "0"), '"none" is for no limit'),
        (("--messages", "\u0663"), "not a number of messages"),
        (("--messages", "4294967296"), "from 1 to 4294967295"),
    ],
)
@pytest.mark.parametrize("which", [("account", ALICE), ("domain", "example.org")])
def test_limits_that_are_none(
    console: Console,
    which: tuple[str, str],
    option: tuple[str, str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, and how to say it."""
    with pytest.raises(SystemExit) as ended:
        console.run(which[0], "quota", which[1], *option)
    assert ended.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_nobody(console: Console) -> None:
    """Refused with what to do, whether something is to be changed or not."""
    for options in ((), ("--storage", "5GB")):
        assert "fedaemonctl account list" in console.refused("account", "quota", "x@example.org", *options)
        assert "fedaemonctl domain add c.example" in console.refused("domain", "quota", "c.example", *options)
