"""``fedaemonctl setup certificate``: only what clients can trust is installed, by hand and by certbot."""

from __future__ import annotations

import os
import stat

import pytest

from fedaemon.config import read_settings
from fedaemon.ctl.setup import certificate
from fedaemon.net.certificate_file import read_chain
from tests.ctl.setup_server import NAME, Server, make_pair


def test_a_certificate_is_copied_beside_the_settings_and_named_there(server: Server) -> None:
    server.set_up()
    pair = make_pair(server.top / "new")
    done = server.json("setup", "certificate", "--certificate", pair.certificate, "--key", pair.private_key)
    assert done["certificate"]["names"] == [NAME]
    tls = read_settings(server.config).tls
    assert tls is not None
    assert tls.certificate == server.config.parent / "tls" / "fullchain.pem"
    assert tls.private_key.read_bytes() == pair.private_key.read_bytes()
    assert stat.S_IMODE(tls.private_key.stat().st_mode) & 0o007 == 0
    again = server.json("setup", "certificate", "--certificate", pair.certificate)
    assert again["changes"] == []
    assert server.json("setup", "certificate")["certificate"] == done["certificate"]


def test_a_certificate_is_part_of_all_of_it(server: Server) -> None:
    pair = make_pair(server.top / "new", by="Let's Encrypt")
    done = server.set_up("--certificate", pair.certificate)
    assert done["certificate"]["names"] == [NAME]
    assert not [command for command in done["next"] if "certbot" in command]
    assert [record["value"] for record in done["records"] if record["type"] == "CAA"] == [
        '0 issue "letsencrypt.org"'
    ]
    assert server.set_up("--self-signed")["certificate"] is None
    assert "tls" not in server.values()


@pytest.mark.parametrize(
    ("names", "days", "said"),
    [
        (["other.example.org"], 90, f"is for other.example.org, and not for {NAME}"),
        ([NAME], -1, "renew it first"),
        (["*.example.org"], 90, ""),
    ],
)
def test_a_certificate_that_clients_would_refuse_is_refused(
    server: Server, names: list[str], days: int, said: str
) -> None:
    server.set_up()
    pair = make_pair(server.top / "new", names, days)
    server.run("setup", "certificate", "--certificate", pair.certificate, code=1 if said else 0)
    assert said in server.err
    assert (read_settings(server.config).tls is None) is bool(said)


def test_a_key_of_another_certificate_is_refused(server: Server) -> None:
    server.set_up()
    pair, other = make_pair(server.top / "new"), make_pair(server.top / "other")
    server.run("setup", "certificate", "--certificate", pair.certificate, "--key", other.private_key, code=1)
    assert "does not belong to" in server.err
    assert not (server.config.parent / "tls").exists()


def test_one_certificate_at_a_time(server: Server) -> None:
    """Options that contradict each other are usage errors, and so is a key alone."""
    server.set_up()
    with pytest.raises(SystemExit, match="2"):
        server.run("setup", "certificate", "--self-signed", "--from-certbot")
    for command in (("setup",), ("setup", "certificate")):
        server.run(*command, "--key", server.top / "key", code=1)
        assert "--key is for --certificate" in server.err


def test_a_new_host_name_may_need_a_new_certificate(server: Server) -> None:
    server.set_up("--certificate", make_pair(server.top / "new").certificate)
    assert "NOT for" not in server.run("setup", "certificate")
    assert f"for {NAME}, NOT for mx.example.org, until" in server.run("setup", "hostname", "mx.example.org")


def test_a_certificate_that_went_bad_is_said_with_its_file(server: Server) -> None:
    """And nothing of the rest is done."""
    server.set_up("--certificate", make_pair(server.top / "new").certificate)
    file = server.config.parent / "tls" / "fullchain.pem"
    file.write_text("nothing")
    server.run("setup", "certificate", code=1)
    assert f"{file}: not a PEM certificate" in server.err


def test_certbots_certificate_is_found_and_certbot_told_to_bring_the_next(server: Server) -> None:
    """The hook is a command line that works; a second run leaves it."""
    server.set_up()
    server.run("setup", "certificate", "--from-certbot", code=1)
    assert f"certbot certonly -d {NAME}" in server.err
    make_pair(certificate.LETSENCRYPT / "live" / NAME)
    hooks = certificate.LETSENCRYPT / "renewal-hooks" / "deploy"
    hooks.mkdir(parents=True)
    server.run("setup", "certificate", "--from-certbot")
    hook = hooks / "fedaemon"
    assert os.access(hook, os.X_OK)
    assert f"exec fedaemonctl -c {server.config} setup certificate --from-certbot\n" in hook.read_text()
    assert server.json("setup", "certificate", "--from-certbot")["changes"] == []


def test_a_hook_of_the_administrators_own_is_enough(server: Server) -> None:
    """As certbot keeps --deploy-hook in its renewal settings."""
    server.set_up()
    make_pair(certificate.LETSENCRYPT / "live" / NAME)
    (certificate.LETSENCRYPT / "renewal").mkdir()
    (certificate.LETSENCRYPT / "renewal" / "x.conf").write_text(
        "renew_hook = fedaemonctl setup certificate\n"
    )
    hooks = certificate.LETSENCRYPT / "renewal-hooks" / "deploy"
    hooks.mkdir(parents=True)
    server.run("setup", "certificate", "--from-certbot")
    assert list(hooks.iterdir()) == []


def test_inside_certbots_hook_the_renewed_certificate_is_taken_if_it_is_ours(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """certbot calls for each certificate that it renews."""
    server.set_up()
    live = certificate.LETSENCRYPT / "live"
    make_pair(live / "ours")
    make_pair(live / "other", ["www.example.com"])
    (certificate.LETSENCRYPT / "renewal-hooks" / "deploy").mkdir(parents=True)
    monkeypatch.setenv("RENEWED_LINEAGE", str(live / "other"))
    assert "nothing to do" in server.run("setup", "certificate", "--from-certbot")
    assert read_settings(server.config).tls is None
    monkeypatch.setenv("RENEWED_LINEAGE", str(live / "ours"))
    server.run("setup", "certificate", "--from-certbot")
    assert read_chain(server.config.parent / "tls" / "fullchain.pem")[0].names == (NAME,)
    assert list((certificate.LETSENCRYPT / "renewal-hooks" / "deploy").iterdir()) == []
