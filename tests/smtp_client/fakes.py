"""What the client's tests work with: content, servers that follow a script, a reactor that reaches them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from fedaemon.net.tls_client import HANDSHAKE_FAILED, TRUSTED, ClientTls, Verdict


class Text:
    """Content in memory; *declared* is its size when that is not the truth."""

    def __init__(self, data: bytes, declared: int | None = None) -> None:
        self.data = data
        self.declared = len(data) if declared is None else declared

    @property
    def size(self) -> int:
        return self.declared

    def chunks(self, size: int = 65536, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        for at in range(start, len(self.data) if stop is None else stop, size):
            yield self.data[at : at + size]


def unstuff(data: bytes) -> tuple[bytes, bytes]:
    """Decode DATA as a strict server does: (content, what follows the end of data)."""
    content = b""
    while True:
        line, end, data = data.partition(b"\r\n")
        assert end, "the end of data is missing"
        if line == b".":
            return content, data
        content += (line[1:] if line.startswith(b".") else line) + b"\r\n"


class FakeTransport:
    """A connection to a ``FakeServer``, or to nothing: what is written to it is kept."""

    def __init__(self, clock: Clock | None = None, server: FakeServer | None = None) -> None:
        self.clock = clock
        self.server = server
        self.protocol: Any = None
        self.written: list[bytes] = []
        self.producer: Any = None
        self.disconnecting = False
        self.aborted = False
        self.tls: Any = None
        self.gone = False
        self.local = "192.0.2.99"

    def take(self) -> bytes:
        """Return what was written since the last time."""
        data = b"".join(self.written)
        self.written.clear()
        return data

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        self.written.append(data)
        if self.server is not None:
            self.server.receive(self, data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        assert self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def deliver(self, data: bytes) -> None:
        """Let *data* arrive at the client in the next turn."""
        assert self.clock is not None
        self.clock.callLater(0, lambda: self.gone or self.protocol.dataReceived(data))

    def lose(self, reason: BaseException) -> None:
        """End the connection in the next turn."""
        assert self.clock is not None
        self.clock.callLater(0, self._lose, Failure(reason))

    def _lose(self, reason: Failure) -> None:
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(reason)

    def loseConnection(self) -> None:
        self.disconnecting = True
        if self.clock is not None:
            self.lose(error.ConnectionDone())

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True
        if self.clock is not None:
            self.lose(error.ConnectionDone())

    def startTLS(self, creator: Any) -> None:
        self.tls = creator
        if self.server is not None:
            self.server.start_tls(self)

    def getHandle(self) -> Any:
        return self

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.local, 40000)

    def get_protocol_version_name(self) -> str:
        return "TLSv1.3"

    def get_cipher_name(self) -> str:
        return "TEST"


Answer = str | Sequence[str | None] | None
Answers = dict[str, str | list[str | None] | None]

EXTENDED = (
    "250-mx.example.net\r\n250-PIPELINING\r\n250-SIZE 100000\r\n250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8"
)


class FakeServer:
    """Answers verbs as *answers* says: a reply for every time, a list for one after another, None hangs up,
    "" is the beginning of a long silence.

    "dot" stands for the end of data, "connect" for the greeting. *handshake* is what ends it, if not success;
    *verdict* is what is to be thought of its certificate.
    """

    def __init__(
        self, handshake: BaseException | None = None, verdict: Verdict = TRUSTED, **answers: Answer
    ) -> None:
        self.verdict = verdict
        self.answers: Answers = {
            "connect": "220 mx.example.net ESMTP",
            "EHLO": EXTENDED,
            "HELO": "250 mx.example.net",
            "STARTTLS": "220 2.0.0 go on",
            "AUTH": "235 2.7.0 welcome",
            "MAIL": "250 2.1.0 ok",
            "RCPT": "250 2.1.5 ok",
            "DATA": "354 go on",
            ".": "250 2.0.0 Ok: queued as REMOTE",
            "RSET": "250 2.0.0 ok",
            "QUIT": "221 2.0.0 bye",
        }
        for key, value in answers.items():
            own = value if isinstance(value, str) or value is None else list(value)
            self.answers["." if key == "dot" else key] = own
        self.handshake = handshake
        self.silent = False
        self.commands: list[str] = []
        self.contents: list[bytes] = []
        self.received = b""
        self.in_data = False

    def connected(self, transport: FakeTransport) -> None:
        self.answer(transport, "connect")

    def start_tls(self, transport: FakeTransport) -> None:
        if self.handshake is not None:
            transport.lose(self.handshake)
        else:
            assert transport.clock is not None
            transport.clock.callLater(0, transport.protocol.handshakeCompleted)

    def answer(self, transport: FakeTransport, key: str) -> str:
        answer = self.answers[key]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        self.silent = self.silent or answer == ""
        if self.silent:
            return ""
        if answer is None:
            transport.lose(error.ConnectionDone())
            return ""
        transport.deliver(answer.encode() + b"\r\n")
        return answer

    def receive(self, transport: FakeTransport, data: bytes) -> None:
        self.received += data
        while True:
            if self.in_data:
                if not (self.received == b".\r\n" or b"\r\n.\r\n" in self.received):
                    return
                content, self.received = unstuff(self.received)
                self.contents.append(content)
                self.in_data = False
                self.answer(transport, ".")
                continue
            line, end, rest = self.received.partition(b"\r\n")
            if not end:
                return
            self.received = rest
            self.commands.append(line.decode())
            verb = re.split(r"[ :]", line.decode())[0].upper()
            self.in_data = self.answer(transport, verb).startswith("354")
            if verb == "QUIT":
                transport.lose(error.ConnectionDone())


class FakeTls(ClientTls):
    """Handshakes without OpenSSL: *asked* holds the arguments of each."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def creator(self, host: str, **arguments: Any) -> Any:
        self.asked.append({"host": host, **arguments})
        return FakeCreator(bool(arguments["verify"] or arguments.get("tlsa")))


class FakeCreator:
    """Takes the server's word for what its certificate is worth."""

    def __init__(self, demanding: bool) -> None:
        self.demanding = demanding
        self.problem = self.found = self.certificate = ""
        self.failure = HANDSHAKE_FAILED

    def judge(self, transport: FakeTransport) -> Verdict:
        verdict = transport.server.verdict if transport.server is not None else TRUSTED
        self.found = verdict.problem
        if self.demanding and verdict.problem:
            self.problem, self.certificate, self.failure = (
                verdict.problem,
                verdict.certificate,
                verdict.failure,
            )
        return verdict


class FakeReactor(Clock):
    """A clock that also connects: *servers* by address; an exception stands for a connection that fails.

    A list gives one for each connection, in order.
    """

    def __init__(self, servers: dict[str, Any]) -> None:
        super().__init__()
        self.servers = servers
        self.dialled: list[str] = []
        self.bound: list[Any] = []
        self.transports: list[FakeTransport] = []

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float, bindAddress: Any = None
    ) -> FakeConnector:
        self.dialled.append(host)
        self.bound.append(bindAddress)
        target = self.servers[host]
        if isinstance(target, list):
            target = target.pop(0)
        connector = FakeConnector(self, factory)
        if isinstance(target, FakeServer):
            self.callLater(0, self._connect, target, factory, bindAddress)
        elif target is not None:
            self.callLater(0, factory.clientConnectionFailed, connector, Failure(target))
        return connector

    def _connect(self, server: FakeServer, factory: Any, bind: Any) -> None:
        transport = FakeTransport(self, server)
        if bind is not None:
            transport.local = bind[0]
        transport.protocol = factory.buildProtocol(None)
        self.transports.append(transport)
        transport.protocol.makeConnection(transport)
        server.connected(transport)

    def run(self) -> None:
        """Turn until nothing is due now."""
        for _ in range(2000):
            calls: list[Any] = list(self.getDelayedCalls())
            if not any(call.getTime() <= self.seconds() for call in calls):
                return
            self.advance(0)
        raise AssertionError("never done")


class FakeConnector:
    def __init__(self, reactor: FakeReactor, factory: Any) -> None:
        self.reactor = reactor
        self.factory = factory

    def stopConnecting(self) -> None:
        self.factory.clientConnectionFailed(self, Failure(error.UserError()))


def refused() -> error.ConnectionRefusedError:
    return error.ConnectionRefusedError(111, "Connection refused")


def handshake_failure() -> SSL.Error:
    return SSL.Error([("SSL routines", "", "no shared cipher")])
