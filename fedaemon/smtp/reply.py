"""SMTP replies: their wire form, and the one place where errors become replies.

Texts come from many places (policy, the store, remote servers' words), so this is where a line end or a
control character in one of them is kept from becoming a second reply.

Standards: RFC 5321 4.2 and 4.5.3.1.5 (form, 512 octets), RFC 2034 4 (status code on every line), RFC 3463,
RFC 6531 3.7.4.2 (UTF-8 only where the client asked for SMTPUTF8).
Invariants: the wire form is one reply: printable lines of at most 512 octets, each ended by CR LF.
Limits: ``MAX_LINE`` octets in a line.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedaemon.errors import MailError

MAX_LINE = 512
"""Octets of a reply line with its CR LF (RFC 5321 4.5.3.1.5)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a command.

    :param code: three digits, 200..599.
    :param status: RFC 3463 enhanced status code whose class is the code's first digit, or "" for the replies
        that have none (greeting, EHLO, 3yz).
    :param text: what a person reads; several lines as a tuple. Control characters become spaces.
    """

    code: int
    status: str
    text: str | tuple[str, ...]

    def to_bytes(self, utf8: bool = False) -> bytes:
        """Write the reply as it goes on the wire, in several lines when the text needs them.

        :param utf8: the client said SMTPUTF8; otherwise characters outside ASCII are written as "?".
        """
        text = self.text
        if type(text) is str and len(text) < 480 and text.isascii() and text.isprintable():
            if self.status:
                return f"{self.code} {self.status} {text}\r\n".encode("ascii")
            return f"{self.code} {text}\r\n".encode("ascii")
        return self._write_lines((text,) if isinstance(text, str) else text, utf8)

    def _write_lines(self, texts: tuple[str, ...], utf8: bool) -> bytes:
        status = f"{self.status} ".encode("ascii") if self.status else b""
        room = MAX_LINE - 2 - 4 - len(status)
        lines = [line for text in texts for line in _wrap(_printable(text, utf8), room)] or [b""]
        code = b"%d" % self.code
        wire = [code + b"-" + status + line + b"\r\n" for line in lines[:-1]]
        wire.append(code + b" " + status + lines[-1] + b"\r\n")
        return b"".join(wire)


def reply_to(error: BaseException) -> Reply:
    """Return the reply that *error* means to a client; anything but a ``MailError`` is a fault of ours: 451.

    Spec: RFC 5321 4.2, RFC 3463
    """
    if isinstance(error, MailError):
        return Reply(error.code, error.status, error.text)
    return Reply(451, "4.3.0", "Internal error, nothing was changed; please try again later")


def _printable(text: str, utf8: bool) -> bytes:
    """Return *text* without anything that a terminal or a parser could take for more than text."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    return clean.encode("utf-8") if utf8 else clean.encode("ascii", "replace")


def _wrap(line: bytes, room: int) -> list[bytes]:
    """Cut *line* into pieces of at most *room* octets, at spaces where it has some, never in a character."""
    pieces = []
    while len(line) > room:
        cut = line.rfind(b" ", 1, room + 1)
        if cut <= 0:
            cut = room
            while line[cut] & 0xC0 == 0x80:
                cut -= 1
        pieces.append(line[:cut])
        line = line[cut:].lstrip(b" ")
    pieces.append(line)
    return pieces
