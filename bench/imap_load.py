"""IMAP load: appends, log-ins, lists, bodies, flags, searches and IDLE on any server of loopback, timed.

Why: what people wait for is one command on a mailbox as large as theirs. Blocking sockets and answers that are
read without being parsed keep the load light, so that the figures are the server's.
Theory of operation: ``measure`` appends what it needs, then times each command from its first octet until its
tagged OK. A line that ends in a literal's length is followed by that many octets, which are never looked at;
this is all that is known of the grammar. What the server needs for it (CPU time, memory) is asked of
``bench.server.Processes`` before and after.
Invariants: an answer that is not OK ends the measurement; so does a count that is not the expected one. Each TLS
log-in is a full handshake.
Limits: one process, a thread for each connection; the account must be new.
Standards: RFC 9051, RFC 7888 (LITERAL-), RFC 2177 (IDLE).

Run: .venv/bin/python -m bench.imap_load --port N --tls-port N --account NAME [--quick]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import socket
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Final, Self

TIMEOUT_S: Final = 300
BODY_OCTETS: Final = 3_500
"""With its header a message stays below 4,096, which every server with LITERAL- takes at once."""
LIST_ITEMS: Final = b"(FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE)"
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$").search
_EXISTS = re.compile(rb"\* (\d+) EXISTS\r\n").fullmatch
_LINE: Final = b"The quick brown fox jumps over the lazy dog, and so on until the line is full.\r\n"


class LoadError(Exception):
    """The server did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Load:
    """Whom to measure, and how much.

    :ivar port: for IMAP in clear, *tls_port* for TLS from the first octet; both on 127.0.0.1.
    :ivar appends: messages appended in all, with 1 connection and again with 10.
    :ivar logins: TLS connections made one after the other.
    :ivar list_messages: of the mailbox that is listed and searched.
    :ivar large_messages: of the mailbox that is selected and whose flags are set.
    :ivar idles: messages whose arrival is awaited.
    """

    port: int
    tls_port: int
    account: str
    password: str
    appends: int = 1_000
    logins: int = 200
    list_messages: int = 2_000
    large_messages: int = 20_000
    idles: int = 200


class Connection:
    """A logged-in connection; TLS when a context is given."""

    def __init__(self, load: Load, context: ssl.SSLContext | None = None) -> None:
        port = load.port if context is None else load.tls_port
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self._socket = context.wrap_socket(self._socket)
        self._stream: BinaryIO = self._socket.makefile("rb")
        self.line()
        self.command(b'LOGIN "%b" "%b"' % (load.account.encode(), load.password.encode()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self._socket.sendall(octets)

    def line(self) -> bytes:
        """Read a line.

        :raises LoadError: when the server has closed the connection.
        """
        line = self._stream.readline()
        if not line.endswith(b"\n"):
            raise LoadError(f"connection closed after {line!r}")
        return line

    def command(self, text: bytes) -> list[bytes]:
        """Carry out a command; return the lines of its answer, literals left out.

        :raises LoadError: when it is refused.
        """
        self.send(b"t " + text + b"\r\n")
        return self.answer(text)

    def answer(self, text: bytes) -> list[bytes]:
        """Read up to the tagged line."""
        lines: list[bytes] = []
        while not (line := self.line()).startswith(b"t "):
            lines.append(line)
            while (literal := _LITERAL(line)) is not None:
                self._stream.read(int(literal[1]))
                line = self.line()
        if not line.startswith(b"t OK"):
            raise LoadError(f"{text[:80]!r} was answered with {line!r}")
        return lines

    def append(self, mailbox: bytes, message: bytes) -> None:
        """Append a message; returns when the server has taken charge of it."""
        self.begin_append(mailbox, message)
        self.answer(b"APPEND")

    def begin_append(self, mailbox: bytes, message: bytes) -> None:
        """Send an APPEND without waiting for its answer."""
        self.send(b"t APPEND %b {%d+}\r\n%b\r\n" % (mailbox, len(message), message))


def message(number: int) -> bytes:
    """Return a message of about BODY_OCTETS; each hundredth has a word of its own in subject and text."""
    word = b"needle" if number % 100 == 0 else b"hay"
    header = (
        b"From: Sender %d <s%d@bench.test>\r\nTo: Reader <r@bench.test>\r\nSubject: %b number %d\r\n"
        b"Date: Tue, 01 Jul 2025 10:00:00 +0000\r\nMessage-ID: <%d@bench.test>\r\n\r\n"
    ) % (number, number % 50, word, number, number)
    return header + word + b"\r\n" + _LINE * (BODY_OCTETS // len(_LINE))


def measure(load: Load) -> dict[str, float]:
    """Return the figures by title, which has the unit.

    :raises LoadError: when the server does not answer as it should.
    """
    with Connection(load) as connection:
        for name in (b"appended", b"list", b"large", b"idle"):
            connection.command(b"CREATE " + name)
        figures = {
            f"APPEND/s, {count} connection{'s' * (count > 1)}": appends(load, count) for count in (1, 10)
        }
        figures["TLS log-ins/s"] = logins(load)
        fill(load, b"list", load.list_messages)
        fill(load, b"large", load.large_messages)
        figures |= commands(connection, load)
    return figures | idle(load)


def appends(load: Load, count: int) -> float:
    """Return messages appended per second by *count* connections at once."""
    each = load.appends // count

    def work(number: int) -> float:
        with Connection(load) as connection:
            start.wait(TIMEOUT_S)
            began = time.monotonic()
            for index in range(each):
                connection.append(b"appended", message(number * each + index))
            return began

    start = threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        began = min(pool.map(work, range(count)))
    return each * count / (time.monotonic() - began)


def fill(load: Load, mailbox: bytes, count: int) -> None:
    """Append *count* messages, untimed, with four connections."""

    def work(first: int) -> None:
        with Connection(load) as connection:
            for number in range(first, count, 4):
                connection.append(mailbox, message(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def logins(load: Load) -> float:
    """Return connections per second with TLS and LOGIN, one after the other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    began = time.monotonic()
    for _ in range(load.logins):
        with Connection(load, context):
            pass
    return load.logins / (time.monotonic() - began)


def commands(connection: Connection, load: Load) -> dict[str, float]:
    """Return the milliseconds of single commands on the mailboxes that are there."""
    figures: dict[str, float] = {}

    def timed(title: str, text: bytes, right: Callable[[list[bytes]], bool]) -> None:
        began = time.monotonic()
        lines = connection.command(text)
        figures[f"{title}, ms"] = (time.monotonic() - began) * 1000
        if not right(lines):
            raise LoadError(f"{text!r} brought something else: {lines[:3]!r}")

    def fetched(count: int) -> Callable[[list[bytes]], bool]:
        return lambda lines: sum(b" FETCH (" in line for line in lines) == count

    def found(count: int) -> Callable[[list[bytes]], bool]:
        return lambda lines: sum(len(line.split()) - 2 for line in lines if b"SEARCH" in line) == count

    count, large = load.list_messages, load.large_messages
    connection.command(b"SELECT list")
    for when in ("first", "again"):
        timed(f"FETCH of the list, {count:,}, {when}", b"FETCH 1:* " + LIST_ITEMS, fetched(count))
    timed(f"FETCH of all bodies, {count:,}", b"FETCH 1:* BODY.PEEK[]", fetched(count))
    needles = found(len(range(0, count, 100)))
    for when in ("first", "again"):
        timed(f"SEARCH UNSEEN, {count:,}, {when}", b"SEARCH UNSEEN", found(count))
        timed(f"SEARCH SUBJECT, {count:,}, {when}", b"SEARCH SUBJECT needle", needles)
        timed(f"SEARCH TEXT, {count:,}, {when}", b"SEARCH TEXT needle", needles)
    timed(f"SELECT, {large:,}", b"SELECT large", lambda lines: b"* %d EXISTS\r\n" % large in lines)
    timed(f"STORE, {large:,}", b"STORE 1:* +FLAGS (\\Seen)", fetched(large))
    return figures


def idle(load: Load) -> dict[str, float]:
    """Return milliseconds from the first octet of an APPEND until IDLE elsewhere has said EXISTS."""
    waits_ms: list[float] = []
    with Connection(load) as waiting, Connection(load) as writing:
        waiting.command(b"SELECT idle")
        waiting.send(b"t IDLE\r\n")
        while not waiting.line().startswith(b"+"):
            pass
        for number in range(1, load.idles + 1):
            began = time.monotonic()
            writing.begin_append(b"idle", message(number))
            while not ((match := _EXISTS(waiting.line())) and int(match[1]) >= number):
                pass
            waits_ms.append((time.monotonic() - began) * 1000)
            writing.answer(b"APPEND")
        waiting.send(b"DONE\r\n")
        waiting.answer(b"IDLE")
    return {
        "IDLE after APPEND, p50, ms": statistics.median(waits_ms),
        "IDLE after APPEND, p99, ms": sorted(waits_ms)[max(0, math.ceil(len(waits_ms) * 0.99) - 1)],
    }


def main() -> int:
    """Command line; prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls-port", type=int, required=True)
    parser.add_argument("--account", required=True, help="login name, without mail so far")
    parser.add_argument("--password", default=os.environ.get("BENCH_PASSWORD", ""), help="or $BENCH_PASSWORD")
    parser.add_argument("--quick", action="store_true", help="small mailboxes: does it work?")
    options = parser.parse_args()
    load = Load(options.port, options.tls_port, options.account, options.password)
    if options.quick:
        load = Load(load.port, load.tls_port, load.account, load.password, 50, 10, 200, 300, 20)
    try:
        figures = measure(load)
    except (LoadError, OSError) as error:
        print(f"imap_load: {error}", file=sys.stderr)
        return 1
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
