"""fedaemonctl account."""

from __future__ import annotations

import io
import re
import sys

import pytest

from fedaemon.accounts import directory
from fedaemon.accounts.passwords import find_password
from fedaemon.mailbox import mailboxes
from fedaemon.store.spaces import MAILBOX_LOST
from tests.ctl.console import Console

STAND_IN = "$scrypt$ln=2,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAA=="


@pytest.fixture
def console(console: Console, cheap: None) -> Console:
    """A console on a directory with the domain example.org."""
    console.text("domain", "add", "example.org")
    return console


def is_password(console: Console, address: str, password: str) -> bool:
    account = console.engine.view(lambda snapshot: directory.need_account(snapshot, address))
    return find_password(password, account, STAND_IN) is not None


def test_add_makes_a_password_and_shows_it_once(console: Console) -> None:
    """24 characters, in the text or in JSON, that are the account's password, and nowhere afterwards."""
    text = console.text("account", "add", "Alice@example.org")
    found = re.search(r"password is: ([a-z2-9]{24})\n", text)
    assert found and is_password(console, "alice@example.org", found[1])
    made = console.json("account", "add", "bob@example.org")
    assert set(made) == {"address", "password"} and made["address"] == "bob@example.org"
    assert is_password(console, "bob@example.org", made["password"])
    for arguments in (
        ("account", "list"),
        ("account", "show", "bob@example.org"),
        ("password", "list", "bob@example.org"),
    ):
        assert made["password"] not in console.text(*arguments) + console.text(*arguments, "--json")


def test_add_with_a_given_password(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of standard input; it is not shown, and a short one gets a remark."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\r\nsecond line\n"))
    assert console.json("account", "add", "alice@example.org", "--password-stdin") == {
        "address": "alice@example.org"
    }
    assert is_password(console, "alice@example.org", "correct horse battery")
    assert console.err == ""
    monkeypatch.setattr(sys, "stdin", io.StringIO("short"))
    assert "short" not in console.text("account", "add", "bob@example.org", "--password-stdin")
    assert "can be guessed" in console.err
    assert is_password(console, "bob@example.org", "short")


@pytest.mark.parametrize("given", ["", "\n", " spaced\n", "x" * 129, "bell\x07"])
def test_passwords_that_cannot_be(console: Console, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused with the reason, and no account is left behind."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    assert "password" in console.refused("account", "add", "alice@example.org", "--password-stdin")
    assert console.json("account", "list") == []


def test_an_unknown_domain(console: Console) -> None:
    """The text says which command comes first."""
    assert console.refused("account", "add", "a@example.com") == (
        "fedaemonctl: example.com is not a domain here; add it first: fedaemonctl domain add example.com\n"
    )


def test_refusals(console: Console) -> None:
    """Twice, not an address, unknown."""
    console.text("account", "add", "alice@example.org")
    assert "already" in console.refused("account", "add", "ALICE@example.org")
    assert "@" in console.refused("account", "add", "alice")
    for command in ("show", "remove", "disable", "enable"):
        assert "fedaemonctl account list" in console.refused("account", command, "bob@example.org")


def test_list_and_show(console: Console) -> None:
    """All accounts, those of a domain, and one with everything about it."""
    console.text("domain", "add", "b.example")
    console.text("account", "add", "alice@example.org", "--daily-limit", "7")
    console.text("account", "add", "carol@b.example")
    console.text("alias", "add", "info@example.org", "alice@example.org")
    assert [entry["address"] for entry in console.json("account", "list")] == [
        "alice@example.org",
        "carol@b.example",
    ]
    assert [entry["address"] for entry in console.json("account", "list", "--domain", "B.example")] == [
        "carol@b.example"
    ]
    shown = console.json("account", "show", "alice@example.org")
    assert shown["daily_limit"] == 7 and shown["aliases"] == ["info@example.org"]
    assert [(entry["name"], entry["scopes"]) for entry in shown["passwords"]] == [
        ("main", ["imap", "pop3", "smtp"])
    ]
    assert "aliases:     info@example.org" in console.text("account", "show", "alice@example.org")
    assert console.text("account", "list").splitlines()[1].split() == [
        "alice@example.org",
        "active",
        "7",
        "1",
        "0",
        "octets,",
        "0",
        "messages",
    ]


def test_disable_enable_and_limit(console: Console) -> None:
    """Switches keep everything else."""
    console.text("account", "add", "alice@example.org")
    before = console.json("account", "show", "alice@example.org")
    assert console.json("account", "disable", "alice@example.org")["disabled"] is True
    assert console.json("account", "set", "alice@example.org", "--daily-limit", "12")["daily_limit"] == 12
    console.text("account", "enable", "alice@example.org")
    console.text("account", "set", "alice@example.org", "--daily-limit", "default")
    assert console.json("account", "show", "alice@example.org") == before


def test_rights_and_notices(console: Console) -> None:
    """Each is switched alone, the others stay; what an account has from the start is told."""
    console.text("account", "add", "alice@example.org")
    shown = console.json("account", "show", "alice@example.org")
    assert shown["may"] == ["deliver_by", "future_release"] and shown["success_notices"] is False
    arguments = ("account", "set", "alice@example.org")
    granted = console.json(*arguments, "--allow", "priority", "--disallow", "deliver_by")
    assert granted["may"] == ["future_release", "priority"]
    noticed = console.json(*arguments, "--success-notices", "on")
    assert noticed["success_notices"] is True and noticed["may"] == granted["may"]
    text = console.text("account", "show", "alice@example.org")
    assert "may ask for: future_release, priority\nnotices:     of each delivery\n" in text
    console.text(*arguments, "--success-notices", "off", "--daily-limit", "5")
    assert console.json("account", "list")[0]["success_notices"] is False
    assert "may ask for nothing" in console.text(
        *arguments, "--disallow", "priority", "--disallow", "future_release"
    )


def test_set_refuses_what_makes_no_sense(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to set, one right both ways, an unknown right: exit code 2."""
    console.text("account", "add", "alice@example.org")
    arguments = ("account", "set", "alice@example.org")
    assert console.run(*arguments) == 2 and "--success-notices" in console.err
    assert console.run(*arguments, "--allow", "priority", "--disallow", "priority") == 2
    assert "priority cannot be" in console.err
    with pytest.raises(SystemExit) as ended:
        console.run(*arguments, "--allow", "everything")
    assert ended.value.code == 2 and "future_release" in capsys.readouterr().err


def test_identities(console: Console) -> None:
    """Addresses and whole domains are added and taken away, in canonical form."""
    console.text("account", "add", "alice@example.org")
    added = console.json("account", "identity", "add", "alice@example.org", "Sales@Elsewhere.example")
    assert added["identities"] == ["sales@elsewhere.example"]
    console.text("account", "identity", "add", "alice@example.org", "@B\u00fccher.example")
    left = console.json("account", "identity", "remove", "alice@example.org", "sales@elsewhere.example")
    assert left["identities"] == ["@xn--bcher-kva.example"]
    assert "not an identity" in console.refused(
        "account", "identity", "remove", "alice@example.org", "x@y.example"
    )
    assert "already" in console.refused(
        "account", "identity", "add", "alice@example.org", "@b\u00fccher.example"
    )


def test_remove_names_what_still_leads_there(console: Console) -> None:
    """The account goes, and dangling aliases are named with the command that clears them."""
    console.text("account", "add", "alice@example.org")
    console.text("alias", "add", "info@example.org", "alice@example.org")
    said = console.text("account", "remove", "alice@example.org")
    assert "fedaemonctl alias remove info@example.org alice@example.org" in said
    assert console.json("account", "list") == []


def ids(console: Console, address: str) -> list[str]:
    """Return the ids of an account's mailboxes."""
    return console.engine.view(lambda snapshot: [each.id for each in mailboxes.mailboxes(snapshot, address)])


def test_mailboxes_come_and_go_with_the_account(console: Console) -> None:
    """Made at once; removed with it, to be purged later; an account of the same address begins with others."""
    address = "alice@example.org"
    console.text("account", "add", address)
    before = ids(console, address)
    assert len(before) == len(mailboxes.STANDARD)
    assert console.json("account", "remove", address)["mailboxes"] == len(before)
    lost = console.engine.view(lambda snapshot: [key for key, _ in snapshot.scan((MAILBOX_LOST,))])
    assert sorted(str(key[4]) for key in lost) == sorted(before)
    assert ids(console, address) == []
    console.text("account", "add", address)
    assert not set(before) & set(ids(console, address))
