"""The client's side of TLS: what a server's certificate is worth, and who is turned away for it.

Every certificate is judged, also where it makes no difference to the connection: what was found is kept with
each delivery, and tells an operator which of his partners could be held to more.

Theory of operation: one context for all connections. OpenSSL verifies the chain and tells a callback about
each certificate; the callback keeps the first thing that is wrong and, where verification is demanded, ends
the handshake there. DANE is judged after the handshake, because the certificates a server has sent cannot be
had before, and before anything is said on the connection.

Standards: RFC 8996 (no TLS below 1.2), RFC 6066 3 (server name), RFC 7435 (opportunistic), RFC 9525 (names),
RFC 7672 3 (DANE), RFC 8460 4.3 (result types).
Invariants: with ``verify`` a certificate that does not pass ends the handshake before a single application
octet is sent; ``judge`` gives no good verdict unless the server's certificate was looked at; nothing a server
shows raises anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import service_identity
from OpenSSL import SSL, crypto
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from fedaemon.net.dane import TlsaRecord, find_anchors, find_end_entity, leads_to
from fedaemon.net.pem import BadCertificate, read_file

HANDSHAKE_FAILED: Final = "validation-failure"
"""The result type for whatever has no type of its own. Spec: RFC 8460 4.3.1"""

_NOT_TRUSTED: Final = "certificate-not-trusted"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about a certificate.

    *certificate* says it in a word or two ("trusted", "dane", "self-signed"), *problem* in a clause ("" when
    there is none), *failure* is the result type of RFC 8460 4.3.
    """

    certificate: str
    problem: str = ""
    failure: str = ""


TRUSTED: Final = Verdict("trusted")
BY_DANE: Final = Verdict("dane")
_UNSEEN: Final = Verdict("none", "the server has shown no certificate", HANDSHAKE_FAILED)
_NO_MATCH: Final = Verdict(
    "no dane match", "the certificate matches none of the TLSA records", "tlsa-invalid"
)

_VERIFY_PROBLEMS: Final = {
    9: Verdict("not yet valid", "the certificate is not valid yet", HANDSHAKE_FAILED),
    10: Verdict("expired", "the certificate has expired", "certificate-expired"),
    18: Verdict("self-signed", "the certificate is self-signed", _NOT_TRUSTED),
    19: Verdict(
        "unknown authority", "the certificate comes from an authority that is not trusted", _NOT_TRUSTED
    ),
    20: Verdict(
        "unknown authority", "the certificate comes from an authority that is not trusted", _NOT_TRUSTED
    ),
    21: Verdict(
        "unknown authority", "the certificate comes without the certificate of its authority", _NOT_TRUSTED
    ),
    23: Verdict("revoked", "the certificate has been revoked", _NOT_TRUSTED),
    24: Verdict(
        "bad chain", "the certificate was signed by something that is not an authority", _NOT_TRUSTED
    ),
    26: Verdict("not a server's", "the certificate was not made for servers", _NOT_TRUSTED),
}
"""By X509_V_ERR_* of x509_vfy.h."""


def _verify_problem(error: int) -> Verdict:
    text = f"the certificate does not verify (OpenSSL error {error})"
    return _VERIFY_PROBLEMS.get(error) or Verdict("not verifiable", text, HANDSHAKE_FAILED)


class ClientTls:
    """TLS for connections that we open.

    :param ca_file: PEM file of the authorities to trust; None for the system's.
    :raises BadCertificate: *ca_file* cannot be used.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        if ca_file is None:
            context.set_default_verify_paths()
        else:
            read_file(ca_file)
            try:
                context.load_verify_locations(str(ca_file))
            except SSL.Error:
                raise BadCertificate(f"{ca_file}: not a PEM file of certificates") from None
        self._context = context

    def creator(
        self, host: str, *, verify: bool, names: Sequence[str] = (), tlsa: Sequence[TlsaRecord] = ()
    ) -> ClientConnectionCreator:
        """Return what ``transport.startTLS`` takes, for one connection to *host*.

        :param host: name (A-labels) or IP address, which the server is told.
        :param verify: turn the server away unless chain and name are good; otherwise any certificate will do.
        :param names: what the certificate may be for; *host* when empty.
        :param tlsa: when there are any, they decide in place of the trusted authorities, and *verify* does
            not matter.
        """
        return ClientConnectionCreator(self._context, host, tuple(names) or (host,), verify, tuple(tlsa))


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
    """The client's side of one handshake. *problem* says why the server is turned away, or ""."""

    __slots__ = ("_context", "_host", "_leaf_seen", "_names", "_tlsa", "_verdict", "_verify", "problem")

    def __init__(
        self,
        context: SSL.Context,
        host: str,
        names: tuple[str, ...],
        verify: bool,
        tlsa: tuple[TlsaRecord, ...],
    ) -> None:
        self._context = context
        self._host = host.rstrip(".")
        self._names = tuple(name.rstrip(".") for name in names)
        self._verify = verify and not tlsa
        self._tlsa = tlsa
        self._verdict = TRUSTED
        self._leaf_seen = False
        self.problem = ""

    @property
    def certificate(self) -> str:
        """What turned the server away, in a word; "" when its certificate did not."""
        return self._verdict.certificate if self.problem else ""

    @property
    def found(self) -> str:
        """What is wrong with the certificate, also where that does not matter; "" for nothing."""
        return self._verdict.problem

    @property
    def failure(self) -> str:
        """The result type of a handshake that failed. Spec: RFC 8460 4.3"""
        return (self.problem and self._verdict.failure) or HANDSHAKE_FAILED

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: N802, N803
        """Make the OpenSSL side of a new connection (IOpenSSLClientConnectionCreator)."""
        connection = SSL.Connection(self._context, None)
        if not _is_address(self._host):  # RFC 6066 3: literal addresses are not permitted as server names
            connection.set_tlsext_host_name(self._host.encode("ascii"))
        connection.set_verify(SSL.VERIFY_PEER, self._check)
        return connection

    def judge(self, connection: SSL.Connection) -> Verdict:
        """Return what is to be thought of the certificate, when the handshake is done.

        With TLSA records or ``verify``, a verdict that names a problem forbids to use the connection, and
        ``problem`` says so.
        """
        if not self._leaf_seen:
            self._verdict = _UNSEEN
        elif self._tlsa:
            try:
                self._verdict = self._by_dane(connection)
            except Exception as failure:
                self._verdict = _unreadable(failure)
        if self._tlsa or self._verify:
            self.problem = self._verdict.problem
        return self._verdict

    def _by_dane(self, connection: SSL.Connection) -> Verdict:
        """Spec: RFC 7672 3.1"""
        chain = connection.get_peer_cert_chain() or []
        if not chain:
            return _UNSEEN
        if find_end_entity(self._tlsa, chain[0]):
            return BY_DANE
        verdict = _NO_MATCH
        for anchor in find_anchors(self._tlsa, chain):
            error = leads_to(anchor, chain)
            verdict = _verify_problem(error) if error else self._by_name(chain[0])
            if not verdict.problem:
                return BY_DANE
        return verdict

    def _check(self, _: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
        """Judge one certificate of the chain; called by OpenSSL during the handshake, the leaf last.

        Returning False ends the handshake with an alert. Nothing may be raised here: it would pass through
        Twisted as if it were a bug of the TLS layer.
        """
        if depth == 0:
            self._leaf_seen = True
        if self._tlsa:
            return True
        if not self._verdict.problem:
            if not ok:
                self._verdict = _verify_problem(error)
            elif depth == 0:
                self._verdict = self._by_name(certificate)
        if self._verify:
            self.problem = self._verdict.problem
        return not self.problem

    def _by_name(self, leaf: crypto.X509) -> Verdict:
        """Judge a certificate whose chain is good by whom it is for. Spec: RFC 9525 6"""
        try:
            if any(_is_for(leaf, name) for name in self._names):
                return TRUSTED
        except Exception as failure:
            return _unreadable(failure)
        text = f"the certificate is not for {' or '.join(self._names)}"
        return Verdict("wrong name", text, "certificate-host-mismatch")


def _is_for(leaf: crypto.X509, name: str) -> bool:
    check: Callable[[Any, str], None] = verify_ip_address if _is_address(name) else verify_hostname
    try:
        check(_Presented(leaf), name)
    except (service_identity.VerificationError, service_identity.CertificateError):
        return False
    return True


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _unreadable(failure: Exception) -> Verdict:
    return Verdict("unreadable", f"the certificate cannot be judged ({failure})", HANDSHAKE_FAILED)


def failure_text(reason: BaseException | None, creator: ClientConnectionCreator | None = None) -> str:
    """Say in one line why a handshake failed; *creator* knows about certificates."""
    if creator is not None and creator.problem:
        return creator.problem
    if isinstance(reason, SSL.Error) and reason.args and isinstance(reason.args[0], list) and reason.args[0]:
        return ", ".join(str(entry[-1]) for entry in reason.args[0])
    return str(reason or "") or type(reason).__name__
