"""fedaemonctl password."""

from __future__ import annotations

import io
import re
import sys

import pytest

from tests.ctl.console import Console
from tests.ctl.test_account import is_password

ALICE = "alice@example.org"


@pytest.fixture
def console(console: Console, cheap: None) -> Console:
    """A console on a directory with the account alice@example.org."""
    console.text("domain", "add", "example.org")
    console.text("account", "add", ALICE)
    return console


def test_app_passwords(console: Console) -> None:
    """Made, shown once, listed by name and scopes, removed by name."""
    made = console.json("password", "add", ALICE, "--name", "laptop", "--scope", "smtp,imap")
    assert (made["name"], made["scopes"]) == ("laptop", ["imap", "smtp"])
    assert is_password(console, ALICE, made["password"]) and len(made["password"]) == 24
    found = re.search(
        r"^    ([a-z2-9]{24})$", console.text("password", "add", ALICE, "--name", "phone"), re.M
    )
    assert found and is_password(console, ALICE, found[1])
    listed = console.json("password", "list", ALICE)
    assert [(entry["name"], entry["scopes"]) for entry in listed] == [
        ("main", ["imap", "pop3", "smtp"]),
        ("laptop", ["imap", "smtp"]),
        ("phone", ["imap", "pop3", "smtp"]),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["created"]) for entry in listed)
    assert console.text("password", "list", ALICE).splitlines()[2].split()[:2] == ["laptop", "imap,smtp"]
    console.text("password", "remove", ALICE, "--name", "laptop")
    assert not is_password(console, ALICE, made["password"])
    assert is_password(console, ALICE, found[1])


def test_the_main_password(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made anew or read; the old one is gone, app passwords stay; removing it leaves only those."""
    app = console.json("password", "add", ALICE, "--name", "laptop")["password"]
    first = console.json("password", "set", ALICE)["password"]
    assert is_password(console, ALICE, first)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a phrase of my own\n"))
    assert console.json("password", "set", ALICE, "--password-stdin") == {"address": ALICE}
    assert is_password(console, ALICE, "a phrase of my own") and not is_password(console, ALICE, first)
    console.text("password", "remove", ALICE, "--name", "main")
    assert not is_password(console, ALICE, "a phrase of my own") and is_password(console, ALICE, app)


def test_refusals(console: Console) -> None:
    """A name twice, an unknown name or account, the name of the main password."""
    console.text("password", "add", ALICE, "--name", "laptop")
    assert "another name" in console.refused("password", "add", ALICE, "--name", "laptop")
    assert "password list" in console.refused("password", "remove", ALICE, "--name", "phone")
    assert "password set" in console.refused("password", "add", ALICE, "--name", "main")
    for arguments in (
        ("add", "b@example.org", "--name", "x"),
        ("list", "b@example.org"),
        ("set", "b@example.org"),
    ):
        assert "account list" in console.refused("password", *arguments)


@pytest.mark.parametrize(
    "option", ["--scope=ftp", "--scope=", "--name=", "--name= x", "--name=a\nb", "--name=" + "x" * 65]
)
def test_usage(console: Console, option: str) -> None:
    """Unknown scopes and names that cannot be shown in a list are usage errors: exit code 2."""
    with pytest.raises(SystemExit) as ended:
        console.run("password", "add", ALICE, "--name", "laptop", option)
    assert ended.value.code == 2
