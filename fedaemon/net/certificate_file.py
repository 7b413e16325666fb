"""What stands in a certificate file, in plain values, for those who judge it without serving it.

Standards: RFC 5280 4.1, 4.2.1.6; RFC 7468 5 (PEM).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import crypto

from fedaemon.net import dane
from fedaemon.net.certificate import dns_names, not_valid_after
from fedaemon.net.pem import BadCertificate, read_file

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """One certificate.

    :ivar names: DNS names it is for, lower case, wildcards as written.
    :ivar issuer: who signed it, as people write it; *organisation* only its O=, "" when it has none.
    :ivar self_made: it names itself as its issuer.
    :ivar digest: hash of its signature, such as "sha256"; "" for kinds of signature without one.
    :ivar rsa_bits: size of an RSA key, None for others.
    """

    der: bytes
    names: tuple[str, ...]
    subject: str
    issuer: str
    organisation: str
    self_made: bool
    begins: datetime
    ends: datetime
    digest: str
    rsa_bits: int | None


def leaf(path: Path) -> bytes:
    """Return the first certificate of a file in DER; raises BadCertificate when it cannot."""
    return _chain(path)[0].public_bytes(serialization.Encoding.DER)


def read_chain(path: Path) -> tuple[CertificateFacts, ...]:
    """Return the certificates of a PEM file, in their order.

    :raises BadCertificate: the file cannot be read, or has no certificate.
    """
    return tuple(_facts(each) for each in _chain(path))


def matches(path: Path, usage: int, selector: int, matching: int, data: bytes) -> bool:
    """True when a TLSA record is about the chain in *path*: its leaf (usages 1 and 3), or one above (0 and 2).

    Spec: RFC 6698 2.1.1
    """
    record = _Record(usage, selector, matching, data)
    chain = [crypto.X509.from_cryptography(each) for each in _chain(path)]
    return any(dane.matches(record, each) for each in (chain[:1] if usage in (1, 3) else chain[1:]))


@dataclass(frozen=True, slots=True)
class _Record:
    usage: int
    selector: int
    matching: int
    data: bytes


def _chain(path: Path) -> list[x509.Certificate]:
    # cryptography reads a whole chain at once since 39 only.
    try:
        found = [x509.load_pem_x509_certificate(each) for each in _PEM.findall(read_file(path))]
    except ValueError:
        found = []
    if not found:
        raise BadCertificate(f"{path}: not a PEM certificate; put the leaf first")
    return found


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    try:
        digest = certificate.signature_hash_algorithm
    except ValueError:
        digest = None
    key = certificate.public_key()
    organisation = certificate.issuer.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return CertificateFacts(
        der=certificate.public_bytes(serialization.Encoding.DER),
        names=dns_names(certificate),
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        organisation=str(organisation[0].value) if organisation else "",
        self_made=certificate.issuer == certificate.subject,
        begins=_not_valid_before(certificate),
        ends=not_valid_after(certificate),
        digest=digest.name if isinstance(digest, hashes.HashAlgorithm) else "",
        rsa_bits=key.key_size if isinstance(key, rsa.RSAPublicKey) else None,
    )


def _not_valid_before(certificate: x509.Certificate) -> datetime:
    # As for not_valid_after: the aware attribute is there since cryptography 42.
    aware: datetime | None = getattr(certificate, "not_valid_before_utc", None)
    return aware if aware is not None else certificate.not_valid_before.replace(tzinfo=UTC)
