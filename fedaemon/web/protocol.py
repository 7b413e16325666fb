"""One HTTP connection: admission and TLS as for every listener, twisted.web's parser, and one answer.

Theory of operation: ``net.server_connection`` leads to ``greet``; from then on what arrives goes to twisted.web's
HTTPChannel, which calls ``Request`` when a request is complete. A connection carries one request: what is shown
here is asked for now and then, and a peer that may ask only once cannot fill anything by asking much.

Standards: RFC 9110, RFC 9112 (through twisted.web; 3.2, Host, here).
Invariants: a peer has ``REQUEST_S`` for its whole request and for taking the answer, however slowly it speaks;
nothing it sends after its request, or after an error, is looked at; a fault of ours is a 500, logged, and says
nothing of why.
Limits: ``MAX_BODY_OCTETS`` of content; request line and header 16 KiB in all and ``MAX_HEADERS`` fields;
``MAX_CONNECTIONS`` on a listener, besides the limits of all, so that they leave room for mail.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import ServerFactory
from twisted.python.failure import Failure
from twisted.web import http
from zope.interface import implementer

from fedaemon import counters
from fedaemon.errors import BadSyntax, MailError, Refused
from fedaemon.logs import Logger
from fedaemon.net.server_connection import ServerConnection
from fedaemon.net.sessions import Sessions
from fedaemon.net.tls import ServerTls
from fedaemon.web.exchange import Answer, Asked, plain, read_host, read_target

REQUEST_S: Final = 20.0
MAX_BODY_OCTETS: Final = 16 * 1024
"""An Autodiscover request, the only one with a content, has some 400."""
MAX_HEADERS: Final = 100
MAX_CONNECTIONS: Final = 500

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""What every answer has; a page may have its own in place of one."""

TOO_LONG: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

log = Logger()


class Site(Protocol):
    """What answers."""

    def answer(self, asked: Asked) -> Awaitable[Answer]:
        """Return the answer to a request."""


class Request(http.Request):
    """One request."""

    channel: Channel

    def gotLength(self, length: int | None) -> None:
        """Take what the content has; twisted.web would put a large one into a file."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep one octet too many at most, by which it is seen to be too long."""
        assert isinstance(self.content, BytesIO)
        self.content.write(data[: MAX_BODY_OCTETS + 1 - self.content.tell()])

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The request is complete. Forms are not read: nothing here takes one."""
        self.method, self.uri, self.clientproto = command, path, b"HTTP/1.1"
        refusal = self._refusal(version)
        if refusal is not None:
            self.reply(refusal)
            return
        running = Deferred.fromCoroutine(self._respond())
        running.addErrback(lambda failure: log.failure("a request failed", failure, event="defect"))

    def _refusal(self, version: bytes) -> Answer | None:
        """Return the answer to what is no proper request, None for one that is."""
        assert self.content is not None
        if version not in (b"HTTP/1.0", b"HTTP/1.1"):
            return plain(505, "this server speaks HTTP/1.1")
        hosts = self.requestHeaders.getRawHeaders(b"host") or []
        # RFC 9112 3.2
        if len(hosts) > 1 or (not hosts and version == b"HTTP/1.1"):
            return plain(400, "a request names one Host")
        if self.content.tell() > MAX_BODY_OCTETS:
            return plain(413, f"the request's content is longer than {MAX_BODY_OCTETS} octets")
        return None

    async def _respond(self) -> None:
        try:
            answer = await self.channel.site.answer(self._asked())
        except BadSyntax as error:
            answer = plain(400, error.text)
        except MailError as error:
            answer = plain(503, error.text, Retry_After="60")
        except Exception:
            log.failure("a request failed", event="defect")
            answer = plain(500, "the server failed; its log says why")
        self.reply(answer)

    def _asked(self) -> Asked:
        assert isinstance(self.content, BytesIO)
        authority, path, query = read_target(self.uri)
        headers = {
            name.decode("latin-1").lower(): values[0].decode("latin-1")
            for name, values in self.requestHeaders.getAllRawHeaders()
        }
        return Asked(
            self.method.decode("ascii"),
            path,
            query,
            read_host(authority or headers.get("host", "")),
            headers,
            self.content.getvalue(),
            self.channel.address,
            self.channel.secure or headers.get("x-forwarded-proto") == "https",
        )

    def reply(self, answer: Answer) -> None:
        """Send *answer*, unless nobody is there any more."""
        counters.count("http_answers_total", status=answer.status)
        if self._disconnected:
            return
        self.setResponseCode(answer.status)
        fields = {
            "Server": "fedaemon",
            "Date": http.datetimeToString().decode("ascii"),
            "Connection": "close",
            **SECURITY_HEADERS,
            "Content-Type": answer.media_type,
            "Content-Length": str(len(answer.body)),
            **answer.headers,
        }
        for name, value in fields.items():
            self.responseHeaders.setRawHeaders(name, [value])
        untyped: Any = self
        untyped.write(answer.body)
        untyped.finish()


class Channel(http.HTTPChannel):
    """twisted.web's parser for the one request of a connection.

    :param site: answers it.
    :param address: the peer's, "" on the status socket.
    :param secure: there is TLS.
    """

    requestFactory = Request
    factory = None
    maxHeaders = MAX_HEADERS

    def __init__(self, site: Site, address: str, *, secure: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call,unused-ignore]
        self.site = site
        self.address = address
        self.secure = secure
        self._over = False

    def dataReceived(self, data: bytes) -> None:
        """Take what arrived, until the end of the one request."""
        if not self._over:
            untyped: Any = super()
            untyped.dataReceived(data)

    def checkPersistence(self, request: http.Request, version: bytes) -> bool:
        """Close after the answer."""
        return False

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse it; the parser would only close, which under TLS waits for us to be done."""
        untyped: Any = self.transport
        untyped.write(TOO_LONG)
        self.loseConnection()

    def loseConnection(self) -> None:
        """Look at nothing further: under TLS the parser itself would go on with what it has."""
        self._over = True
        self.clearLineBuffer()  # type: ignore[no-untyped-call,unused-ignore]
        super().loseConnection()  # type: ignore[no-untyped-call,unused-ignore]


class Room:
    """How many connections a listener has, at most ``MAX_CONNECTIONS``."""

    def __init__(self) -> None:
        self.taken = 0


@dataclass(frozen=True, slots=True)
class HttpService:
    """What the connections of one listener share; *tls* is None where there is none."""

    site: Site
    sessions: Sessions
    tls: ServerTls | None = None
    implicit_tls: bool = False
    proxy_protocol: bool = False


@implementer(IPushProducer)
class HttpConnection(ServerConnection):
    """One connection."""

    service: HttpService
    service_name = "http"

    def __init__(self, service: HttpService, room: Room) -> None:
        super().__init__()
        self.service = service
        self._room = room
        self._channel: Any = None  # Channel, of which mypy sees no types in twisted.web
        self._counted = False

    def connectionMade(self) -> None:
        """See ``ServerConnection``; one too many is cut off before it costs a handshake."""
        if self._room.taken >= MAX_CONNECTIONS:
            self.transport.abortConnection()
            return
        self._room.taken += 1
        self._counted = True
        super().connectionMade()

    def turned_away(self, refused: Refused) -> None:
        """See ``ServerConnection``."""
        if self.service.implicit_tls:
            self.transport.abortConnection()
        else:
            self.transport.write(BUSY)
            self.hang_up()

    def protected(self) -> None:
        """See ``ServerConnection``; ``greet`` follows."""

    def greet(self) -> None:
        """The peer may speak: from now on the channel is what reads and writes."""
        self.deadline = self.service.sessions.now() + REQUEST_S
        self.transport.unregisterProducer()
        self._channel = Channel(self.service.site, self.address, secure=self.service.implicit_tls)
        self._channel.makeConnection(self.transport)

    def received(self, data: bytes) -> None:
        """See ``ServerConnection``."""
        if self._channel is not None:
            self._channel.dataReceived(data)

    def gone(self) -> None:
        """See ``ServerConnection``."""
        if self._counted:
            self._counted = False
            self._room.taken -= 1
        if self._channel is not None:
            self._channel.connectionLost(Failure(ConnectionDone()))

    def timed_out(self) -> None:
        """See ``net.sessions.Session``."""
        self.transport.abortConnection()

    def shut_down(self) -> None:
        """See ``net.sessions.Session``: a request under way has a moment to be answered."""
        self.hurry()
        if self._channel is None or not self._channel.requests:
            self.transport.abortConnection()
        else:
            self.deadline = min(self.deadline, self.service.sessions.now() + self.close_timeout_s)

    # -- before the channel has registered itself

    def pauseProducing(self) -> None:
        """Nothing is written yet."""

    def resumeProducing(self) -> None:
        """Nothing is written yet."""

    def stopProducing(self) -> None:
        """The connection is gone; ``connectionLost`` follows."""


class HttpFactory(ServerFactory):
    """Makes the connections of one listener; *service* is set before the reactor runs, and anew when settings
    change."""

    noisy = False
    service: HttpService

    def __init__(self) -> None:
        self._room = Room()

    def buildProtocol(self, addr: Any) -> HttpConnection:
        """Return the protocol of a new connection."""
        return HttpConnection(self.service, self._room)
