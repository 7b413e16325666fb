"""``fedaemonctl setup`` by options: all of it, and again."""

from __future__ import annotations

import io
import stat
import sys
from pathlib import Path

import pytest

from fedaemon.config import read_settings
from fedaemon.ctl.doctor.machine import Machine
from fedaemon.ctl.setup import files
from tests.ctl.setup_server import ALICE, ALL, DOMAIN, NAME, SAMPLE, Server


def test_options_alone_make_a_server_that_can_be_started(server: Server) -> None:
    """Name, domain, account with a password that is shown, postmaster, DKIM keys that sign."""
    done = server.set_up("--yes")
    settings = read_settings(server.config)
    assert (settings.server.hostname, settings.server.postmaster) == (NAME, ALICE)
    assert len(done["password"]) == 24
    assert server.json("account", "show", ALICE)["passwords"][0]["name"] == "main"
    assert {key["state"] for key in server.json("dkim", "list", DOMAIN)} == {"active"}
    assert done["certificate"] is None
    assert done["next"][0].startswith("twistd -n --pidfile= fedaemon --config /")
    assert done["next"][1] == f"fedaemonctl -c {server.config} probe {ALICE}"
    assert f"-d {NAME} --deploy-hook" in done["next"][2]
    assert done["next"][3] == f"fedaemonctl -c {server.config} doctor {DOMAIN}"


def test_run_again_it_changes_nothing(server: Server) -> None:
    """With the same answers, with none, and as a text for people; the account keeps its password."""
    server.set_up("--http")
    before, status = server.config.read_bytes(), server.config.stat()
    passwords = server.json("password", "list", ALICE)
    for arguments in (ALL, ("--http",), ("--yes",)):
        done = server.json("setup", *arguments)
        assert done["changes"] == []
        assert "password" not in done
    assert "+" not in {line[:1] for line in server.run("setup").splitlines()}
    assert server.config.read_bytes() == before
    assert server.config.stat().st_ino == status.st_ino
    assert server.json("password", "list", ALICE) == passwords


def test_only_what_is_answered_differently_is_changed(server: Server) -> None:
    server.set_up()
    before = server.config.read_text()
    done = server.json("setup", "--hostname", "mx.example.org")
    assert done["changes"] == ["host name: mx.example.org"]
    assert server.config.read_text() == before.replace(
        f'hostname = "{NAME}"\n', 'hostname = "mx.example.org"\n', 1
    )


def test_a_second_account_does_not_take_the_postmasters_mail(server: Server) -> None:
    server.set_up()
    done = server.json("setup", "account", "bob@example.org")
    assert (done["postmaster"], done["changes"]) == (ALICE, ["account: bob@example.org"])


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ((), "--hostname mail.example.org, --domain example.org, --account alice@example.org"),
        (("--hostname", NAME), "--domain example.org, --account alice@example.org"),
        (("--hostname", NAME, "--domain", DOMAIN), "--account alice@example.org"),
    ],
)
def test_missing_answers_are_one_line_and_nothing_is_done(
    server: Server, given: tuple[str, ...], missing: str
) -> None:
    before = server.config.read_bytes()
    server.run("setup", *given, code=2)
    assert server.err == f"fedaemonctl: setup needs answers; give {missing}, or run it on a terminal\n"
    assert server.config.read_bytes() == before
    assert not server.data.exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--hostname", "mail"), "no complete name"),
        (("--hostname", "192.0.2.1"), "that is an address"),
        (("--domain", "exa mple.org"), "exa mple.org"),
        (("--account", "alice@@example.org"), "alice@@example.org"),
        (("--certificate", "/nowhere/fullchain.pem"), "/nowhere/fullchain.pem"),
    ],
)
def test_a_wrong_option_is_one_line_and_nothing_is_done(
    server: Server, wrong: tuple[str, str], said: str
) -> None:
    before = server.config.read_bytes()
    given = [word for pair in zip(ALL[::2], ALL[1::2], strict=True) if pair[0] != wrong[0] for word in pair]
    server.run("setup", *given, *wrong, code=1)
    assert server.err.count("\n") == 1
    assert said in server.err or wrong[1] in server.err
    assert server.config.read_bytes() == before
    assert not server.data.exists()


def test_settings_that_are_not_there_begin_as_the_sample(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its comments; nobody but the owner can read them."""
    server.config.unlink()
    monkeypatch.setattr(files, "for_daemon", lambda _: (0o600, None))
    server.run("setup", "hostname", NAME)
    assert server.config.read_text() == SAMPLE.replace('#hostname = "mail', 'hostname = "mail', 1)
    assert stat.S_IMODE(server.config.stat().st_mode) == 0o600


def test_settings_that_are_wrong_are_left_alone(server: Server) -> None:
    """What is wrong is said with file and line, and exit code 2."""
    text = SAMPLE.replace("port = 25\n", "prot = 25\n")
    server.config.write_text(text)
    server.run("setup", "hostname", NAME, code=2)
    assert "did you mean 'port'?" in server.err
    assert server.config.read_text() == text
    server.config.write_text("[server\n")
    server.run("setup", "hostname", NAME, code=2)
    assert f"{server.config}:1: not valid TOML" in server.err


def test_mode_line_ends_and_a_link_stay(server: Server, tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_bytes(server.config.read_bytes().replace(b"\n", b"\r\n"))
    real.chmod(0o604)
    server.config.unlink()
    server.config.symlink_to(real)
    server.run("setup", "hostname", NAME)
    assert server.config.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o604
    assert real.read_bytes().count(b"\r\n") == real.read_bytes().count(b"\n") == SAMPLE.count("\n")
    assert read_settings(server.config).server.hostname == NAME


class Person(io.StringIO):
    """Whoever sits at the terminal, with the answers in order."""

    def isatty(self) -> bool:
        return True


def test_behind_nat_the_address_is_asked_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several can be given; Return leaves it open."""
    server.set_up("--no-http")
    usual = "\n\n\n\n"
    monkeypatch.setattr(sys, "stdin", Person(f"{usual}here\n192.0.2.1, 2001:db8::1\n"))
    shown = server.run("setup", "--no-http")
    assert "here is no IP address" in server.err
    assert f"{NAME}. IN A 192.0.2.1\n" in shown
    assert f"{NAME}. IN AAAA 2001:db8::1\n" in shown
    monkeypatch.setattr(sys, "stdin", Person(f"{usual}\n"))
    assert "(the public address of this server)" in server.run("setup", "--no-http")
    monkeypatch.setattr(Machine, "outgoing", lambda _: ("10.0.0.2", "198.41.0.4"))
    monkeypatch.setattr(sys, "stdin", Person(usual))
    assert f"{NAME}. IN A 198.41.0.4\n" in server.run("setup", "--no-http")
