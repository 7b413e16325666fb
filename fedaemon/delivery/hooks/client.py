"""Sends posts with Twisted's HTTP client.

Standards: RFC 9110 (of HTTP only the method POST; no redirect is followed, no cookie kept), RFC 9112 by way of
twisted.web; RFC 8996 (no TLS below 1.2).
Invariants: the certificate of https is verified, against the system's authorities (or the file that the
environment's SSL_CERT_FILE names); a post never fails otherwise than by its answer; nothing outlives TIMEOUT_S.
Limits: BODY_OCTETS of an answer are read, and not kept; CONNECTIONS idle ones are kept for a host.
Known gaps: host names are looked up by the system (so that /etc/hosts holds), in the reactor's threads.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import TLSVersion, optionsForClientTLS, platformTrust
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, RequestTransmissionFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IPolicyForHTTPS
from zope.interface import implementer

from fedaemon.delivery.hooks.post import TIMEOUT_S, Answer, Post, answered
from fedaemon.delivery.hooks.webhook import MAX_WEBHOOKS

BODY_OCTETS: Final = 4096
CONNECTIONS: Final = 4
IDLE_S: Final = 15
"""Shorter than the time after which servers commonly close."""


@implementer(IPolicyForHTTPS)
class _Verified:
    """TLS 1.2 or newer with a certificate that is trusted for the host."""

    def __init__(self) -> None:
        self._trust = platformTrust()
        self._creators: dict[bytes, IOpenSSLClientConnectionCreator] = {}

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:  # noqa: N802
        # Each creator reads the system's authorities, which takes longer than the handshake.
        creator = self._creators.get(hostname)
        if creator is None:
            if len(self._creators) >= MAX_WEBHOOKS:
                self._creators.clear()
            creator = self._creators[hostname] = optionsForClientTLS(
                hostname.decode("ascii"),
                trustRoot=self._trust,
                extraCertificateOptions={"raiseMinimumTo": TLSVersion.TLSv1_2},
            )
        return creator


@implementer(IBodyProducer)
class _Body:
    """A small body, written at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: Any) -> Deferred[None]:  # noqa: N802
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:  # noqa: N802
        """Everything has been written."""

    def resumeProducing(self) -> None:  # noqa: N802
        """Everything has been written."""

    def stopProducing(self) -> None:  # noqa: N802
        """Everything has been written."""


class _PassOver(Protocol):  # type: ignore[misc,unused-ignore]
    """Reads an answer to its end, so that the connection can be used again, or drops both when it is long."""

    def __init__(self, done: Deferred[None]) -> None:
        self._done = done
        self._left = BODY_OCTETS

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._left -= len(data)
        if self._left < 0:
            self.drop()

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: N802
        if not self._done.called:
            self._done.callback(None)

    def drop(self) -> None:
        """Close the connection."""
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()


def _pass_over(response: Any) -> Deferred[None]:
    """Fire when the body has been read or dropped; cancelling drops it."""
    reader: _PassOver
    done: Deferred[None] = Deferred(lambda cancelled: reader.drop())
    reader = _PassOver(done)
    response.deliverBody(reader)
    return done


def _was_cancelled(error: RequestTransmissionFailed | ResponseNeverReceived) -> bool:
    return any(reason.check(CancelledError) for reason in error.reasons)


def _timed_out(result: Answer | Failure, timeout_s: float) -> Answer:
    return result if isinstance(result, Answer) else Answer(0, f"no answer within {timeout_s:.0f} s")


def _unanswered(failure: Failure) -> Answer:
    """Say why there was no answer; a cancelled post stays cancelled."""
    error = failure.value
    if isinstance(error, CancelledError | ConnectingCancelledError):
        raise CancelledError
    reasons = getattr(error, "reasons", None)
    text = reasons[0].getErrorMessage() if reasons else failure.getErrorMessage()
    return Answer(0, f"no answer: {text or type(error).__name__}")


class HookClient:
    """Sends posts; connections are kept for the next ones.

    :param reactor: gives connections and time.
    :param timeout_s: for a whole post.
    """

    def __init__(self, reactor: Any, timeout_s: float = TIMEOUT_S) -> None:
        self._reactor = reactor
        self._timeout_s = timeout_s
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = CONNECTIONS
        self._pool.cachedConnectionTimeout = IDLE_S
        # Its own retry is for methods that may be repeated without harm; ours is below.
        self._pool.retryAutomatically = False
        self._agent = Agent(reactor, _Verified(), connectTimeout=timeout_s, pool=self._pool)

    def send(self, post: Post) -> Deferred[Answer]:
        """Send *post*; fires with the answer, never fails; cancelling ends it."""
        sending = Deferred.fromCoroutine(self._send(post))
        return sending.addTimeout(self._timeout_s, self._reactor, _timed_out).addErrback(_unanswered)

    async def _send(self, post: Post) -> Answer:
        try:
            response = await self._request(post)
        except (ResponseNeverReceived, RequestTransmissionFailed) as error:
            if _was_cancelled(error):
                raise CancelledError from error
            # A kept connection may end just when it is taken up again, and this says nothing about the server.
            response = await self._request(post)
        # The status has said it all: an answer that does not end is none the less an answer.
        with suppress(CancelledError):
            await _pass_over(response)
        return answered(response.code)

    def _request(self, post: Post) -> Deferred[Any]:
        headers = Headers({name: [value] for name, value in post.headers.items()})
        body: Any = _Body(post.body)
        return self._agent.request(b"POST", post.url.encode("ascii"), headers, body)  # type: ignore[no-any-return,unused-ignore]

    def close(self) -> Deferred[None]:
        """Close what is kept open."""
        return self._pool.closeCachedConnections()  # type: ignore[no-any-return,unused-ignore]
