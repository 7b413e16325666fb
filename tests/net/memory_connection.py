"""A client's end of a connection in memory: a transport that can block, and the turns the server wants."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

EXPORTED = b"e" * 32


class Tls:
    """What is looked at of an OpenSSL connection."""

    def get_protocol_version(self) -> int:
        return 0x0304

    def get_protocol_version_name(self) -> str:
        return "TLSv1.3"

    def get_cipher_name(self) -> str:
        return "TLS_AES_256_GCM_SHA384"

    def export_keying_material(self, label: bytes, size: int, context: bytes) -> bytes:
        return EXPORTED

    def get_certificate(self) -> None:
        return None


class Transport(StringTransport):
    """A transport that notes STARTTLS, and tells its producer to stop after *room* octets that nobody read.

    :ivar largest: the most octets that ever waited.
    """

    room = 1 << 40

    def __init__(self) -> None:
        cast(Any, super()).__init__()
        self.factory: object = None
        self.protocol: object = None
        self.largest = 0

    def startTLS(self, factory: object) -> None:
        self.factory = factory

    def getHandle(self) -> Tls:
        return Tls()

    def write(self, data: bytes) -> None:
        cast(Any, super()).write(data)
        waiting = len(cast(Any, self).value())
        self.largest = max(self.largest, waiting)
        if waiting > self.room and self.producer is not None:
            cast(Any, self.producer).pauseProducing()

    def read(self) -> bytes:
        """Read what was written, as a client does."""
        value: bytes = cast(Any, self).value()
        cast(Any, self).clear()
        return value


class MemoryConnection:
    """A client's end; *protocol* is the server's.

    :param begin_tls: the command that asks for TLS, None for a connection that stays in the clear.
    """

    def __init__(self, protocol: Any, clock: Clock, begin_tls: bytes | None) -> None:
        self.transport: Any = Transport()
        self.transport.protocol = protocol
        self._protocol = protocol
        self._clock = clock
        protocol.makeConnection(self.transport)
        if begin_tls is not None:
            if not protocol.service.implicit_tls:
                protocol.dataReceived(begin_tls)
            protocol.handshakeCompleted()
            self.transport.read()

    def send(self, data: bytes) -> None:
        """Send *data*."""
        self._protocol.dataReceived(data)

    def say(self, data: bytes) -> bytes:
        """Send *data*, give the server the turns it wants, and return what it says."""
        if data:
            self.send(data)
        while self.turns():
            self._clock.advance(0)
        return cast(bytes, self.transport.read())

    def turns(self) -> list[Any]:
        """Return the calls that are due now."""
        now = self._clock.seconds()
        calls: list[Any] = list(self._clock.getDelayedCalls())
        return [call for call in calls if call.getTime() <= now]
