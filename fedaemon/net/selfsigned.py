"""Makes a certificate authority and a server certificate for local mode.

An application developer needs real TLS on localhost without asking anybody. The authority signs exactly one
certificate and its key is thrown away at once, so that trusting ``ca.pem`` on a developer's machine trusts
nothing else that anybody could make later.

Standards: RFC 5280 4.2 (extensions), RFC 9525 6 (names only in subjectAltName).
Invariants: key files are readable by their owner alone from the moment they exist; a pair on disk is either
whole or made anew.
Limits: the certificates are valid for 825 days, the longest that Apple's clients accept from a private
authority.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedaemon.net.certificate import belongs_to, not_valid_after

VALIDITY = timedelta(days=825)
KEEP = timedelta(days=30)
"""A certificate with less time left than this is replaced."""


@dataclass(frozen=True, slots=True)
class LocalCa:
    """Where the files are."""

    ca_file: Path
    certificate: Path
    private_key: Path


def local_ca(directory: Path) -> LocalCa:
    """Return where the files in *directory* are, whether or not they are there."""
    return LocalCa(directory / "ca.pem", directory / "server.pem", directory / "server.key")


def make_local_ca(directory: Path, names: Sequence[str]) -> LocalCa:
    """Return ``ca.pem``, ``server.pem`` and ``server.key`` in *directory*, made now unless they are good.

    :param names: DNS names and IP addresses the server certificate must be for.
    :raises OSError: the directory cannot be written.
    """
    files = local_ca(directory)
    if not _is_good(files, names):
        directory.mkdir(parents=True, exist_ok=True)
        _make(files, names)
    return files


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _is_good(files: LocalCa, names: Sequence[str]) -> bool:
    """True when all files are there, belong together, are for exactly *names* and last long enough."""
    try:
        ca = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
        leaf = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = serialization.load_pem_private_key(files.private_key.read_bytes(), password=None)
        alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    if (
        not belongs_to(key, leaf)
        or leaf.issuer != ca.subject
        or set(alternative) != set(_general_names(names))
    ):
        return False
    return not_valid_after(leaf) - datetime.now(UTC) > KEEP


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # A day back: containers and virtual machines beside us may have a clock that is behind.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now - timedelta(days=1) + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _make(files: LocalCa, names: Sequence[str]) -> None:
    """Make both certificates and write the three files, the key first."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # A serial number in the name keeps two authorities apart that were trusted one after the other.
    serial = f"{x509.random_serial_number():x}"[:8]
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"fedaemon local CA {serial}")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fedaemon local server")])
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        _builder(name, ca_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(files.private_key, private, 0o600)
    _write(files.certificate, leaf.public_bytes(encoding), 0o644)
    _write(files.ca_file, ca.public_bytes(encoding), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Replace *path* in one step; a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)
