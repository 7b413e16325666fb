"""TLS contexts for both ends of a connection, in the form in which Twisted's ``startTLS`` takes them.

Theory of operation: a ``ServerTls`` has one OpenSSL context for each certificate, made when the certificate
is read and shared by all connections; a new connection costs one ``SSL.Connection`` and no other Python work.
The context of the first certificate answers; when there are more, OpenSSL's server-name callback changes to
the one whose certificate names what the client asked for. ``reload`` builds everything anew and swaps it in
only when all of it is good, so that connections keep what they have and a bad file changes nothing.

``ClientTls`` has two contexts: one that looks at no certificate (opportunistic and required TLS, where an
unauthenticated channel is still better than none) and one that checks chain and name.

Standards: RFC 8446, RFC 5246, RFC 8996 (no TLS below 1.2), RFC 9325, RFC 6066 3 (server name), RFC 5077
(tickets), RFC 7435 (opportunistic), RFC 9525 (names), RFC 5929 4 and RFC 9266 4 (channel bindings).
Invariants: TLS below 1.2, compression and renegotiation do not happen on our listeners; a certificate that
does not verify ends the handshake before a single application octet is sent.
Known gaps: ``tls-exporter`` is offered for TLS 1.3 only, because pyOpenSSL does not tell whether a TLS 1.2
handshake used the extended master secret that RFC 9266 4.2 demands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import service_identity
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from OpenSSL import SSL, crypto
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from zope.interface import implementer

from fedaemon.net.certificate import belongs_to, dns_names

CIPHERS_TLS12 = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2 on our listeners: forward secrecy and authenticated encryption, as TLS 1.3 always has."""

_EXPORTER_LABEL = b"EXPORTER-Channel-Binding"

_VERIFY_PROBLEMS = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "comes from an authority that is not trusted",
    20: "comes from an authority that is not trusted",
    21: "comes without the certificate of its authority",
    23: "has been revoked",
    24: "was signed by something that is not an authority",
    26: "was not made for servers",
}
"""X509_V_ERR_* of x509_vfy.h, as the end of "the certificate …"."""


class BadCertificate(Exception):
    """A certificate or key cannot be used; the text is "FILE: what; fix"."""


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
        leaf = x509.load_pem_x509_certificate(_read(certificate))
    except ValueError:
        raise BadCertificate(f"{certificate}: not a PEM certificate; put the leaf first") from None
    try:
        # Also keeps OpenSSL from asking for a passphrase on the terminal, which would stop the whole process.
        key = serialization.load_pem_private_key(_read(private_key), password=None)
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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificate(
            f"{path}: {error.strerror}; the user fedaemon runs as must be able to read it"
        ) from None


class ClientTls:
    """TLS for connections that we open.

    :param ca_file: PEM file of the authorities to trust; None for the system's.
    :raises BadCertificate: *ca_file* cannot be used.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        self._unverified = _client_context()
        self._verified = _client_context()
        if ca_file is None:
            self._verified.set_default_verify_paths()
        else:
            _read(ca_file)
            try:
                self._verified.load_verify_locations(str(ca_file))
            except SSL.Error:
                raise BadCertificate(f"{ca_file}: not a PEM file of certificates") from None

    def creator(self, host: str, *, verify: bool) -> ClientConnectionCreator:
        """Return what ``transport.startTLS`` takes, for one connection to *host*.

        :param host: name (A-labels) or IP address the certificate must be for, and which the server is told.
        :param verify: check chain and name; otherwise any certificate will do.
        """
        return ClientConnectionCreator(self._verified if verify else self._unverified, host, verify)


def _client_context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context


class _Presented:
    """Just enough of a connection for service_identity, which looks at nothing but the peer's certificate.

    During the handshake the connection itself does not show it yet.
    """

    __slots__ = ("_certificate",)

    def __init__(self, certificate: crypto.X509) -> None:
        self._certificate = certificate

    def get_peer_certificate(self) -> crypto.X509:
        return self._certificate


@implementer(IOpenSSLClientConnectionCreator)
class ClientConnectionCreator:
    """The client's side of one handshake. *problem* says what is wrong with the certificate, or ""."""

    __slots__ = ("_context", "_host", "_is_address", "_verify", "problem")

    def __init__(self, context: SSL.Context, host: str, verify: bool) -> None:
        self._context = context
        self._host = host.rstrip(".")
        self._verify = verify
        self.problem = ""
        try:
            ip_address(self._host)
        except ValueError:
            self._is_address = False
        else:
            self._is_address = True

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N802, N803
        """Make the OpenSSL side of a new connection (IOpenSSLClientConnectionCreator)."""
        connection = SSL.Connection(self._context, None)
        if not self._is_address:  # RFC 6066 3: literal addresses are not permitted as server names
            connection.set_tlsext_host_name(self._host.encode("ascii"))
        if self._verify:
            connection.set_verify(SSL.VERIFY_PEER, self._check)
        return connection

    def _check(self, _: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
        """Judge one certificate of the chain; called by OpenSSL during the handshake.

        Returning False ends the handshake with an alert. Nothing may be raised here: it would pass through
        Twisted as if it were a bug of the TLS layer.
        """
        if not ok:
            what = _VERIFY_PROBLEMS.get(error, f"does not verify (OpenSSL error {error})")
            self.problem = f"the certificate {what}"
            return False
        if depth > 0:
            return True
        check: Callable[[Any, str], None] = verify_ip_address if self._is_address else verify_hostname
        try:
            check(_Presented(certificate), self._host)
        except (service_identity.VerificationError, service_identity.CertificateError):
            self.problem = f"the certificate is not for {self._host}"
        except Exception as failure:
            self.problem = f"the certificate cannot be judged ({failure})"
        return not self.problem


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


def failure_text(reason: BaseException | None, creator: ClientConnectionCreator | None = None) -> str:
    """Say in one line why a handshake failed; *creator* knows about certificates."""
    if creator is not None and creator.problem:
        return creator.problem
    if isinstance(reason, SSL.Error) and reason.args and isinstance(reason.args[0], list) and reason.args[0]:
        return ", ".join(str(entry[-1]) for entry in reason.args[0])
    return str(reason or "") or type(reason).__name__
