"""The steps of ``fedaemonctl setup``, each alone, and how a running daemon hears of them."""

from __future__ import annotations

import io
import os
import stat
import sys
import tempfile
from pathlib import Path

import dns.zone
import pytest

from fedaemon.config import read_settings
from fedaemon.ctl.setup import daemon
from tests.ctl.setup_server import ALL, DOMAIN, NAME, Server, make_pair


def test_a_password_can_be_given(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not shown, and a short one gets a remark."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    done = server.json("setup", *ALL, "--password-stdin")
    assert "password" not in done
    assert "can be guessed" in server.err


def test_http_opens_two_listeners_and_closes_them_again(server: Server) -> None:
    """Those that were there stay; certbot gets a directory that others can read."""
    server.set_up()
    before = server.values()["listener"]
    server.run("setup", "http")
    opened = server.values()
    assert opened["listener"] == [
        *before,
        {"service": "http", "port": 443, "tls": "implicit"},
        {"service": "http", "port": 80, "tls": "none"},
    ]
    webroot = Path(opened["http"]["webroot"])
    assert webroot == server.top / "lib-acme"
    assert stat.S_IMODE(webroot.stat().st_mode) & 0o005 == 0o005
    server.run("setup", "http", "--webroot", server.top / "other")
    assert server.values()["http"]["webroot"] == str(server.top / "other")
    server.run("setup", "http", "--off")
    assert server.values()["listener"] == before


def test_http_does_not_close_the_usual_listeners(server: Server) -> None:
    """Settings without a listener have five; with one of ours alone they would be gone."""
    server.config.write_text(f'[server]\nhostname = "{NAME}"\ndata_dir = "{server.data}"\n')
    before = read_settings(server.config).listeners
    server.run("setup", "http")
    listeners = read_settings(server.config).listeners
    assert listeners[: len(before)] == before
    assert [(each.service, each.port) for each in listeners[len(before) :]] == [("http", 443), ("http", 80)]


def test_a_domain_is_named_before_its_keys_and_records(server: Server) -> None:
    server.set_up()
    for step in ("dkim", "dns"):
        server.run("setup", step, "example.net", code=1)
        assert "fedaemonctl setup domain example.net" in server.err
    assert server.json("setup", "domain", "example.net")["changes"] == ["domain: example.net"]
    assert len(server.json("setup", "dkim", "example.net")["dkim"]) == 2
    assert server.json("setup", "dkim", "example.net")["changes"] == []


def test_the_zone_file_has_every_record_with_a_value(server: Server) -> None:
    """Those of the table, too; the address of a server behind NAT is given by hand."""
    server.set_up("--http")
    target = server.top / "zone"
    done = server.json(
        "setup", "dns", DOMAIN, "--zone", target, "--address", "192.0.2.1", "--address", "2001:db8::1"
    )
    zone = dns.zone.from_text(f"$TTL 1\n@ SOA a. b. 1 1 1 1 1\n@ NS a.\n{target.read_text()}", DOMAIN + ".")
    published = {record["name"] for record in done["records"] if record["type"] != "PTR"}
    assert {str(name.derelativize(zone.origin))[:-1] for name in zone} == published
    shown = server.run("setup", "dns", DOMAIN, "--address", "192.0.2.1", "--address", "2001:db8::1")
    table = shown.partition("What was cut off")[0].splitlines()
    assert max(map(len, table)) <= 100
    assert all(
        any(record["name"][:40] in line for line in table)
        for record in done["records"]
        if record["type"] != "A"
    )


def test_a_server_that_does_not_know_its_address_says_so(server: Server) -> None:
    server.set_up()
    shown = server.run("setup", "dns", DOMAIN)
    assert "(the public address of this server)" in shown
    assert f"fedaemonctl -c {server.config} setup dns {DOMAIN} --address IP" in shown


@pytest.fixture
def running(server: Server, monkeypatch: pytest.MonkeyPatch) -> int:
    """A daemon seems to serve the data directory."""
    monkeypatch.setattr(daemon, "find_daemon", lambda data_dir, machine: 4711)
    return 4711


def test_a_daemon_of_nobodys_is_told_by_hand(server: Server, running: int) -> None:
    """Only when there is something to tell."""
    assert f"kill -HUP {running}" in server.run("setup", *ALL)
    shown = server.run("setup")
    assert "kill -HUP" not in shown
    assert "twistd" not in shown


def test_systemds_daemon_is_reloaded(server: Server, running: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change of settings, or of the certificate alone; not when the unit runs another one."""
    systemctl = server.top / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(
        f'#!/bin/sh\necho "$*" >>{server.top}/said\n[ "$1" = show ] && echo {running}\n'
        f'[ ! -e {server.top}/broken ] || {{ [ "$1" = show ] || {{ echo no; exit 1; }}; }}\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(daemon, "SYSTEMD", server.top)
    said = server.top / "said"
    assert "has read the new settings" in server.run("setup", "hostname", NAME)
    assert said.read_text().splitlines()[-1] == "reload fedaemon"
    pair = make_pair(server.top / "new")
    server.run("setup", "certificate", "--certificate", pair.certificate)
    make_pair(server.top / "new")
    said.unlink()
    server.run("setup", "certificate", "--certificate", pair.certificate)
    assert said.read_text().splitlines()[-1] == "reload fedaemon"
    (server.top / "broken").touch()
    assert "could not be told: no" in server.run("setup", "hostname", "mx.example.org", code=0)
    monkeypatch.setattr(daemon, "find_daemon", lambda data_dir, machine: 1)
    assert "kill -HUP 1" in server.run("setup", "hostname", NAME)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_root_makes_files_that_the_daemon_can_read_and_not_change(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its group; the settings keep owner and mode."""
    # Not pytest's directory, which others may not enter.
    with tempfile.TemporaryDirectory(prefix="fedaemon-setup-") as name:
        Path(name).chmod(0o755)
        server = Server(Path(name), capsys)
        server.data.mkdir(mode=0o700)
        os.chown(server.data, 12345, 12346)
        os.chown(server.config, 0, 12346)
        server.config.chmod(0o640)
        server.set_up("--certificate", make_pair(server.top / "new").certificate)
        tls = server.config.parent / "tls"
        for path in (server.config, *tls.iterdir()):
            assert owner_and_mode(path) == (0, 12346, 0o640)
        assert owner_and_mode(tls) == (0, 12346, 0o750)
        assert {path.stat().st_uid for path in server.data.rglob("*")} == {12345}


def owner_and_mode(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)
