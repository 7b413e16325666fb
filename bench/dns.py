"""A DNS server for which every domain exists, with a mail exchanger of its own on loopback.

Why: ten thousand domains are ten thousand sites only when DNS names different hosts for each.
Standards: RFC 1035 4.1 (message format), as far as the questions of a mail server go.
Invariants: a question for MX is answered by the host "mx" below the name, one for A by 127.0.0.1, any other
with no data. What is not a question is not answered.
"""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType
from typing import Final, Self

MAX_OCTETS: Final = 4096
HEADER: Final = struct.Struct("!6H")
RECORD: Final = struct.Struct("!3HIH")
A: Final = 1
MX: Final = 15
INTERNET: Final = 1
TTL_S: Final = 300
QUESTION_NAME: Final = 0xC00C
"""A pointer to the name that was asked for."""
QUERY, RECURSION = 0x8000, 0x0100
ANSWERED: Final = 0x8080
"""Flags: a response, and recursion is available."""


class EveryDomain:
    """Answers on a UDP port of loopback between enter and exit, in a thread of its own."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.asked = 0
        """Questions answered so far."""
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # An empty datagram ends the thread: closing a socket does not wake who reads from it.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(MAX_OCTETS)
            if not question:
                return
            response = answer(question)
            if response:
                self.asked += 1
                self._socket.sendto(response, client)


def answer(question: bytes) -> bytes:
    """Return the response to *question*, b"" for what is none. Spec: RFC 1035 4.1"""
    if len(question) < HEADER.size:
        return b""
    number, flags, questions, *_ = HEADER.unpack_from(question)
    end = _name_end(question)
    if flags & QUERY or questions != 1 or end + 4 > len(question):
        return b""
    kind = int.from_bytes(question[end : end + 2], "big")
    data = b""
    if kind == MX:
        data = struct.pack("!H", 10) + b"\x02mx" + struct.pack("!H", QUESTION_NAME)
    elif kind == A:
        data = bytes((127, 0, 0, 1))
    record = RECORD.pack(QUESTION_NAME, kind, INTERNET, TTL_S, len(data)) + data if data else b""
    head = HEADER.pack(number, ANSWERED | flags & RECURSION, 1, bool(record), 0, 0)
    return head + question[HEADER.size : end + 4] + record


def _name_end(question: bytes) -> int:
    """Return where the name asked for ends, or the end of the message when it does not."""
    position = HEADER.size
    while position < len(question):
        length = question[position]
        position += 1 + length
        if not length:
            return position
    return len(question)
