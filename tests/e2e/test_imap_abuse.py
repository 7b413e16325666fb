"""IMAP clients that mean harm, on the real program: the others go on, and its memory stays.

RFC 9051 5.3, RFC 4978 3.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemon import PATIENCE_S
from tests.e2e.imap_wire import MIB, PROMPT_S, ImapWorld, running
from tests.e2e.peers import ALICE, PASSWORD
from tests.imap.contents import MESSAGES

GROWTH = 64 * MIB
"""What the process may grow by, whatever is sent: a message that is read, and what the allocator keeps."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImapWorld]:
    """A fedaemon with IMAP and some mail."""
    with running(tmp_path_factory.mktemp("imap")) as made:
        yield made


class Bystander:
    """Another client, who says NOOP all the time: how much the server does at most before it is answered."""

    def __init__(self, world: ImapWorld) -> None:
        self.worst_s, self.rounds = 0.0, 0
        self._world = world
        self._wire = world.connect()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Bystander:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(PATIENCE_S)
        self._wire.close()

    def _run(self) -> None:
        while not self._done.wait(0.005):
            before = self._world.worked_s()
            assert self._wire.say(b"NOOP")[-1].startswith(b"OK ")
            self.worst_s = max(self.worst_s, self._world.worked_s() - before)
            self.rounds += 1


def never_reads(world: ImapWorld) -> None:
    """It asks for 20 MB, often, and takes nothing."""
    with world.connect() as wire:
        wire.say(b"SELECT Drafts")
        wire.send(b"f FETCH 1 BODY.PEEK[]\r\n" * 50)
        time.sleep(0.5)


def pipelines(world: ImapWorld) -> None:
    """A hundred thousand commands in one go; it does read."""
    with world.connect() as wire:
        sender = threading.Thread(target=wire.send, args=(b"n NOOP\r\n" * 100_000,), daemon=True)
        sender.start()
        for _ in range(100_000):
            assert wire.line().startswith(b"n OK ")
        sender.join(PATIENCE_S)


def long_lines(world: ImapWorld) -> None:
    """Lines of a megabyte, before the log-in and behind it."""
    with world.connect(log_in=False) as wire:
        try:
            wire.send(b"x" * MIB + b"\r\n")
            assert wire.line().startswith(b"* BYE ")
        except (ConnectionError, ssl.SSLError):
            pass
    with world.connect() as wire:
        for _ in range(10):
            wire.send(b"x " + b"x" * MIB + b"\r\n")
            assert wire.line().split()[1] == b"BAD"
        assert wire.say(b"NOOP")[-1].startswith(b"OK ")


def literals(world: ImapWorld) -> None:
    """A megabyte of literals in one command, then contents that are larger than any message may be."""
    with world.connect() as wire:
        wire.send(b"x SEARCH SUBJECT" + b" {1+}\r\na" * 150_000 + b"\r\n")
        assert wire.line().startswith(b"x BAD ")
        wire.send(b"y APPEND INBOX {%d+}\r\n" % (60 * MIB))
        for _ in range(60):
            wire.send(b"y" * MIB)
        wire.send(b"\r\n")
        assert wire.line().startswith(b"y NO [TOOBIG] ")


def bomb(world: ImapWorld) -> None:
    """A few octets behind COMPRESS that stand for half a gigabyte."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    sent = deflate.compress(b"x NOOP " + b"x" * (512 * MIB)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    with world.connect() as wire:
        assert wire.say(b"COMPRESS DEFLATE")[-1].startswith(b"OK ")
        try:
            wire.send(sent)
            while wire.socket.recv(65536):
                pass
        except (ConnectionError, ssl.SSLError):
            pass


def half_open(world: ImapWorld) -> None:
    """Connections that begin TLS and do not go on, and some that say rubbish for it."""
    opened = [socket.create_connection(("127.0.0.1", world.ports["imaps"])) for _ in range(20)]
    for number, connection in enumerate(opened):
        connection.sendall(b"\x16\x03\x01" if number % 2 else b"a LOGIN b c\r\n")
    time.sleep(0.3)
    for connection in opened:
        connection.close()


def fetches_all(world: ImapWorld) -> None:
    """Everything of 2,000 messages, four at a time, read to the end."""
    for items in (b"(FULL BODY.PEEK[])", b"(BODYSTRUCTURE PREVIEW BINARY.SIZE[1])"):
        wires = [world.connect() for _ in range(4)]
        for wire in wires:
            wire.say(b"EXAMINE Junk")
            wire.send(
                b"f FETCH 1:* " + (items if b"FULL" not in items else b"(ENVELOPE BODY.PEEK[])") + b"\r\n"
            )
        for wire in wires:
            assert len(list(wire.answers(b"f"))) == 2_001
            wire.close()


def searches_texts(world: ImapWorld) -> None:
    """Many texts in all messages."""
    with world.connect() as wire:
        wire.say(b"EXAMINE Junk")
        assert wire.say(b"SEARCH " + b"NOT TEXT nowhere " * 50 + b"ALL")[-1].startswith(b"OK ")


def copies(world: ImapWorld) -> None:
    """All messages, copied and thrown away."""
    with world.connect() as wire:
        wire.say(b"SELECT Junk")
        wire.say(b"CREATE copies")
        assert wire.say(b"COPY 1:* copies")[-1].startswith(b"OK ")
        wire.say(b"SELECT copies")
        assert wire.say(b"STORE 1:* +FLAGS.SILENT (\\Deleted)")[-1].startswith(b"OK ")
        assert len(wire.say(b"EXPUNGE")) == 2_001
        wire.say(b"UNSELECT")
        assert wire.say(b"DELETE copies")[-1].startswith(b"OK ")


def strange_messages(world: ImapWorld) -> None:
    """Contents that are no messages, each with a few megabytes of it; all is asked of them."""
    with world.connect() as wire:
        wire.say(b"CREATE strange")
        for make in MESSAGES.values():
            content = make()
            wire.send(b"a APPEND strange ~{%d+}\r\n%b\r\n" % (len(content), content))
            assert next(wire.answers(b"a")).startswith((b"OK ", b"NO "))
        wire.say(b"SELECT strange")
        wire.send(b"f FETCH 1:* (ENVELOPE BODYSTRUCTURE PREVIEW BODY.PEEK[HEADER.FIELDS (TO)])\r\n")
        assert list(wire.answers(b"f"))[-1].startswith(b"OK ")
        wire.send(b"s SEARCH TEXT nowhere\r\n")
        assert list(wire.answers(b"s"))[-1].startswith(b"OK ")


ABUSES = (
    strange_messages,
    never_reads,
    pipelines,
    long_lines,
    literals,
    bomb,
    half_open,
    fetches_all,
    searches_texts,
    copies,
)


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda abuse: abuse.__name__)
def test_others_go_on(world: ImapWorld, abuse: Callable[[ImapWorld], None]) -> None:
    """Whatever one does, others are answered meanwhile, and the process does not grow by what was sent."""
    before = world.resident()
    with Bystander(world) as bystander:
        abuse(world)
    grown = world.resident() - before
    print(
        f"{abuse.__name__}: {bystander.worst_s * 1000:.0f} ms, {bystander.rounds} rounds, {grown / MIB:.1f} MiB"
    )
    assert bystander.rounds
    assert bystander.worst_s < PROMPT_S
    assert grown < GROWTH


def test_guessing(tmp_path: Path) -> None:
    """Many guesses side by side: who is logged in goes on, and the address is locked out before long."""
    world = ImapWorld(tmp_path)
    world.daemon.start()
    try:
        before, login = world.resident(), ALICE.encode()
        with Bystander(world) as bystander:
            wires = [world.connect(log_in=False) for _ in range(15)]
            for number, wire in enumerate(wires):
                # Counted are guesses: the same again is none.
                wire.send(b"".join(b'g LOGIN %b "%d-%d"\r\n' % (login, number, guess) for guess in range(15)))
            for wire in wires:
                assert wire.line().startswith(b"g NO [")
                wire.close()
        assert bystander.rounds
        assert bystander.worst_s < PROMPT_S
        assert world.resident() - before < GROWTH
        with world.connect(log_in=False) as wire:
            right = f'LOGIN {ALICE} "{PASSWORD}"'.encode()
            assert wire.say(right)[-1].startswith(b"NO [UNAVAILABLE] ")
    finally:
        world.close()
