"""Run by test_loopback in its own process: real sockets, Twisted's startTLS, one scenario, one JSON line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from fedaemon.net.listeners import open_listeners
from fedaemon.net.tls import ClientTls, ServerTls, describe, failure_text

reactor: Any = global_reactor
report: dict[str, Any] = {}


class Place:
    address = "127.0.0.1"
    port = 0


class Server(Protocol):
    """Greets in plaintext, then speaks TLS and echoes."""

    secure = False

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(b"220 go\n")

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        if not self.secure:
            self.secure = True
            transport.write(b"220 ready\n")
            transport.startTLS(server_tls.factory)
            return
        report["server"] = describe(transport.getHandle())
        transport.write(b"echo " + data)


@implementer(IHandshakeListener)
class Client(Protocol):
    """Asks for TLS, then sends one line and ends when it comes back."""

    received = b""

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        if data == b"220 go\n":
            transport.write(b"STARTTLS\n")
            return
        if data == b"220 ready\n":
            transport.startTLS(creator)
            return
        self.received += data
        if self.received.endswith(b"hello"):
            report["received"] = self.received.decode()
            transport.loseConnection()

    def handshakeCompleted(self) -> None:
        transport: Any = self.transport
        report["client"] = describe(transport.getHandle())
        transport.write(b"hello")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        report["lost"] = failure_text(reason.value, creator)
        reactor.callWhenRunning(reactor.stop)


directory, ca_file, host, verify = sys.argv[1:]
server_tls = ServerTls(Path(directory) / "server.pem", Path(directory) / "server.key")
creator = ClientTls(Path(ca_file)).creator(host, verify=verify == "verify")
listeners = open_listeners(reactor, [Place()], [Factory.forProtocol(Server)])
factory: Any = ClientFactory.forProtocol(Client)
reactor.connectTCP(*listeners.ports()[0], factory)
reactor.callLater(20, reactor.stop)
reactor.run()
print(json.dumps(report))
