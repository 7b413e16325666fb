"""Certificate chains of any quality: a root, an intermediate authority, a server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ENCODING = serialization.Encoding


@dataclass(frozen=True, slots=True)
class Link:
    """One certificate with its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(ENCODING.DER)

    @property
    def spki(self) -> bytes:
        octets: bytes = self.key.public_key().public_bytes(
            ENCODING.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return octets


def make(
    name: str,
    signer: Link | None = None,
    *,
    names: tuple[str, ...] = (),
    from_days: int = -10,
    to_days: int = 10,
    uses: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.SERVER_AUTH,),
) -> Link:
    """Make a certificate signed by *signer* (None: by itself); an authority unless it has *names*."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if signer is None else signer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=from_days))
        .not_valid_after(now + timedelta(days=to_days))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False
        )
        if uses:
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    return Link(builder.sign(key if signer is None else signer.key, hashes.SHA256()), key)


def write(directory: Path, *chain: Link) -> tuple[Path, Path]:
    """Write the chain, leaf first, and the leaf's key; return both paths."""
    directory.mkdir(parents=True, exist_ok=True)
    certificate, key = directory / "chain.pem", directory / "leaf.key"
    certificate.write_bytes(b"".join(link.certificate.public_bytes(ENCODING.PEM) for link in chain))
    key.write_bytes(
        chain[0].key.private_bytes(
            ENCODING.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, key
