"""IMAP on sockets, under TLS, of the real program: many sessions that agree, and how sessions begin and end.

RFC 9051 5.2, 6.2.1, 7.1.5, 7.4, RFC 7162 3.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.daemon import PATIENCE_S, client_context, wait_until
from tests.e2e.imap_wire import LARGE, ImapWorld, Wire, WireTalk, running
from tests.e2e.peers import ALICE, PASSWORD
from tests.imap.crowd_talk import KINDS, speak
from tests.imap.strict_client import Truth


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImapWorld]:
    """A fedaemon with IMAP and some mail."""
    with running(tmp_path_factory.mktemp("imap")) as made:
        yield made


def told(wire: Wire) -> Truth:
    """Return what a new client is told of the selected mailbox."""
    found = []
    for line in wire.say(b"UID FETCH 1:* (FLAGS MODSEQ)"):
        if b" FETCH (UID " in line:
            uid = int(line.partition(b"UID ")[2].split()[0])
            flags = frozenset(line.partition(b"FLAGS (")[2].partition(b")")[0].decode().split())
            modseq = int(line.partition(b"MODSEQ (")[2].partition(b")")[0])
            found.append((uid, flags - {"\\Recent"}, modseq))
    return found


def test_many_sessions_agree(world: ImapWorld) -> None:
    """Ten at a time, each in a thread of its own; at the end all know the same."""
    seed = secrets.randbits(32)
    members = [WireTalk(world, kind, Random(seed + place)) for place, kind in enumerate(KINDS)]
    failures: list[BaseException] = []

    def run(member: WireTalk) -> None:
        try:
            for _ in range(200):
                speak(member)
                member.finish()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(member,), daemon=True) for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S * 4)
    assert not failures, f"seed {seed}: {failures[0]}"
    truths: dict[str, Truth] = {}
    for name in ("INBOX", "Archive"):
        with world.connect() as wire:
            wire.say(b"EXAMINE " + name.encode())
            truths[name] = told(wire)
    for member in members:
        member.say("NOOP")
        member.finish()
        if member.mailbox:
            member.known.compare(truths[member.mailbox])
        member.wire.close()


def test_slow_senders(world: ImapWorld) -> None:
    """Octet by octet it is understood as well."""
    with world.connect() as wire:
        wire.say(b"EXAMINE Junk")
        for octet in b"s SEARCH 1:2 SUBJECT {1}\r\n":
            wire.send(bytes([octet]))
        assert wire.line().startswith(b"+ ")
        for octet in b"s\r\n":
            wire.send(bytes([octet]))
        assert list(wire.answers(b"s")) == [b"* SEARCH 1 2", b"OK Searched"]


def test_the_end_of_the_program_is_told(world: ImapWorld, tmp_path: Path) -> None:
    """Sessions are told BYE, one that is receiving a message gets it to its end."""
    with world.connect() as idle, world.connect() as busy:
        idle.send(b"i IDLE\r\n")
        assert idle.line().startswith(b"+ ")
        busy.say(b"EXAMINE Drafts")
        busy.send(b"f FETCH 1 BODY.PEEK[]\r\n")
        assert world.daemon.process is not None
        world.daemon.process.terminate()
        assert idle.line().startswith(b"* BYE [UNAVAILABLE] ")
        lines = list(busy.answers(b"f"))
        assert len(lines[0]) > len(LARGE)
        assert lines[-1].startswith(b"OK ")
        assert busy.line().startswith(b"* BYE [UNAVAILABLE] ")
    assert world.daemon.process.wait(PATIENCE_S) == 0
    world.daemon.start()


def test_a_changed_password_ends_sessions(world: ImapWorld) -> None:
    """Within a second or two, though it was another process that changed it."""
    with world.connect() as wire:
        wire.send(b"i IDLE\r\n")
        assert wire.line().startswith(b"+ ")
        world.daemon.ctl("password", "set", ALICE, "--password-stdin", stdin=PASSWORD + "!\n")
        assert wire.line().startswith(b"* BYE ")
        world.daemon.ctl("password", "set", ALICE, "--password-stdin", stdin=PASSWORD + "\n")
    wait_until(lambda: world.connect(), "the log-in").close()


def test_starttls(world: ImapWorld) -> None:
    """The other port, and an injection there."""
    with Wire(socket.create_connection(("127.0.0.1", world.ports["imap"]), PATIENCE_S)) as wire:
        assert b"LOGINDISABLED" in wire.line()
        assert wire.say(b"STARTTLS")[-1].startswith(b"OK ")
        secure = client_context(world.ca_file).wrap_socket(wire.socket, server_hostname="localhost")
        with Wire(secure) as protected:
            assert protected.say(f'LOGIN {ALICE} "{PASSWORD}"'.encode())[-1].startswith(b"OK ")
    with Wire(socket.create_connection(("127.0.0.1", world.ports["imap"]), PATIENCE_S)) as wire:
        wire.line()
        wire.send(b"s STARTTLS\r\nx NOOP\r\n")
        assert b"x OK" not in b"".join(iter(wire.line, b""))
