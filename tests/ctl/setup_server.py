"""What the tests of ``fedaemonctl setup`` share: a settings file to be set up, and certificates."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fedaemon.ctl.main import main
from fedaemon.ctl.setup import certificate

SAMPLE = (Path(__file__).parents[2] / "etc/fedaemon.toml").read_text()
NAME, DOMAIN, ALICE = "mail.example.org", "example.org", "alice@example.org"
ALL = ("--hostname", NAME, "--domain", DOMAIN, "--account", ALICE)


class Server:
    """A settings file to be set up, and what fedaemonctl prints."""

    def __init__(self, top: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.top = top
        self.config = top / "etc" / "fedaemon.toml"
        self.data = top / "lib"
        self.config.parent.mkdir()
        self.config.write_text(SAMPLE.replace("/var/lib/fedaemon", str(self.data)))
        self._capsys = capsys
        self.err = ""

    def run(self, *arguments: object, code: int = 0) -> str:
        """Run a command line; return what it printed."""
        ended = main(["-c", str(self.config), *map(str, arguments)])
        shown = self._capsys.readouterr()
        self.err = shown.err
        assert ended == code, shown
        return shown.out

    def json(self, *arguments: object) -> Any:
        return json.loads(self.run(*arguments, "--json"))

    def set_up(self, *more: object) -> Any:
        return self.json("setup", *ALL, *more)

    def values(self) -> dict[str, Any]:
        return tomllib.loads(self.config.read_text())


def make_pair(
    directory: Path, names: Sequence[str] = (NAME,), days: int = 90, by: str = "Test"
) -> certificate.Pair:
    """Make a certificate and a key as certbot names them."""
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    issuer = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, by)])
    end = datetime.now(UTC).replace(tzinfo=None, microsecond=0) + timedelta(days=days)
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - timedelta(days=90))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pair = certificate.Pair(directory / certificate.CHAIN, directory / certificate.KEY)
    pair.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pair.private_key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pair
