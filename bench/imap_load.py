"""Load on IMAP and POP3: prepared octets out, answers in, as little work of our own as Python allows.

Why: server and load share the machine's cores, so what the load needs distorts what the server shows. An answer
is read in large pieces and only its end is looked at, until the tagged line is there; what it holds is counted
by the caller after the clock has stopped. Many connections at once are served by one thread, which sends the
next command of a connection when its answer is complete.
Invariants: an answer that is not OK ends the measurement. Each connection is a full TLS 1.3 handshake.
Limits: tags are so unlike mail that no message holds them; nothing else is known of the grammar.
Standards: RFC 9051, RFC 7888 (LITERAL+), RFC 3502 (MULTIAPPEND), RFC 2177 (IDLE), RFC 1939 (POP3).
"""

from __future__ import annotations

import re
import selectors
import socket
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self

from bench.imap_server import ImapServer, tls_context

TIMEOUT_S: Final = 300
TAG: Final = b"q7Zk0"
FILL_BATCH: Final = 500
_PIECE: Final = 262_144
_TAIL: Final = 4_096
_CONTINUE = re.compile(rb"(?:^|\r\n)\+ ?[^\r\n]*\r\n$").search
_RETRIEVED = re.compile(rb"\r\n\.\r\n$|\A-ERR[^\r\n]*\r\n$").search
_TAGGED = re.compile(rb"(?:^|\r\n)" + TAG + rb" ([^\r\n]*)\r\n$").search
_LINE: Final = b"The quick brown fox jumps over the lazy dog, and so on until the line is full.\r\n"


class LoadError(Exception):
    """The server did not answer as it should."""


class Line:
    """A connection under TLS; *source* is the loopback address that it comes from."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        plain = socket.create_connection(("127.0.0.1", port), TIMEOUT_S, (source, 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = tls_context().wrap_socket(plain)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.socket.sendall(octets)

    def receive(self) -> bytes:
        """Return what has come, waiting for at least one octet.

        :raises LoadError: when the server has closed the connection.
        """
        piece = self.socket.recv(_PIECE)
        if not piece:
            raise LoadError("the server closed the connection")
        return piece

    def until(self, complete: Callable[[bytes], object]) -> bytes:
        """Return what comes, up to where the end of it is *complete*; no more than _TAIL octets are looked at."""
        pieces: list[bytes] = []
        tail = b""
        while not complete(tail):
            pieces.append(piece := self.receive())
            tail = (tail + piece if len(piece) < _TAIL else piece)[-_TAIL:]
        return b"".join(pieces)


class Connection(Line):
    """An IMAP connection that is logged in."""

    def __init__(self, server: ImapServer, account: int = 0, source: str = "127.0.0.1") -> None:
        super().__init__(server.port, source)
        self.until(line_complete)
        self.command(b"LOGIN %b %b" % (server.accounts[account].encode(), server.password.encode()))

    def command(self, text: bytes) -> bytes:
        """Carry out a command and return its whole answer.

        :raises LoadError: when it is refused.
        """
        self.begin(text)
        return self.answer()

    def begin(self, text: bytes) -> None:
        """Send a command without waiting for its answer."""
        self.send(TAG + b" " + text + b"\r\n")

    def answer(self) -> bytes:
        """Return what comes up to the tagged line."""
        answer = self.until(_TAGGED)
        tagged = _TAGGED(answer[-_TAIL:])
        if tagged is None or not tagged[1].startswith(b"OK"):
            raise LoadError(f"refused: {answer[-300:]!r}")
        return answer

    def idle(self) -> None:
        """Begin IDLE."""
        self.begin(b"IDLE")
        self.until(_CONTINUE)


def message(number: int, octets: int = 2_000) -> bytes:
    """Return a message of about so many octets; each hundredth has a word of its own in subject and text."""
    word = b"needle" if number % 100 == 0 else b"hay"
    header = (
        b"Return-Path: <s%d@sender.test>\r\n"
        b"Received: from mx.sender.test (mx.sender.test [192.0.2.%d]) by mail.bench.test with ESMTPS;\r\n"
        b"\tTue, 01 Jul 2025 10:00:00 +0000\r\n"
        b"From: Sender %d <s%d@sender.test>\r\nTo: Reader <r@bench.test>, Other <o@bench.test>\r\n"
        b"Subject: %b number %d\r\nDate: Tue, 01 Jul 2025 10:00:00 +0000\r\nMessage-ID: <%d@sender.test>\r\n"
        b"In-Reply-To: <%d@sender.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n\r\n"
    ) % (number % 50, number % 250, number, number % 50, word, number, number, number // 10)
    lines = max(0, octets - len(header)) // len(_LINE)
    return header + word + b"\r\n" + _LINE * lines


def append_argument(number: int, octets: int = 2_000) -> bytes:
    """Return what APPEND has behind the mailbox for one message; nine of ten are read already."""
    content = message(number, octets)
    flags = b"" if number % 10 == 0 else rb" (\Seen)"
    return b"%b {%d+}\r\n%b" % (flags, len(content), content)


def fill(connection: Connection, mailbox: bytes, count: int, octets: int = 2_000) -> None:
    """Append *count* messages, FILL_BATCH in a command."""
    for first in range(0, count, FILL_BATCH):
        numbers = range(first, min(count, first + FILL_BATCH))
        connection.command(b"APPEND " + mailbox + b"".join(append_argument(each, octets) for each in numbers))


def rotate(connections: list[Connection], commands: Iterator[bytes]) -> None:
    """Carry out *commands*, each by the connection that is free first.

    :raises LoadError: when one is refused.
    """
    with selectors.DefaultSelector() as selector:
        busy = 0
        for each in connections:
            selector.register(each.socket, selectors.EVENT_READ, each)
            busy += _next(each, commands)
        while busy:
            for key, _ in selector.select(TIMEOUT_S):
                key.data.answer()
                busy += _next(key.data, commands) - 1


def _next(connection: Connection, commands: Iterator[bytes]) -> bool:
    """Whether there was a further command; it is sent."""
    text = next(commands, None)
    if text is not None:
        connection.begin(text)
    return text is not None


class Maildrop(Line):
    """A POP3 connection that is logged in."""

    def __init__(self, server: ImapServer) -> None:
        super().__init__(server.pop3_port)
        self._ok(self.until(line_complete))
        for text in (f"USER {server.accounts[0]}", f"PASS {server.password}"):
            self.send(text.encode() + b"\r\n")
            self._ok(self.until(line_complete))

    def retrieve(self, number: int) -> bytes:
        """Return a message. Spec: RFC 1939 5"""
        self.send(b"RETR %d\r\n" % number)
        answer = self.until(_RETRIEVED)
        self._ok(answer)
        return answer

    def quit(self) -> None:
        """Leave properly."""
        self.send(b"QUIT\r\n")
        self._ok(self.until(line_complete))

    @staticmethod
    def _ok(answer: bytes) -> None:
        if not answer.startswith(b"+OK"):
            raise LoadError(f"refused: {answer[:300]!r}")


def line_complete(tail: bytes) -> bool:
    """Whether a line has come to its end."""
    return tail.endswith(b"\r\n")
