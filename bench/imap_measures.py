"""How a server's IMAP and POP3 are measured: generators that give their figures each time they are asked.

Why: rows are measured in rounds that alternate between the servers, on connections that stay open, as mail
programs do. Whoever asks decides how often.
Invariants: an answer that does not hold what it must ends the measurement.
Standards: RFC 9051, RFC 2177 (IDLE), RFC 1939 (POP3).
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import statistics
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from bench.imap_load import Connection, LoadError, Maildrop, append_argument, line_complete, rotate
from bench.imap_server import ImapServer

_EXISTS = re.compile(rb"\* (\d+) EXISTS\r\n")
_FOUND = re.compile(rb"\* SEARCH([ 0-9]*)")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything; mailboxes in messages."""

    appends: int = 1_000
    logins: int = 200
    listed: int = 2_000
    attached: int = 200
    searched: int = 20_000
    copies: int = 5
    idles: int = 100
    rounds: int = 5

    @property
    def selected(self) -> int:
        """The mailbox that is opened: several times the one that is searched."""
        return self.searched * self.copies


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    :ivar higher_is_better: as rates are; times and sizes are better when lower.
    :ivar cpu_ms: of the server for one operation; None where it says nothing.
    """

    title: str
    unit: str
    value: float
    cpu_ms: float | None
    higher_is_better: bool = False


Figures = Generator[tuple[Figure, ...], None, None]
Measure = Callable[[ImapServer, Scale], Figures]
Result = TypeVar("Result")


def clocked(server: ImapServer, work: Callable[[], Result]) -> tuple[Result, float, float]:
    """Return what *work* returns, elapsed seconds, and the server's CPU seconds."""
    used_s, began = server.processes.cpu_s(), time.perf_counter()
    result = work()
    return result, time.perf_counter() - began, server.processes.cpu_s() - used_s


def rate(title: str, count: int, wall_s: float, cpu_s: float) -> tuple[Figure]:
    """Return how many of *count* operations there were in a second."""
    return (Figure(title, "/s", count / wall_s, cpu_s * 1000 / count, higher_is_better=True),)


def duration(title: str, wall_s: float, cpu_s: float) -> tuple[Figure]:
    """Return how long one operation took."""
    return (Figure(title, "ms", wall_s * 1000, cpu_s * 1000),)


def append(connections: int, server: ImapServer, scale: Scale) -> Figures:
    """Measure durable APPENDs, each connection waiting for the answer before the next."""
    commands = [b"APPEND appended" + append_argument(number) for number in range(scale.appends)]
    title = f"APPEND of 2 kB, {connections} connection{'s' * (connections > 1)}"
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(Connection(server)) for _ in range(connections)]
        while True:
            _, *times = clocked(server, lambda: rotate(opened, iter(commands)))
            yield rate(title, len(commands), *times)


def log_in(at_once: int, server: ImapServer, scale: Scale) -> Figures:
    """Measure TLS handshakes with LOGIN."""

    def one(_: int) -> None:
        with Connection(server):
            pass

    title = f"TLS log-ins, {at_once} at once"
    with ThreadPoolExecutor(at_once) as pool:
        while True:
            _, *times = clocked(server, lambda: list(pool.map(one, range(scale.logins))))
            yield rate(title, scale.logins, *times)


def fetch(
    title: str,
    mailbox: bytes,
    text: bytes,
    size: Callable[[Scale], int],
    server: ImapServer,
    scale: Scale,
) -> Figures:
    """Measure a FETCH of all messages of a mailbox, in messages a second."""
    with Connection(server) as connection:
        connection.command(b"SELECT " + mailbox)
        while True:
            answer, *times = clocked(server, lambda: connection.command(text))
            _expect(answer.count(b" FETCH ("), size(scale), text)
            yield rate(title, size(scale), *times)


def select(server: ImapServer, scale: Scale) -> Figures:
    """Measure SELECT of a large mailbox, each time in a new session."""
    while True:
        with Connection(server) as connection:
            answer, *times = clocked(server, partial(connection.command, b"SELECT large"))
        _expect(_exists(answer), scale.selected, b"SELECT")
        yield duration(f"SELECT of {scale.selected:,}", *times)


def search(key: bytes, share: int, server: ImapServer, scale: Scale) -> Figures:
    """Measure SEARCH with one key, which one message of *share* has."""
    title = f"SEARCH {key.decode().partition(' ')[0]} in {scale.searched:,}"
    with Connection(server) as connection:
        connection.command(b"SELECT search")
        while True:
            answer, *times = clocked(server, lambda: connection.command(b"SEARCH " + key))
            found = _FOUND.search(answer)
            _expect(len(found[1].split()) if found else 0, scale.searched // share, key)
            yield duration(title, *times)


def store(server: ImapServer, scale: Scale) -> Figures:
    """Measure STORE of a flag on all messages, answers included, set and taken away in turn."""
    with Connection(server) as connection:
        connection.command(b"SELECT search")
        for sign in itertools.cycle((b"+", b"-")):
            text = b"STORE 1:* " + sign + rb"FLAGS (\Flagged)"
            answer, *times = clocked(server, partial(connection.command, text))
            _expect(answer.count(b" FETCH ("), scale.searched, text)
            yield duration(f"STORE on {scale.searched:,}", *times)


def idle(server: ImapServer, scale: Scale) -> Figures:
    """Measure from the first octet of an APPEND until IDLE elsewhere has said EXISTS."""
    with Connection(server) as waiting, Connection(server) as writing:
        waiting.command(b"SELECT idle")
        waiting.idle()
        there = 0
        while True:
            used_s, waits_ms = server.processes.cpu_s(), []
            for number in range(scale.idles):
                text = b"APPEND idle" + append_argument(number)
                began = time.perf_counter()
                writing.begin(text)
                there += 1
                while _exists(waiting.until(line_complete)) < there:
                    pass
                waits_ms.append((time.perf_counter() - began) * 1000)
                writing.answer()
            cpu_ms = (server.processes.cpu_s() - used_s) * 1000 / scale.idles
            p99_ms = sorted(waits_ms)[math.ceil(len(waits_ms) * 0.99) - 1]
            yield (
                Figure("IDLE told of an APPEND, p50", "ms", statistics.median(waits_ms), cpu_ms),
                Figure("IDLE told of an APPEND, p99", "ms", p99_ms, None),
            )


def retrieve(server: ImapServer, scale: Scale) -> Figures:
    """Measure POP3: each message of INBOX, one RETR after the other."""

    def work(maildrop: Maildrop) -> None:
        for number in range(1, scale.listed + 1):
            maildrop.retrieve(number)

    while True:
        with Maildrop(server) as maildrop:
            _, *times = clocked(server, partial(work, maildrop))
            maildrop.quit()
        yield rate("POP3 RETR of 2 kB", scale.listed, *times)


def _exists(answer: bytes) -> int:
    """Return the last count of messages in an answer, 0 without any."""
    found = _EXISTS.findall(answer)
    return int(found[-1]) if found else 0


def _expect(found: int, expected: int, text: bytes) -> None:
    if found != expected:
        raise LoadError(f"{text.decode()} brought {found} instead of {expected}")
