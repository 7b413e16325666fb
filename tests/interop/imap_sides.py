"""Two servers that are asked the same: fedaemon's engine without sockets, and what an ``ImapClient`` talks to."""

from __future__ import annotations

import io
from typing import Protocol

from tests.imap.lab import Client, Lab
from tests.lab.imap_client import Answer, Literal
from tests.lab.imap_tokens import ImapError, Response, read_response


class Side(Protocol):
    """What can be asked."""

    def command(self, *pieces: bytes | Literal) -> Answer:
        """Send a command and return its answer, whether it worked or not."""


class EngineSide:
    """A session on an engine, whose answers are read as strictly as those of a server on the wire."""

    def __init__(self, lab: Lab) -> None:
        self._client: Client = lab.client()
        self._count = 0

    def command(self, *pieces: bytes | Literal) -> Answer:
        """As ``Side.command``."""
        self._count += 1
        tag = f"t{self._count}"
        waiting, untagged = tag.encode() + b" ", list[Response]()
        for piece in pieces:
            if isinstance(piece, bytes):
                waiting += piece
                continue
            *before, last = self._said(waiting + b"{%d}\r\n" % len(piece.octets))
            if last.tag != "+":
                raise ImapError(f"the literal is not taken: {last}")
            untagged += before
            waiting = piece.octets
        *before, last = self._said(waiting + b"\r\n")
        if last.tag != tag:
            raise ImapError(f"expected {tag}, got {last}")
        return Answer(last, (*untagged, *before))

    def _said(self, octets: bytes) -> list[Response]:
        said = self._client.raw(octets)
        stream = io.BytesIO(said)
        responses: list[Response] = []
        while stream.tell() < len(said):
            responses.append(read_response(stream))
        return responses


def ok(side: Side, *pieces: bytes | Literal) -> Answer:
    """Return the answer of a command that works."""
    answer = side.command(*pieces)
    assert answer.status.name == "OK", (pieces, answer.status)
    return answer
