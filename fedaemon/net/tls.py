"""TLS for our listeners, in the form in which Twisted's ``startTLS`` takes them.

Theory of operation: a ``ServerTls`` has one OpenSSL context for each certificate, made when the certificate
is read and shared by all connections; a new connection costs one ``SSL.Connection`` and no other Python work.
The context of the first certificate answers; when there are more, OpenSSL's server-name callback changes to
the one whose certificate names what the client asked for. ``reload`` builds everything anew and swaps it in
only when all of it is good, so that connections keep what they have and a bad file changes nothing.

The client's side is in tls_client.

Standards: RFC 8446, RFC 5246, RFC 8996 (no TLS below 1.2), RFC 9325, RFC 6066 3 (server name), RFC 5077
(tickets), RFC 5929 4 and RFC 9266 4 (channel bindings).
Invariants: TLS below 1.2, compression and renegotiation do not happen on our listeners.
Known gaps: ``tls-exporter`` is offered for TLS 1.3 only, because pyOpenSSL does not tell whether a TLS 1.2
handshake used the extended master secret that RFC 9266 4.2 demands.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from fedaemon.net.certificate import belongs_to, dns_names, not_valid_after
from fedaemon.net.pem import BadCertificate as BadCertificate
from fedaemon.net.pem import read_file
from fedaemon.net.tls_client import ClientTls as ClientTls
from fedaemon.net.tls_client import failure_text as failure_text

CIPHERS_TLS12 = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2 on our listeners: forward secrecy and authenticated encryption, as TLS 1.3 always has."""

_EXPORTER_LABEL = b"EXPORTER-Channel-Binding"


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Certificates of our listeners.

    :param certificate: PEM file, leaf first and then the chain; shown to clients that ask for no known name.
    :param private_key: PEM file, not encrypted.
    :param sites: further (certificate, private key) pairs; the names are taken from the certificates.
    :raises BadCertificate: a file cannot be read or used, or a pair does not belong together.
    """

    def __init__(self, certificate: Path, private_key: Path, sites: Iterable[tuple[Path, Path]] = ()) -> None:
        self._pairs: tuple[tuple[Path, Path], ...] = ((certificate, private_key), *sites)
        self._install(self._pairs)

    @property
    def factory(self) -> ServerTls:
        """What ``transport.startTLS`` and ``TLSMemoryBIOFactory`` take; stays good across ``reload``."""
        return self

    @property
    def names(self) -> frozenset[str]:
        """Every DNS name for which there is a certificate, wildcards as written."""
        return frozenset(self._by_name)

    @property
    def expiries(self) -> tuple[tuple[str, datetime], ...]:
        """The first name of each certificate, and when it ends."""
        return self._expiries

    def reload(
        self,
        certificate: Path | None = None,
        private_key: Path | None = None,
        sites: Iterable[tuple[Path, Path]] | None = None,
    ) -> None:
        """Read the files again, or other files; connections that exist keep what they have.

        :raises BadCertificate: as the constructor; everything stays as it was.
        """
        first = (certificate or self._pairs[0][0], private_key or self._pairs[0][1])
        pairs = (first, *(self._pairs[1:] if sites is None else sites))
        self._install(pairs)
        self._pairs = pairs

    def _install(self, pairs: tuple[tuple[Path, Path], ...]) -> None:
        loaded = [_load(certificate, private_key) for certificate, private_key in pairs]
        by_name: dict[str, SSL.Context] = {}
        for leaf, context in loaded:
            for name in dns_names(leaf):
                by_name.setdefault(name, context)
        self._by_name = by_name
        self._expiries = tuple((next(iter(dns_names(leaf)), ""), not_valid_after(leaf)) for leaf, _ in loaded)
        self._context = loaded[0][1]
        if len(loaded) > 1:
            self._context.set_tlsext_servername_callback(self._choose_site)

    def _choose_site(self, connection: SSL.Connection) -> None:
        """Change to the certificate for the name the client asked for. Spec: RFC 6066 3."""
        asked = connection.get_servername()
        if not asked:
            return
        name = asked.decode("ascii", "replace").lower()
        context = self._by_name.get(name) or self._by_name.get("*." + name.partition(".")[2])
        if context is not None and context is not connection.get_context():
            connection.set_context(context)

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N802, N803
        """Make the OpenSSL side of a new connection (IOpenSSLServerConnectionCreator)."""
        return SSL.Connection(self._context, None)


def _load(certificate: Path, private_key: Path) -> tuple[x509.Certificate, SSL.Context]:
    """Read one pair; return the leaf and the context that shows it."""
    try:
        leaf = x509.load_pem_x509_certificate(read_file(certificate))
    except ValueError:
        raise BadCertificate(f"{certificate}: not a PEM certificate; put the leaf first") from None
    try:
        # Also keeps OpenSSL from asking for a passphrase on the terminal, which would stop the whole process.
        key = serialization.load_pem_private_key(read_file(private_key), password=None)
    except TypeError:
        raise BadCertificate(
            f"{private_key}: has a passphrase; write it without one: openssl pkey -in FILE -out FILE"
        ) from None
    except ValueError:
        raise BadCertificate(f"{private_key}: not a PEM private key; name the key file here") from None
    if not belongs_to(key, leaf):
        raise BadCertificate(
            f"{private_key}: does not belong to {certificate}; name the key the certificate was made for"
        )
    try:
        return leaf, _server_context(certificate, private_key)
    except SSL.Error as error:
        raise BadCertificate(f"{certificate}: OpenSSL refuses it ({failure_text(error)})") from None


def _server_context(certificate: Path, private_key: Path) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(
        SSL.OP_NO_COMPRESSION
        | SSL.OP_NO_RENEGOTIATION
        | SSL.OP_CIPHER_SERVER_PREFERENCE
        | SSL.OP_SINGLE_ECDH_USE
    )
    # OpenSSL then frees the record buffers of an idle connection; there may be ten thousand.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    # Tickets resume sessions without memory on our side; the server's own cache would only cost.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"fedaemon")
    context.set_cipher_list(CIPHERS_TLS12)
    context.use_certificate_chain_file(str(certificate))
    context.use_privatekey_file(str(private_key))
    return context


def describe(connection: SSL.Connection) -> str:
    """Return protocol and cipher, such as "TLSv1.3 TLS_AES_256_GCM_SHA384"."""
    return f"{connection.get_protocol_version_name()} {connection.get_cipher_name()}"


def channel_bindings(connection: SSL.Connection) -> dict[str, bytes]:
    """Return the channel binding data of our (the server's) side, by type, for SCRAM-SHA-256-PLUS.

    Spec: RFC 5929 4, RFC 9266 4.
    """
    bindings: dict[str, bytes] = {}
    if connection.get_protocol_version() >= SSL.TLS1_3_VERSION:
        bindings["tls-exporter"] = connection.export_keying_material(_EXPORTER_LABEL, 32, b"")
    certificate = connection.get_certificate()
    if certificate is not None and (digest := _certificate_digest(certificate.to_cryptography())):
        bindings["tls-server-end-point"] = digest
    return bindings


def _certificate_digest(certificate: x509.Certificate) -> bytes | None:
    """Hash with the signature's algorithm, SHA-256 in place of MD5 and SHA-1; none is defined for Ed25519.

    Spec: RFC 5929 4.1.
    """
    algorithm: Any = certificate.signature_hash_algorithm
    if algorithm is None:
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)
