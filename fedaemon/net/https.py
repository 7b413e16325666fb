"""Fetches one small document over HTTPS, from a server that need not be well-meaning.

Theory of operation: Twisted's HTTP client does the talking, over connections that we make: addresses come from
our own resolver (and so from the name servers of the settings), and every octet that arrives is counted before
anything reads it, header included. When there are too many, or the time is up, the connection is cut.

Standards: RFC 9110 6 and RFC 9112 6 (messages; used through Twisted), RFC 9525 (the server's name; in the
connection creator).
Invariants: redirects are not followed; nothing is cached; a body counts only when the server has said where it
ends and all of it came, because a document cut short may mean something else.
Limits: *limit_octets* for the body and ``HEADER_OCTETS`` for what surrounds it; *timeout_s* for everything,
``CONNECT_S`` for one address, ``MAX_ADDRESSES`` of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from fedaemon.errors import MailError, Unavailable
from fedaemon.net.dns_query import NoSuchName
from fedaemon.net.tls import failure_text

HTTPS_PORT: Final = 443
CONNECT_S: Final = 10.0
MAX_ADDRESSES: Final = 4
HEADER_OCTETS: Final = 16_384
USER_AGENT: Final = "fedaemon"

_GONE: Final = Failure(ConnectionDone())


class FetchFailed(Unavailable):
    """The document could not be had: no address, no connection, too slow, too long, or cut short."""

    code = 451
    status = "4.4.0"


class BadPeer(FetchFailed):
    """TLS failed: above all a certificate that does not verify or is for another name."""


class AddressResolver(Protocol):
    """What is asked of DNS (``net/resolver.py``)."""

    def addresses(self, host: str) -> Deferred[list[str]]:
        """Fire with the addresses in the order to try them, [] when there are none."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: *media_type* is the Content-Type in lower case without its parameters, *body* as received.

    The body is read only of an answer with *status* 200.
    """

    status: int
    media_type: str
    body: bytes


class HttpsClient:
    """Fetches documents.

    :param creator: returns what makes the TLS side of a connection to the host it is given, and checks the
        certificate (``ClientTls.creator`` with *verify*).
    :param port: the port of every server.
    """

    def __init__(
        self,
        reactor: Any,
        resolver: AddressResolver,
        creator: Callable[[str], Any],
        *,
        port: int = HTTPS_PORT,
    ) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._creator = creator
        self._port = port

    def get(self, host: str, path: str, *, limit_octets: int, timeout_s: float) -> Deferred[Response]:
        """Fetch https://HOST/PATH.

        :param host: in A-labels; *path* begins with "/" and has only ASCII that needs no escape.
        :returns: fires with the answer, whatever its status; fails with ``BadPeer`` or another ``FetchFailed``.
        """
        fetch = _Fetch(self._reactor, self._resolver, self._creator(host), self._port)
        running = Deferred.fromCoroutine(fetch.run(host, path, limit_octets))
        late = FetchFailed(f"no whole answer within {timeout_s:g} s")
        running.addTimeout(timeout_s, self._reactor, lambda result, timeout: Failure(late))
        return running.addBoth(fetch.ended, host)


class _Fetch:
    """One fetch."""

    def __init__(self, reactor: Any, resolver: AddressResolver, creator: Any, port: int) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._creator = creator
        self._port = port
        self._meter = _Meter()

    async def run(self, host: str, path: str, limit_octets: int) -> Response:
        addresses = await self._resolver.addresses(host)
        if not addresses:
            raise FetchFailed(f"{host} has no address")
        self._meter.left_octets = limit_octets + HEADER_OCTETS
        turns: Any = _InTurn(self._reactor, addresses[:MAX_ADDRESSES], self._port)
        endpoint = _Metered(wrapClientTLS(self._creator, turns), self._meter)
        agent = Agent.usingEndpointFactory(self._reactor, _Always(endpoint))
        where = host if self._port == HTTPS_PORT else f"{host}:{self._port}"
        headers = Headers({"User-Agent": [USER_AGENT]})
        response: Any = await agent.request(b"GET", f"https://{where}{path}".encode("ascii"), headers)
        media_type = (response.headers.getRawHeaders("content-type") or [""])[0]
        body = b""
        if response.code == 200:
            collected = _Body(limit_octets)
            response.deliverBody(collected)
            body = await collected.whole
        return Response(response.code, media_type.partition(";")[0].strip().lower(), body)

    def ended(self, result: Response | Failure, host: str) -> Response | Failure:
        """Let nothing go on, and put a failure in words."""
        self._meter.cut()
        if not isinstance(result, Failure):
            return result
        error = result.value
        if self._meter.left_octets < 0:
            return Failure(FetchFailed(f"{host} sends more than it may"))
        if isinstance(error, MailError):
            text = error.text if isinstance(error, NoSuchName) else f"{host}: {error.text}"
            return Failure(FetchFailed(text))
        reason = _innermost(error)
        text = f"{host}: {failure_text(reason, self._creator)}"
        tls = bool(self._creator.problem) or isinstance(reason, SSL.Error)
        return Failure(BadPeer(text) if tls else FetchFailed(text))


def _innermost(error: Any) -> BaseException:
    """Return what was first wrong: Twisted's client gives lists of reasons, which may hold lists."""
    while reasons := getattr(error, "reasons", None):
        error = reasons[0].value
    innermost: BaseException = error
    return innermost


class _Meter:
    """Counts what one connection may still bring, and can cut it."""

    def __init__(self) -> None:
        self.left_octets = 0
        self.transport: Any = None

    def cut(self) -> None:
        """End the connection without further words, if there is one."""
        if self.transport is not None:
            self.transport.abortConnection()


class _MeteredProtocol(ProtocolWrapper):
    """Stands between TLS and HTTP."""

    factory: _MeteredFactory

    def makeConnection(self, transport: Any) -> None:  # noqa: N802
        self.factory.meter.transport = transport
        super().makeConnection(transport)  # type: ignore[no-untyped-call,unused-ignore]

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        meter = self.factory.meter
        meter.left_octets -= len(data)
        if meter.left_octets < 0:
            meter.cut()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call,unused-ignore]

    def connectionLost(self, reason: Failure = _GONE) -> None:  # noqa: N802
        self.factory.meter.transport = None
        super().connectionLost(reason)  # type: ignore[no-untyped-call,unused-ignore]


class _MeteredFactory(WrappingFactory):
    protocol = _MeteredProtocol

    def __init__(self, wrapped: Any, meter: _Meter) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call,unused-ignore]
        self.meter = meter


@implementer(IStreamClientEndpoint)
class _Metered:
    """Connects through a meter."""

    def __init__(self, endpoint: Any, meter: _Meter) -> None:
        self._endpoint = endpoint
        self._meter = meter

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803
        connecting: Deferred[Any] = self._endpoint.connect(_MeteredFactory(protocolFactory, self._meter))
        return connecting.addCallback(lambda metered: metered.wrappedProtocol)


@implementer(IStreamClientEndpoint)
class _InTurn:
    """Connects to the first address that answers."""

    def __init__(self, reactor: Any, addresses: Sequence[str], port: int) -> None:
        self._reactor = reactor
        self._addresses = addresses
        self._port = port

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: Any) -> Any:
        refused = ConnectError()
        for address in self._addresses:
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            try:
                return await kind(self._reactor, address, self._port, timeout=CONNECT_S).connect(factory)
            except ConnectError as error:
                refused = error
        raise refused


@implementer(IAgentEndpointFactory)
class _Always:
    """Gives Twisted's client our endpoint, whatever it asks for."""

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: object) -> Any:  # noqa: N802
        return self._endpoint


class _Body(TwistedProtocol):
    """Collects a body; *whole* fires with it once the server has sent all that it announced."""

    def __init__(self, limit_octets: int) -> None:
        self._limit_octets = limit_octets
        self._octets = bytearray()
        self.whole: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._octets += data
        if len(self._octets) > self._limit_octets:
            self._end(FetchFailed(f"the document is longer than {self._limit_octets} octets"))

    def connectionLost(self, reason: Failure = _GONE) -> None:  # noqa: N802
        if reason.check(ResponseDone):
            self._end(bytes(self._octets))
        else:
            # Also when the end of the connection is the end of the body: whoever can cut it could cut the body.
            self._end(FetchFailed("the document was cut short, or came without its length"))

    def _end(self, result: bytes | FetchFailed) -> None:
        if self.whole.called:
            return
        if isinstance(result, FetchFailed):
            self.whole.errback(result)
        else:
            self.whole.callback(result)
