"""A client's end of an IMAP connection in the crash suite, and the commands and answers that it knows."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from tests.crash.imap_ledger import Message
from tests.crash.load import LINE
from tests.daemon import PATIENCE_S, client_context
from tests.e2e.imap_wire import ImapWorld
from tests.e2e.peers import ALICE, PASSWORD

APPENDUID: Final = re.compile(rb"OK \[APPENDUID (\d+) (\d+)(?::(\d+))?\]").match
COPYUID: Final = re.compile(rb"\* OK \[COPYUID (\d+) ([\d:,]+) ([\d:,]+)\]").match
MODSEQ: Final = re.compile(rb"\* (?:\d+ FETCH .*\bMODSEQ \((\d+)\)|OK \[HIGHESTMODSEQ (\d+)\])").match
UID: Final = re.compile(rb"\bUID (\d+)").search


def content_of(mark: int) -> bytes:
    """Return a message: some are files of their own, some are spooled in one."""
    lines = 16_000 if mark % 400 == 7 else 2_000 if mark % 40 == 7 else 3
    head = f"From: {ALICE}\r\nSubject: load\r\nX-Mark: {mark}\r\n\r\nword{mark}x\r\n"
    return head.encode() + LINE * lines


class Session:
    """An IMAP connection; raises ConnectionError when the server is gone."""

    def __init__(self, world: ImapWorld) -> None:
        plain = socket.create_connection(("127.0.0.1", world.ports["imaps"]), PATIENCE_S)
        self._socket = client_context(world.ca_file).wrap_socket(plain, server_hostname="localhost")
        self._file = self._socket.makefile("rb")
        self._said = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._file.close()
        self._socket.close()

    def log_in(self) -> None:
        """Take the greeting and log in."""
        assert self.line().startswith(b"* OK ")
        self.say(f'LOGIN {ALICE} "{PASSWORD}"'.encode())

    def line(self) -> bytes:
        """Return the next answer. What was cut off by the death of the server was not said."""
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError
        return line[:-2]

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self._socket.sendall(octets)

    def tag(self) -> bytes:
        """Return a new tag."""
        self._said += 1
        return b"c%d" % self._said

    def answers(self, tag: bytes) -> Iterator[bytes]:
        """Yield the answers up to the tagged one, that one without its tag; it has to be OK."""
        while not (line := self.line()).startswith(tag + b" "):
            yield line
        line = line[len(tag) + 1 :]
        assert line.startswith(b"OK "), line
        yield line

    def say(self, command: bytes) -> list[bytes]:
        """Send a command without its tag; return the answers."""
        tag = self.tag()
        self.send(tag + b" " + command + b"\r\n")
        return list(self.answers(tag))


def append(tag: bytes, messages: list[Message]) -> bytes:
    contents = [argument(message, b"+") + content_of(message.mark) for message in messages]
    return tag + b" APPEND INBOX" + b"".join(contents) + b"\r\n"


def argument(message: Message, plus: bytes) -> bytes:
    """Return the flags of a new message and the beginning of its literal."""
    flags = " ".join(flag for flag, values in message.flags.items() if values == {True})
    return b" (%b) {%d%b}\r\n" % (flags.encode(), len(content_of(message.mark)), plus)


def uid_set(uids: Iterator[int]) -> str:
    return ",".join(map(str, uids))


def uids_of(text: bytes) -> Sequence[int]:
    """Return the UIDs of a set, in its order."""
    found: list[int] = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found
