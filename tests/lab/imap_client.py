"""A small strict IMAP client for tests: it sends commands as they are told and reads answers token by token.

Why: tests of a server must send what no library would, and see every response, in its order.
Standards: RFC 9051 (IMAP4rev2), RFC 3501 (IMAP4rev1), RFC 7888 (literals that follow at once).
Invariants: after an error the connection is not used any further.
Limits: one command at a time; what comes unasked is collected by the command during which it came.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Final, Self

from tests.lab.imap_tokens import ImapError, Response, Token, pairs, read_response

PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Literal:
    """An argument that is sent as a literal.

    :ivar waits: whether the server is to ask for it; else it follows at once (RFC 7888), if that is offered.
    """

    octets: bytes
    waits: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command brought: its tagged response, and the untagged ones before it, in their order."""

    status: Response
    untagged: tuple[Response, ...]

    def named(self, name: str) -> list[Response]:
        """Return the untagged responses of that *name*."""
        return [response for response in self.untagged if response.name == name]

    def fetched(self) -> dict[int, dict[str, Token]]:
        """Return what FETCH responses tell, by message number and item; later ones add to earlier ones."""
        messages: dict[int, dict[str, Token]] = {}
        for response in self.named("FETCH"):
            if response.number is None or len(response.tokens) != 1:
                raise ImapError(f"not a FETCH response: {response}")
            messages.setdefault(response.number, {}).update(pairs(response.tokens[0]))
        return messages


class ImapClient:
    """A connection to a server on loopback.

    :param context: for TLS from the first octet; None begins in clear.
    :ivar greeting: what the server said first.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None = None, host: str = "localhost") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        if context is not None:
            self._socket = context.wrap_socket(self._socket, server_hostname=host)
        self._stream: BinaryIO = self._socket.makefile("rb")
        self._count = 0
        self.greeting = self.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection without a word."""
        self._stream.close()
        self._socket.close()

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self._socket.sendall(octets)

    def read(self) -> Response:
        """Read the next response, whatever it is.

        :raises ImapError: when it breaks the grammar.
        """
        return read_response(self._stream)

    def wait_for(self, name: str) -> Response:
        """Read untagged responses up to one of that *name*, and return that (what IDLE is for)."""
        while True:
            response = self.read()
            if response.tag != "*":
                raise ImapError(f"no untagged {name} before {response}")
            if response.name == name:
                return response

    def begin(self, *pieces: bytes | Literal) -> tuple[str, tuple[Response, ...]]:
        """Send a command; return its tag, and what came while the server was asked to take its literals.

        :param pieces: the command without tag and CRLF; its octets go out as they are.
        :raises ImapError: when the server does not take a literal.
        """
        self._count += 1
        tag = f"t{self._count}"
        untagged: list[Response] = []
        waiting = tag.encode() + b" "
        for piece in pieces:
            if isinstance(piece, bytes):
                waiting += piece
                continue
            waiting += b"{%d%b}\r\n" % (len(piece.octets), b"" if piece.waits else b"+")
            if piece.waits:
                self.send(waiting)
                untagged += self.until("+").untagged
                waiting = b""
            waiting += piece.octets
        self.send(waiting + b"\r\n")
        return tag, tuple(untagged)

    def until(self, tag: str) -> Answer:
        """Read up to the response with that *tag*.

        :raises ImapError: when another tag comes first.
        """
        untagged: list[Response] = []
        while (response := self.read()).tag == "*":
            untagged.append(response)
        if response.tag != tag:
            raise ImapError(f"expected {tag}, got {response}")
        return Answer(response, tuple(untagged))

    def command(self, *pieces: bytes | Literal) -> Answer:
        """Send a command and return its answer, whether it worked or not."""
        tag, before = self.begin(*pieces)
        answer = self.until(tag)
        return Answer(answer.status, (*before, *answer.untagged))

    def ok(self, *pieces: bytes | Literal) -> Answer:
        """Send a command that is expected to work.

        :raises ImapError: when it is refused.
        """
        answer = self.command(*pieces)
        if answer.status.name != "OK":
            raise ImapError(f"{pieces!r:.200} was answered with {answer.status}")
        return answer

    def starttls(self, context: ssl.SSLContext, host: str = "localhost") -> None:
        """Go on with TLS (RFC 9051 6.2.1)."""
        self.ok(b"STARTTLS")
        self._stream.close()
        self._socket = context.wrap_socket(self._socket, server_hostname=host)
        self._stream = self._socket.makefile("rb")

    def append(self, mailbox: bytes, message: bytes, flags: Sequence[bytes] = ()) -> Answer:
        """Append one message; its name is sent as it stands (RFC 9051 6.3.12)."""
        return self.ok(b"APPEND %b (%b) " % (mailbox, b" ".join(flags)), Literal(message))
