"""The IMAP load measures a real server, and ends when that does not answer as it should."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import imap_load
from bench.dovecot import IMAP, Dovecot
from bench.imap_load import Load, LoadError
from bench.server import run

PASSWORD = "correct-horse"


@pytest.fixture
def server() -> Iterator[Dovecot]:
    """A Dovecot, skipped by name where there can be none; in CI nothing may be missing."""
    if os.geteuid() != 0 or not IMAP.exists():
        reason = "Dovecot is not installed, or not startable without root: tests/prepare says how"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and CI skips nothing")
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        files = directory / "certificate.pem", directory / "key.pem"
        key = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(files[1]), "-out", str(files[0])]
        run(["openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=mail.bench.test"])
        with Dovecot(directory / "dovecot", *files, PASSWORD) as dovecot:
            yield dovecot


def load_for(server: Dovecot) -> Load:
    return Load(server.port, server.tls_port, "alice", PASSWORD, 20, 2, 101, 30, 2)


def test_all_figures_are_there(server: Dovecot) -> None:
    """Each title once, each figure above nothing; the server's own CPU time has grown."""
    before_s = server.processes.cpu_s()
    figures = imap_load.measure(load_for(server))
    assert [*figures] == [
        "APPEND/s, 1 connection",
        "APPEND/s, 10 connections",
        "TLS log-ins/s",
        "FETCH of the list, 101, first, ms",
        "FETCH of the list, 101, again, ms",
        "FETCH of all bodies, 101, ms",
        *(
            f"SEARCH {key}, 101, {when}, ms"
            for when in ("first", "again")
            for key in ("UNSEEN", "SUBJECT", "TEXT")
        ),
        "SELECT, 30, ms",
        "STORE, 30, ms",
        "IDLE after APPEND, p50, ms",
        "IDLE after APPEND, p99, ms",
    ]
    assert all(figure > 0 for figure in figures.values())
    assert server.processes.cpu_s() > before_s
    assert server.processes.memory().processes > 1


def test_a_refusal_ends_it(server: Dovecot) -> None:
    """A wrong password is no slow log-in, and mailboxes that are there already have messages that do not count."""
    with pytest.raises(LoadError, match="AUTHENTICATIONFAILED"):
        imap_load.measure(replace(load_for(server), password="wrong"))
    with imap_load.Connection(load_for(server)) as connection:
        connection.command(b"CREATE list")
    with pytest.raises(LoadError, match="ALREADYEXISTS"):
        imap_load.measure(load_for(server))


def test_one_message_in_a_hundred_is_sought() -> None:
    """Which the searches count on; each is short enough for a literal that does not wait."""
    messages = [imap_load.message(number) for number in range(200)]
    assert sum(b"needle" in each for each in messages) == 2
    assert max(map(len, messages)) < 4096
