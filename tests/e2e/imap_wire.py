"""Connections to the IMAP listeners of a real fedaemon, and what its process costs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from tests.daemon import PATIENCE_S, client_context, free_port
from tests.e2e.peers import ALICE, PASSWORD, World
from tests.imap.crowd_talk import MAIL, Kind, Talk
from tests.imap.strict_client import Truth

MIB = 1 << 20
LARGE = b"Subject: l\r\n\r\n" + (b"y" * 98 + b"\r\n") * (20 * MIB // 100)
PROMPT_S = 0.1
"""What the reactor may do for others before it answers; it does not count how busy the machine is."""


class ImapWorld(World):
    """A fedaemon with IMAP on two ports: ``imaps`` under TLS from the beginning, ``imap`` with STARTTLS."""

    def __init__(self, directory: Path, extra: str = "") -> None:
        imaps, imap = free_port(), free_port()
        listeners = "".join(
            f'[[listener]]\nservice = "imap"\naddress = "127.0.0.1"\nport = {port}\ntls = "{tls}"\n'
            for port, tls in ((imaps, "implicit"), (imap, "starttls"))
        )
        super().__init__(directory, extra=listeners + extra)
        self.ports |= {"imaps": imaps, "imap": imap}

    def connect(self, *, log_in: bool = True) -> Wire:
        """Return a connection under TLS."""
        plain = socket.create_connection(("127.0.0.1", self.ports["imaps"]), PATIENCE_S)
        wire = Wire(client_context(self.ca_file).wrap_socket(plain, server_hostname="localhost"))
        assert wire.line().startswith(b"* OK ")
        if log_in:
            assert wire.say(f'LOGIN {ALICE} "{PASSWORD}"'.encode())[-1].startswith(b"OK ")
        return wire

    def resident(self) -> int:
        """Return how many octets of memory the daemon's process has."""
        assert self.daemon.process is not None
        status = Path(f"/proc/{self.daemon.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def worked_s(self) -> float:
        """Return how many seconds the reactor's thread has computed."""
        assert self.daemon.process is not None
        number = self.daemon.process.pid
        return int(Path(f"/proc/{number}/task/{number}/schedstat").read_text().split()[0]) / 1e9


class Wire:
    """A client's end: lines of what the server says, with the literals that are in them."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file = connection.makefile("rb")
        self._said = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up without a word."""
        self._file.close()
        self.socket.close()

    def line(self) -> bytes:
        """Return the next answer without its CR LF; empty at the end of the connection."""
        line = self._file.readline()
        while line.endswith(b"}\r\n") and line[line.rindex(b"{") + 1 : -3].isdigit():
            line += self._file.read(int(line[line.rindex(b"{") + 1 : -3])) + self._file.readline()
        return line.removesuffix(b"\r\n")

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self.socket.sendall(octets)

    def answers(self, tag: bytes) -> Iterator[bytes]:
        """Yield the answers up to the tagged one, that one without its tag."""
        while line := self.line():
            if line.startswith(tag + b" "):
                yield line[len(tag) + 1 :]
                return
            yield line
        raise AssertionError("the connection has ended")

    def say(self, command: bytes) -> list[bytes]:
        """Send a command without its tag; return the answers."""
        self._said += 1
        tag = b"w%d" % self._said
        self.send(tag + b" " + command + b"\r\n")
        return list(self.answers(tag))


class WireTalk(Talk):
    """A random session on a connection: one command after the other."""

    def __init__(self, world: ImapWorld, kind: Kind, random: Random) -> None:
        super().__init__(kind, random)
        self.wire = world.connect()
        self._changes = count()
        if kind.enable:
            assert self.wire.say(b"ENABLE " + kind.enable.encode())[-1].startswith(b"OK ")
        if kind.notify:
            assert self.wire.say(b"NOTIFY SET " + kind.notify.encode())[-1].startswith(b"OK ")

    def transmit(self, octets: bytes) -> None:
        """See ``Talk``."""
        self.wire.send(octets)

    def changes(self) -> int:
        """See ``Talk``: what others do meanwhile is not known."""
        return next(self._changes)

    def truth(self) -> Truth:
        """See ``Talk``: never asked, since everything may have changed."""
        raise NotImplementedError

    def finish(self) -> None:
        """Read until the command that is under way is answered, IDLE by ending it."""
        try:
            while self.ends is not None:
                self.hear(self.wire.line())
                if self.idling:
                    self.idle()
        except AssertionError as error:
            said = "\n".join(map(repr, self.history))
            raise AssertionError(f"{error!r}: {self.kind} in {self.mailbox}:\n{said}") from error


@contextmanager
def running(directory: Path) -> Iterator[ImapWorld]:
    """A fedaemon with a mailbox of 2,000 messages (Junk), and a large one in Drafts."""
    world = ImapWorld(directory)
    try:
        world.daemon.start()
        with world.connect() as wire:
            for _ in range(20):
                wire.send(b"a APPEND Junk" + b" {%d+}\r\n%b" % (len(MAIL), MAIL) * 100 + b"\r\n")
            for _ in range(20):
                assert list(wire.answers(b"a"))[-1].startswith(b"OK ")
            assert wire.say(b"APPEND Drafts {%d+}\r\n%b" % (len(LARGE), LARGE))[-1].startswith(b"OK ")
        yield world
    finally:
        world.close()
