"""Judging a server's certificates by TLSA records.

OpenSSL can do this by itself, but pyOpenSSL does not pass its functions on; the few rules that matter to SMTP
are written down here.

Standards: RFC 6698 2.1 (records), RFC 7671 4 and 5, RFC 7672 3.1 (usages 2 and 3 only).
Invariants: nothing that a server shows raises anything; a record that cannot be understood matches nothing.
Known gaps: a DANE-TA anchor must be among the certificates that the server shows (RFC 7672 3.1.2 demands
that of servers); it is not taken out of a record that holds the whole certificate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

DANE_TA: Final = 2
DANE_EE: Final = 3

_MATCHING: Final[dict[int, Callable[[bytes], bytes]]] = {
    0: bytes,
    1: lambda octets: hashlib.sha256(octets).digest(),
    2: lambda octets: hashlib.sha512(octets).digest(),
}
_CONTEXT_0: Final = 0xA0
_SEQUENCE: Final = 0x30
_BEFORE_KEY: Final = 5
"""Fields of a TBSCertificate between its version and its key: serial, signature, issuer, validity, subject."""


class TlsaRecord(Protocol):
    """One TLSA record. Spec: RFC 6698 2.1"""

    @property
    def usage(self) -> int: ...
    @property
    def selector(self) -> int: ...
    @property
    def matching(self) -> int: ...
    @property
    def data(self) -> bytes: ...


def matches(record: TlsaRecord, certificate: crypto.X509) -> bool:
    """True when *record*, whatever its usage, is about *certificate*.

    Spec: RFC 6698 2.1.2, 2.1.3
    """
    octets = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
    digest = _MATCHING.get(record.matching)
    if digest is None or record.selector not in (0, 1):
        return False
    if record.selector == 1:
        octets = public_key_info(octets)
    return bool(octets) and digest(octets) == record.data


def find_end_entity(records: Iterable[TlsaRecord], leaf: crypto.X509) -> bool:
    """True when a DANE-EE record matches the server's own certificate.

    Names and dates in it do not matter: the record is what binds the key to the host, and for how long.

    Spec: RFC 7672 3.1.1
    """
    return any(record.usage == DANE_EE and matches(record, leaf) for record in records)


def find_anchors(records: Sequence[TlsaRecord], chain: Sequence[crypto.X509]) -> list[crypto.X509]:
    """Return the certificates above the leaf in *chain* (as shown, leaf first) that a DANE-TA record matches.

    Spec: RFC 7672 3.1.2
    """
    wanted = [record for record in records if record.usage == DANE_TA]
    return [each for each in chain[1:] if any(matches(record, each) for record in wanted)]


def leads_to(anchor: crypto.X509, chain: Sequence[crypto.X509]) -> int:
    """Verify *chain* (leaf first) up to *anchor*; return 0, or an X509_V_ERR number of OpenSSL."""
    store = crypto.X509Store()
    store.add_cert(anchor)
    # The anchor may be an intermediate certificate, which is no end of a chain otherwise.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    try:
        crypto.X509StoreContext(store, chain[0], list(chain[1:])).verify_certificate()
    except crypto.X509StoreContextError as error:
        return int(error.errors[0])
    return 0 if _is_for_servers(chain[0]) else _NOT_FOR_SERVERS


_NOT_FOR_SERVERS: Final = 26  # X509_V_ERR_INVALID_PURPOSE


def _is_for_servers(leaf: crypto.X509) -> bool:
    """False when the certificate names uses, and none is TLS servers. Spec: RFC 5280 4.2.1.12"""
    try:
        uses = leaf.to_cryptography().extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return ExtendedKeyUsageOID.SERVER_AUTH in uses or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in uses


def public_key_info(certificate: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a DER certificate, octet for octet; b"" when there is none.

    It is cut out and not encoded anew: what was hashed for the record is what stands in the certificate, also
    where the key is of a kind that ``cryptography`` does not know.

    Spec: RFC 5280 4.1
    """
    try:
        _, start, _ = _element(certificate, 0)
        tag, start, end = _element(certificate, start)
        for _ in range(_BEFORE_KEY + (certificate[start] == _CONTEXT_0)):
            _, _, start = _element(certificate, start)
        key, _, stop = _element(certificate, start)
    except IndexError:
        return b""
    return certificate[start:stop] if tag == key == _SEQUENCE and stop <= end <= len(certificate) else b""


def _element(octets: bytes, start: int) -> tuple[int, int, int]:
    """Return tag, start of the value and end of the DER element at *start*."""
    length = octets[start + 1]
    value = start + 2
    if length > 0x7F:
        many = length & 0x7F
        length = int.from_bytes(octets[value : value + many], "big")
        value += many
    return octets[start], value, value + length
