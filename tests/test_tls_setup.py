"""The certificate that is there before anybody asked for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedaemon.config import parse_settings
from fedaemon.net.tls import BadCertificate
from fedaemon.tls_setup import own_directory, server_tls


def text(directory: Path, hostname: str = "mail.example.org", tls: str = "implicit") -> str:
    return (
        f'[server]\nhostname = "{hostname}"\ndata_dir = "{directory}"\n'
        f'[[listener]]\nservice = "mx"\nport = 25\ntls = "{tls}"\n'
    )


def test_the_first_start_makes_a_certificate_and_later_ones_keep_it(tmp_path: Path) -> None:
    """TLS works at once, and what a client has learnt to trust stays."""
    data_dir = tmp_path / "data"
    settings = parse_settings(text(data_dir))
    assert server_tls(settings) is not None
    key, made = (own_directory(settings) / name for name in ("server.key", "server.pem"))
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert key.stat().st_mode & 0o777 == 0o600
    before = made.read_bytes()
    server_tls(settings)
    assert made.read_bytes() == before


def test_another_host_name_has_another_certificate(tmp_path: Path) -> None:
    """A certificate for a name that is no longer ours would be refused by every client that checks."""
    server_tls(parse_settings(text(tmp_path)))
    before = (tmp_path / "tls" / "server.pem").read_bytes()
    server_tls(parse_settings(text(tmp_path, hostname="mx.example.org")))
    assert (tmp_path / "tls" / "server.pem").read_bytes() != before


def test_none_is_made_when_no_listener_has_tls(tmp_path: Path) -> None:
    """What nobody asks for is not there."""
    assert server_tls(parse_settings(text(tmp_path, tls="none"))) is None
    assert not (tmp_path / "tls").exists()


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """The line says who has to own what."""
    (tmp_path / "file").touch()
    with pytest.raises(BadCertificate, match=r"must own server\.data_dir") as caught:
        server_tls(parse_settings(text(tmp_path / "file" / "data")))
    assert "\n" not in str(caught.value)
