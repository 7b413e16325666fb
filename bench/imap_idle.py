"""Memory of sessions that wait: thousands under TLS, each with INBOX open and in IDLE.

Why: telephones and desktop programs stay connected all day, so this, not speed, bounds how many people a server
can serve.
Theory of operation: a few processes of ours open the sessions in parallel, from several loopback addresses and
over several accounts, and hold them while the server's memory is read. What it had with no session is taken off.
Limits: open files (two for a session in those processes of Dovecot's that hold TLS); INBOX has one message.
Standards: RFC 2177 (IDLE).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection as Pipe
from typing import Final

from bench.imap_load import Connection, LoadError, fill
from bench.imap_measures import Figure
from bench.imap_server import ImapServer
from bench.server import BenchError

PROCESSES: Final = 4
ADDRESSES: Final = 50
OPEN_LIMIT_S: Final = 900
SPARE_FILES: Final = 2_000
_CONTEXT: Final = multiprocessing.get_context("fork")


def idle_sessions(server: ImapServer, count: int) -> tuple[Figure, ...]:
    """Return what *count* idle sessions of *server*, just started, cost in memory, and how fast they came.

    :raises BenchError: when the files that may be open are too few, or a session fails.
    """
    allow_files(count + SPARE_FILES)
    for account in range(len(server.accounts)):
        with Connection(server, account) as connection:
            fill(connection, b"INBOX", 1)
    server.settle()
    before = server.processes.memory().pss_octets
    used_s, began = server.processes.cpu_s(), time.monotonic()
    with held(server, count):
        elapsed_s, cpu_s = time.monotonic() - began, server.processes.cpu_s() - used_s
        server.settle()
        octets = server.processes.memory().pss_octets - before
    return (
        Figure(f"memory of an idle session, {count:,} of them", "KB", octets / 1000 / count, None),
        Figure(
            f"log-in, SELECT and IDLE of {count:,}",
            "/s",
            count / elapsed_s,
            cpu_s * 1000 / count,
            higher_is_better=True,
        ),
    )


def allow_files(count: int) -> None:
    """Let us, and the servers that we start, have so many files open.

    :raises BenchError: when the system does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))
        except (ValueError, OSError) as error:
            raise BenchError(f"{count} files cannot be open at once: ulimit -n says {hard}") from error


@contextlib.contextmanager
def held(server: ImapServer, count: int) -> Iterator[None]:
    """Have *count* sessions in IDLE between enter and exit.

    :raises BenchError: when one fails.
    """
    workers = []
    for number in range(PROCESSES):
        ours, theirs = _CONTEXT.Pipe()
        share = range(number, count, PROCESSES)
        worker = _CONTEXT.Process(target=_hold, args=(server, share, theirs), daemon=True)
        worker.start()
        theirs.close()
        workers.append((worker, ours))
    try:
        for _, pipe in workers:
            if not pipe.poll(OPEN_LIMIT_S):
                raise BenchError(f"{count} sessions were not there after {OPEN_LIMIT_S} s")
            _check(pipe, server)
        yield
    finally:
        for worker, pipe in workers:
            pipe.close()
            worker.terminate()
            worker.join()


def _check(pipe: Pipe, server: ImapServer) -> None:
    try:
        failure = pipe.recv()
    except EOFError:
        failure = "a process of the load has ended"
    if failure:
        raise BenchError(f"{failure}; {server.last_words()}")


def _hold(server: ImapServer, numbers: range, pipe: Pipe) -> None:
    """Open sessions, say so, and wait to be ended."""
    sessions = []
    try:
        for number in numbers:
            session = Connection(server, number % len(server.accounts), f"127.0.0.{2 + number % ADDRESSES}")
            session.command(b"SELECT INBOX")
            session.idle()
            sessions.append(session)
    except (LoadError, OSError) as error:
        pipe.send(f"{server.name}, session {len(sessions)} of {len(numbers)}: {error}")
        return
    pipe.send("")
    with contextlib.suppress(EOFError):
        pipe.recv()
