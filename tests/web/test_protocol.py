"""HTTP connections in memory: what a peer may send, how long, how much, and how many times."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from fedaemon.errors import Refused
from fedaemon.net.sessions import SWEEP_INTERVAL_S, Sessions
from fedaemon.store.errors import StoreFull
from fedaemon.web.exchange import Answer, Asked, as_json
from fedaemon.web.protocol import (
    MAX_BODY_OCTETS,
    MAX_CONNECTIONS,
    REQUEST_S,
    HttpConnection,
    HttpFactory,
    HttpService,
)
from tests.net.memory_connection import Transport


class Echo:
    """Answers with what it was asked, and notes it."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.error: Exception | None = None

    async def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return as_json({"path": asked.path, "query": dict(asked.query), "octets": len(asked.body)})


class Peers:
    """Clients of one listener."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.site = Echo()
        self.sessions = Sessions(self.clock)
        self.sessions.start()
        self.factory = HttpFactory()
        self.factory.service = HttpService(self.site, self.sessions)

    def connect(self) -> tuple[HttpConnection, Any]:
        """Return the server's end of a new connection, and its transport."""
        protocol: Any = self.factory.buildProtocol(None)
        transport: Any = Transport()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return protocol, transport

    def say(self, request: bytes, size: int = 1 << 20) -> tuple[bytes, Any]:
        """Send *request* in pieces of *size* octets; return all that was answered, and the transport."""
        protocol, transport = self.connect()
        for first in range(0, len(request), size):
            protocol.dataReceived(request[first : first + size])
        return transport.read(), transport

    def wait(self, seconds: float) -> None:
        self.clock.pump([SWEEP_INTERVAL_S] * int(seconds / SWEEP_INTERVAL_S + 2))


@pytest.fixture
def peers() -> Peers:
    return Peers()


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def content(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


GET = b"GET /a%20b?x=1&y=%D1%8F HTTP/1.1\r\nHost: Mail.Example.ORG:8080\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_request_is_answered_and_the_connection_closed(peers: Peers, size: int) -> None:
    """However it is cut into pieces; path, query and host arrive decoded."""
    answer, transport = peers.say(GET, size)
    assert status(answer) == 200
    assert content(answer) == {"path": "/a b", "query": {"x": "1", "y": "я"}, "octets": 0}
    assert transport.disconnecting
    [asked] = peers.site.asked
    assert (asked.host, asked.secure, asked.forwarded) == ("mail.example.org", False, False)
    header = answer.partition(b"\r\n\r\n")[0].lower()
    for line in (b"server: fedaemon", b"x-content-type-options: nosniff", b"connection: close"):
        assert line in header.split(b"\r\n")
    assert header.count(b"content-length:") == 1


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"/a%20b?c=1", "/a b", "mta-sts.example.org"),
        (b"http://Autoconfig.Example.net:80/a?c=1", "/a", "autoconfig.example.net"),
        (b"HTTPS://autoconfig.example.net", "/", "autoconfig.example.net"),
    ],
)
def test_a_target_may_name_its_host(peers: Peers, target: bytes, path: str, host: str) -> None:
    """RFC 9112 3.2.2: the absolute form is taken, and what it names comes before Host."""
    answer, _ = peers.say(b"GET " + target + b" HTTP/1.1\r\nHost: mta-sts.example.org\r\n\r\n")
    assert status(answer) == 200
    (asked,) = peers.site.asked
    assert (asked.path, asked.host) == (path, host)


def test_head_has_no_content(peers: Peers) -> None:
    """RFC 9110 9.3.2: the same header, with the length that GET would have."""
    whole, _ = peers.say(GET)
    answer, _ = peers.say(GET.replace(b"GET", b"HEAD", 1))
    header, _, rest = answer.partition(b"\r\n\r\n")
    assert rest == b""
    length = len(whole.partition(b"\r\n\r\n")[2])
    assert b"content-length: %d" % length in header.lower().split(b"\r\n")


def test_only_one_request_of_a_connection_counts(peers: Peers) -> None:
    """A thousand requests in one write are one, and nobody answers the rest."""
    answer, _ = peers.say(GET * 1000)
    assert answer.count(b"HTTP/1.1") == 1
    assert len(peers.site.asked) == 1


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1 more\r\n\r\n",
        b"G\xffT / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nSpace : x\r\n\r\n",
        b"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xd1\x8f HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET ftp://elsewhere/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /?" + b"a=1&" * 21 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"x" * 16_384 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 16_384 + b"\r\n\r\n",
    ],
    ids=lambda request: request[:24].decode("latin-1").strip(),
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_what_is_no_request_is_refused(peers: Peers, request_: bytes, size: int) -> None:
    """400 once, or the connection is closed; nothing behind it is looked at, and no page hears of it."""
    answer, transport = peers.say(request_ + GET, size)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert not answer or status(answer) == 400
    assert transport.disconnecting
    assert peers.site.asked == []


def test_another_version_is_refused(peers: Peers) -> None:
    """What the peer wrote there does not come back."""
    answer, _ = peers.say(b"GET / evil\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 ")
    assert status(answer) in (400, 505)
    assert b"evil" not in answer


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("octets", "expected"), [(MAX_BODY_OCTETS, 200), (MAX_BODY_OCTETS + 1, 413), (1 << 20, 413)]
)
def test_contents_are_bounded(peers: Peers, chunked: bool, octets: int, expected: int) -> None:
    """A larger content is read away, never kept, and refused."""
    body = b"x" * octets
    head = b"POST / HTTP/1.1\r\nHost: x\r\n"
    if chunked:
        pieces = [body[first : first + 5000] for first in range(0, octets, 5000)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        request = head + b"Transfer-Encoding: chunked\r\n\r\n" + body
    else:
        request = head + b"Content-Length: %d\r\n\r\n" % octets + body
    answer, _ = peers.say(request, 4096)
    assert status(answer) == expected
    assert [len(asked.body) for asked in peers.site.asked] == ([octets] if expected == 200 else [])


def test_a_long_content_is_not_kept(peers: Peers) -> None:
    """Memory has no more of it than shows that it is too long."""
    protocol, _ = peers.connect()
    protocol.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n")
    for _ in range(100):
        protocol.dataReceived(b"x" * 4096)
    [request] = cast(Any, protocol)._channel.requests
    assert len(request.content.getvalue()) == MAX_BODY_OCTETS + 1


def test_forms_are_not_read(peers: Peers) -> None:
    """No page takes one; a parser of multipart would be work for nothing."""
    body = b"x=1&y=2"
    answer, _ = peers.say(
        b"POST /?z=3 HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )
    assert content(answer)["query"] == {"z": "3"}


@pytest.mark.parametrize("sent", [b"", b"GET / HTT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"])
def test_a_slow_peer_is_cut_off(peers: Peers, sent: bytes) -> None:
    """One octet now and then does not help: the time is for the whole request."""
    protocol, transport = peers.connect()
    protocol.dataReceived(sent)
    peers.wait(REQUEST_S / 2)
    protocol.dataReceived(b"/")
    assert not transport.disconnected
    peers.wait(REQUEST_S / 2)
    assert transport.disconnected
    assert peers.site.asked == []


def test_a_peer_that_does_not_read_is_cut_off(peers: Peers) -> None:
    """The answer waits for as long as a request may take."""
    protocol, transport = peers.connect()
    protocol.dataReceived(GET)
    assert transport.disconnecting and not transport.disconnected
    peers.wait(REQUEST_S)
    assert transport.disconnected
    assert len(peers.sessions) == 1


def test_connections_are_counted(peers: Peers) -> None:
    """One too many is cut off without a word; another may come when one has gone."""
    connected = [peers.connect() for _ in range(MAX_CONNECTIONS + 1)]
    assert [transport.disconnected for _, transport in connected] == [False] * MAX_CONNECTIONS + [True]
    for protocol, _ in connected:
        protocol.connectionLost()
    assert len(peers.sessions) == 0
    _, transport = peers.connect()
    assert not transport.disconnected


def test_the_limits_of_all_services_hold_here(peers: Peers) -> None:
    """A peer that the registry refuses hears 503, and when to come again."""
    peers.sessions.configure(total=1, per_address=0, per_account=0)
    peers.connect()
    answer, transport = peers.say(b"")
    assert status(answer) == 503
    assert b"Retry-After: 60" in answer
    assert transport.disconnecting


def test_the_stop_does_not_wait_for_idle_peers(peers: Peers) -> None:
    """Whoever has not asked is cut off; whoever is half through gets a second."""
    _, idle = peers.connect()
    protocol, busy = peers.connect()
    protocol.dataReceived(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")
    peers.sessions.stop(15)
    assert idle.disconnected and not busy.disconnected
    peers.clock.pump([0.5] * 4)
    assert busy.disconnected


@pytest.mark.parametrize(
    ("error", "expected"),
    [(StoreFull("no room"), 503), (Refused("no", code=450, status="4.0.0"), 503), (KeyError("secret"), 500)],
)
def test_faults_of_ours_are_no_secrets(peers: Peers, error: Exception, expected: int) -> None:
    """The store's refusals are told; a bug is logged, and the peer hears nothing of it."""
    peers.site.error = error
    answer, _ = peers.say(GET)
    assert status(answer) == expected
    assert b"secret" not in answer and b"Traceback" not in answer


def test_a_peer_that_leaves_meanwhile_is_no_failure(peers: Peers) -> None:
    """An answer that comes too late goes nowhere."""
    from twisted.internet.defer import Deferred

    later: Deferred[None] = Deferred()

    async def answer(asked: Asked) -> Answer:
        await later
        return as_json({})

    cast(Any, peers.site).answer = answer
    protocol, transport = peers.connect()
    protocol.dataReceived(GET)
    protocol.connectionLost()
    logged: list[Any] = []
    observer: Any = logged.append
    globalLogPublisher.addObserver(observer)
    later.callback(None)
    globalLogPublisher.removeObserver(observer)
    assert transport.read() == b""
    assert logged == []
