"""The local authority: certificates that real clients accept, private keys, reuse while good."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from fedaemon.net import selfsigned
from fedaemon.net.certificate import not_valid_after
from fedaemon.net.selfsigned import make_local_ca

NAMES = ["localhost", "127.0.0.1", "::1"]


def leaf(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / "server.pem").read_bytes())


def test_names_and_lifetime_are_as_asked(tmp_path: Path) -> None:
    """The server certificate is for exactly the names, valid already and for more than two years."""
    files = make_local_ca(tmp_path / "tls", NAMES)
    assert files.ca_file == tmp_path / "tls" / "ca.pem"
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternative.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in alternative.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    left = not_valid_after(certificate) - datetime.now(UTC)
    assert timedelta(days=800) < left < timedelta(days=825)


def test_keys_are_private_and_the_authority_key_is_not_kept(tmp_path: Path) -> None:
    """Only the owner reads the server's key, and nobody can sign anything else with the authority."""
    files = make_local_ca(tmp_path, NAMES)
    assert stat.S_IMODE(files.private_key.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"ca.pem", "server.pem", "server.key"}
    assert b"PRIVATE" not in files.ca_file.read_bytes() + files.certificate.read_bytes()


def test_good_files_are_reused_and_other_names_make_new_ones(tmp_path: Path) -> None:
    """A restart keeps what developers trust already; a changed list of names does not."""
    make_local_ca(tmp_path, NAMES)
    first = leaf(tmp_path)
    make_local_ca(tmp_path, list(reversed(NAMES)))
    assert leaf(tmp_path) == first
    make_local_ca(tmp_path, [*NAMES, "mail.example.test"])
    assert leaf(tmp_path) != first


def test_files_that_soon_end_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less than 30 days left a certificate is made anew."""
    monkeypatch.setattr(selfsigned, "VALIDITY", timedelta(days=29))
    make_local_ca(tmp_path, NAMES)
    first = leaf(tmp_path)
    monkeypatch.undo()
    make_local_ca(tmp_path, NAMES)
    assert leaf(tmp_path) != first


@pytest.mark.parametrize("name", ["ca.pem", "server.pem", "server.key"])
def test_a_damaged_or_missing_file_makes_all_anew(tmp_path: Path, name: str) -> None:
    """Files that do not belong together are never served."""
    make_local_ca(tmp_path / "a", NAMES)
    make_local_ca(tmp_path / "b", NAMES)
    first = leaf(tmp_path / "a")
    (tmp_path / "a" / name).write_bytes((tmp_path / "b" / name).read_bytes())
    make_local_ca(tmp_path / "a", NAMES)
    second = leaf(tmp_path / "a")
    assert second != first
    (tmp_path / "a" / name).write_text("")
    make_local_ca(tmp_path / "a", NAMES)
    assert leaf(tmp_path / "a") != second
    (tmp_path / "a" / name).unlink()
    make_local_ca(tmp_path / "a", NAMES)
    assert (tmp_path / "a" / name).exists()
