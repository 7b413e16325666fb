"""Fetching a document over HTTPS from servers good, broken and hostile, on loopback sockets."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogEvent, globalLogPublisher

from fedaemon.net.dns_query import DnsTemporary, NoSuchName
from fedaemon.net.https import BadPeer, FetchFailed, HttpsClient, Response
from fedaemon.net.tls import ClientTls, ServerTls
from tests.net.https_server import Answer, Authority, HttpsServer, document
from tests.net.live_reactor import reactor, turn_until, wait_for

HOST = "documents.example.test"
LIMIT = 1000


class Addresses:
    """A resolver that knows one answer."""

    def __init__(self, found: list[str] | Exception) -> None:
        self.found = found
        self.asked: list[str] = []

    def addresses(self, host: str) -> Deferred[list[str]]:
        self.asked.append(host)
        return fail(self.found) if isinstance(self.found, Exception) else succeed(self.found)


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Fail a test that leaves an error to nobody: Twisted logs such errors when they are collected."""
    logged: list[LogEvent] = []
    observer: Any = logged.append
    globalLogPublisher.addObserver(observer)
    yield
    gc.collect()
    globalLogPublisher.removeObserver(observer)
    assert [event["log_failure"] for event in logged if "log_failure" in event] == []


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ServerTls:
    return authority.server(HOST)


@pytest.fixture
def serve() -> Iterator[Callable[[ServerTls, Answer], HttpsServer]]:
    running: list[HttpsServer] = []

    def start(tls: ServerTls, answer: Answer) -> HttpsServer:
        running.append(HttpsServer(tls, answer))
        return running[-1]

    yield start
    for server in running:
        turn_until(lambda server=server: server.open == 0)  # type: ignore[misc]
        server.close()


Serve = Callable[[ServerTls, Answer], HttpsServer]


def fetch(
    ca_file: Path, port: int, *, found: list[str] | Exception | None = None, timeout_s: float = 20.0
) -> Response:
    client = ClientTls(ca_file)
    resolver = Addresses(["127.0.0.1"] if found is None else found)
    https_client = HttpsClient(reactor, resolver, lambda host: client.creator(host, verify=True), port=port)
    response: Response = wait_for(https_client.get(HOST, "/a.txt", limit_octets=LIMIT, timeout_s=timeout_s))
    return response


def test_a_document_arrives_with_status_and_type(authority: Authority, tls: ServerTls, serve: Serve) -> None:
    """One GET, with the host's name, for the path; parameters of the type are left away."""
    server = serve(tls, lambda _: document("hello\n", media_type="Text/Plain; charset=utf-8"))
    assert fetch(authority.ca_file, server.port) == Response(200, "text/plain", b"hello\n")
    (request,) = server.requests
    lines = request.split(b"\r\n")
    assert lines[0] == b"GET /a.txt HTTP/1.1"
    assert f"Host: {HOST}:{server.port}".encode() in lines
    assert b"Connection: close" in lines


def test_a_document_in_chunks_arrives_whole(authority: Authority, tls: ServerTls, serve: Serve) -> None:
    """RFC 9112 7.1: the end of the last chunk is the end of the body."""
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    server = serve(tls, lambda _: f"{head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".encode())
    assert fetch(authority.ca_file, server.port).body == b"abcde"


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
def test_redirects_are_not_followed(authority: Authority, tls: ServerTls, serve: Serve, status: str) -> None:
    """The answer is the redirect, and nobody is asked again."""
    server = serve(tls, lambda _: document("", status=status, more=f"Location: https://{HOST}/b\r\n"))
    response = fetch(authority.ca_file, server.port)
    assert (response.status, response.body) == (int(status[:3]), b"")
    assert len(server.requests) == 1


def test_an_error_is_an_answer_without_its_body(authority: Authority, tls: ServerTls, serve: Serve) -> None:
    """Nothing is read of what only explains a failure."""
    server = serve(tls, lambda _: document("not found", status="404 Not Found"))
    assert fetch(authority.ca_file, server.port) == Response(404, "text/plain", b"")


@pytest.mark.parametrize(
    ("names", "days", "says"),
    [
        (("other.example.test",), 30, "is not for"),
        ((HOST,), -1, "expired"),
        (("example.test",), 30, "not for"),
    ],
    ids=["other name", "expired", "parent domain"],
)
def test_a_bad_certificate_gets_no_request(
    authority: Authority, serve: Serve, names: tuple[str, ...], days: int, says: str
) -> None:
    """RFC 9525: chain, dates and name are checked before anything is asked; the failure says which."""
    server = serve(authority.server(*names, days=days), lambda _: document("forged"))
    with pytest.raises(BadPeer, match=says):
        fetch(authority.ca_file, server.port)
    assert server.requests == []


def test_an_unknown_authority_gets_no_request(authority: Authority, tmp_path: Path, serve: Serve) -> None:
    """Anybody can sign for any name; only who is trusted counts."""
    server = serve(Authority(tmp_path).server(HOST), lambda _: document("forged"))
    with pytest.raises(BadPeer, match="authority"):
        fetch(authority.ca_file, server.port)
    assert server.requests == []


def test_a_wildcard_certificate_is_good(authority: Authority, serve: Serve) -> None:
    """RFC 8461 3.3 permits it for the leftmost label."""
    server = serve(authority.server("*.example.test"), lambda _: document("ok"))
    assert fetch(authority.ca_file, server.port).body == b"ok"


@pytest.mark.parametrize(
    "octets",
    [
        document("x" * (LIMIT + 1)),
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"y" * 60 + b"\r\n" * 1 + b"X: y\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n",
    ],
    ids=["body", "header fields", "one header line", "chunks"],
)
def test_too_much_ends_the_connection(
    authority: Authority, tls: ServerTls, serve: Serve, octets: bytes
) -> None:
    """However a server spreads its octets, it cannot make us hold many of them."""
    server = serve(tls, lambda _: octets)
    with pytest.raises(FetchFailed):
        fetch(authority.ca_file, server.port)
    turn_until(lambda: server.open == 0)


def test_exactly_the_limit_is_good(authority: Authority, tls: ServerTls, serve: Serve) -> None:
    """The limit itself is allowed."""
    server = serve(tls, lambda _: document("x" * LIMIT))
    assert len(fetch(authority.ca_file, server.port).body) == LIMIT


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nas long as the connection",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"",
    ],
    ids=["shorter than announced", "no length", "half a header", "another protocol", "nothing"],
)
def test_what_may_be_cut_short_is_no_document(
    authority: Authority, tls: ServerTls, serve: Serve, octets: bytes
) -> None:
    """Who can end the connection could take away the end of the document."""
    server = serve(tls, lambda _: octets)
    with pytest.raises(FetchFailed):
        fetch(authority.ca_file, server.port)


def test_a_silent_server_is_left_when_the_time_is_up(
    authority: Authority, tls: ServerTls, serve: Serve
) -> None:
    """The time-out holds for the answer, and the connection does not stay open."""
    server = serve(tls, lambda _: None)
    with pytest.raises(FetchFailed, match=r"no whole answer within 0\.5 s"):
        fetch(authority.ca_file, server.port, timeout_s=0.5)
    turn_until(lambda: server.open == 0)


def test_a_document_that_never_ends_is_left_when_the_time_is_up(
    authority: Authority, tls: ServerTls, serve: Serve
) -> None:
    """The time-out holds for the body too."""

    server = serve(tls, lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
    server.keep_open = True
    with pytest.raises(FetchFailed, match=r"no whole answer within 0\.5 s"):
        fetch(authority.ca_file, server.port, timeout_s=0.5)
    turn_until(lambda: server.open == 0)


def test_silent_dns_is_left_when_the_time_is_up(authority: Authority) -> None:
    """The time-out begins with the question for the address."""
    client = ClientTls(authority.ca_file)

    class Silent:
        def addresses(self, host: str) -> Deferred[list[str]]:
            return Deferred()

    getting = HttpsClient(reactor, Silent(), lambda host: client.creator(host, verify=True)).get(
        HOST, "/", limit_octets=LIMIT, timeout_s=0.2
    )
    with pytest.raises(FetchFailed, match="no whole answer"):
        wait_for(getting)


def test_the_next_address_is_tried(authority: Authority, tls: ServerTls, serve: Serve) -> None:
    """An address nobody listens on costs a moment, not the document."""
    server = serve(tls, lambda _: document("ok"))
    assert fetch(authority.ca_file, server.port, found=["::1", "127.0.0.2", "127.0.0.1"]).body == b"ok"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([], "has no address"),
        (NoSuchName(f"the domain {HOST} does not exist"), "does not exist"),
        (DnsTemporary("DNS cannot answer now"), "cannot answer"),
        (["127.0.0.2"], "refused"),
    ],
)
def test_without_a_connection_the_failure_says_why(
    authority: Authority, tls: ServerTls, serve: Serve, found: list[str] | Exception, says: str
) -> None:
    """No address, no name, no DNS, nobody there: all temporary, each in words."""
    server = serve(tls, lambda _: document("ok"))
    with pytest.raises(FetchFailed, match=says) as caught:
        fetch(authority.ca_file, server.port, found=found)
    assert not isinstance(caught.value, BadPeer)
    assert not caught.value.permanent


def test_a_server_without_tls_is_a_bad_peer(authority: Authority) -> None:
    """Plain text on the port is a failure of TLS."""

    class Plain(Protocol):
        transport: Any

        def connectionMade(self) -> None:
            self.transport.write(b"220 mail.example.test ESMTP\r\n")

    port = reactor.listenTCP(0, Factory.forProtocol(Plain), interface="127.0.0.1")
    with pytest.raises(BadPeer):
        fetch(authority.ca_file, port.getHost().port)
    wait_for(port.stopListening())
