"""What we need to know of certificates and keys, alike in every supported version of ``cryptography``.

Standards: RFC 5280 4.1.2.5 (validity), RFC 9525 6.3 (names are in subjectAltName only).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization


def not_valid_after(certificate: x509.Certificate) -> datetime:
    """Return when the certificate ends, as an aware time."""
    # cryptography 42 deprecated the naive attribute; 38 has nothing else.
    aware: datetime | None = getattr(certificate, "not_valid_after_utc", None)
    return aware if aware is not None else certificate.not_valid_after.replace(tzinfo=UTC)


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names the certificate is for, lower case, wildcards as written."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in alternative.get_values_for_type(x509.DNSName))


def belongs_to(private_key: Any, certificate: x509.Certificate) -> bool:
    """True when the certificate was made for this private key (any of the key types of ``cryptography``)."""
    return _octets(private_key.public_key()) == _octets(certificate.public_key())


def _octets(key: Any) -> bytes:
    # The keys themselves are compared by identity before cryptography 40.
    octets: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return octets
