"""An HTTPS server for tests that says exactly the octets it is told to, and certificates good and bad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory

from fedaemon.net.tls import ServerTls
from tests.net.live_reactor import reactor, wait_for

Answer = Callable[[bytes], bytes | None]
"""Gives the octets to send after a request's header (None: silence); the connection is closed after them."""


def document(text: str, *, status: str = "200 OK", media_type: str = "text/plain", more: str = "") -> bytes:
    """Return a whole HTTP answer."""
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


class Authority:
    """Signs certificates; *ca_file* is what clients trust."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        # Named apart, so that a certificate of one is not taken for a broken one of another.
        name = f"the tests' authority {x509.random_serial_number():x}"[:64]
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(self._name, self._key.public_key(), [], days=30, ca=True)
        self.ca_file = directory / "authority.pem"
        self.ca_file.write_bytes(certificate)

    def server(self, *names: str, days: int = 30) -> ServerTls:
        """Return TLS for a server of these *names*; with negative *days* its certificate has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(x509.Name([]), key.public_key(), names, days=days, ca=False)
        base = self._directory / f"{names[0]}.{days}".replace("*", "any")
        pem, key_file = base.with_suffix(".pem"), base.with_suffix(".key")
        pem.write_bytes(certificate)
        encoding = serialization.Encoding.PEM
        form = serialization.PrivateFormat.PKCS8
        key_file.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
        return ServerTls(pem, key_file)

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, names: Sequence[str], *, days: int, ca: bool
    ) -> bytes:
        now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            dns_names = [x509.DNSName(name) for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(dns_names), critical=True)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class HttpsServer:
    """Listens on 127.0.0.1 until closed; *requests* holds the headers received.

    With *keep_open* the connection stays after the answer.
    """

    def __init__(self, tls: ServerTls, answer: Answer) -> None:
        self.answer = answer
        self.keep_open = False
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        outer = self

        class Speaker(Protocol):
            transport: Any
            received = b""

            def connectionMade(self) -> None:
                outer.connections += 1
                outer.open += 1

            def dataReceived(self, data: bytes) -> None:
                self.received += data
                if not self.received.endswith(b"\r\n\r\n"):
                    return
                outer.requests.append(self.received)
                octets = outer.answer(self.received)
                if octets is not None:
                    self.transport.write(octets)
                    if not outer.keep_open:
                        self.transport.loseConnection()

            def connectionLost(self, reason: Any = None) -> None:
                outer.open -= 1

        creator: Any = tls
        factory: Any = Factory.forProtocol(Speaker)
        self._port = reactor.listenTCP(0, TLSMemoryBIOFactory(creator, False, factory), interface="127.0.0.1")
        self.port: int = self._port.getHost().port

    def close(self) -> None:
        wait_for(self._port.stopListening())
