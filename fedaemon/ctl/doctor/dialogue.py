"""Lines to and from a server, blocking, and no longer than a given time.

Standards: RFC 5321 4.2 (replies), the PROXY protocol (version 1).
Invariants: a server that says too much or is too slow raises ``Broken``.
Limits: MAX_LINE octets of a line, MAX_LINES of an answer, and the time given for the whole conversation.
"""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from fedaemon.ctl.doctor.case import CONNECT_S, Connect

MAX_LINE: Final = 8192
MAX_LINES: Final = 200
UNKNOWN_CLIENT: Final = b"PROXY UNKNOWN\r\n"
"""The PROXY header of a balancer that speaks for itself."""


class Broken(Exception):
    """The conversation cannot go on; the text says why."""


class NoTls(Broken):
    """The server offers no TLS, or TLS does not come about. *certificate*: its certificate is why."""

    def __init__(self, text: str, *, certificate: bool = False) -> None:
        super().__init__(text)
        self.certificate = certificate


def any_certificate() -> ssl.SSLContext:
    """Return TLS that takes any certificate: it is looked at elsewhere."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def trusted_certificate(ca_file: Path | None) -> ssl.SSLContext:
    """Return TLS that turns a server away unless its certificate is good."""
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


class Conversation:
    """Lines to and from a server, until the time is up.

    :param connect: opens the connection, from *source* when that is given.
    :param proxied: begin with the header that a load balancer writes.
    :raises OSError: there is no connection.
    """

    def __init__(
        self,
        connect: Connect,
        address: str,
        port: int,
        timeout_s: float = CONNECT_S,
        *,
        proxied: bool = False,
        source: str | None = None,
    ) -> None:
        self._end = time.monotonic() + timeout_s
        began = time.monotonic()
        self._socket = connect((address, port), timeout_s, None if source is None else (source, 0))
        self.connected_s = time.monotonic() - began
        self._buffer = b""
        self.certificate = b""
        self.tls = ""
        if proxied:
            self._socket.sendall(UNKNOWN_CLIENT)

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def start_tls(self, name: str, context: ssl.SSLContext) -> None:
        """Begin TLS with a server called *name*; raises NoTls."""
        if self._buffer:
            raise NoTls("sends more before TLS than it was asked")
        try:
            self._wait()
            secure = context.wrap_socket(self._socket, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            raise NoTls(error.verify_message, certificate=True) from None
        except (OSError, ValueError) as error:
            raise NoTls(reason(error)) from None
        self._socket = secure
        self.certificate = secure.getpeercert(binary_form=True) or b""
        self.tls = secure.version() or ""

    def line(self) -> str:
        """Return the next line."""
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_LINE:
                raise Broken("sends a line without end")
            octets = self._more()
            if not octets:
                raise Broken("closes the connection")
            self._buffer += octets
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def rest(self, limit: int) -> str:
        """Return all that comes until the server closes the connection."""
        while len(self._buffer) <= limit:
            octets = self._more()
            if not octets:
                return self._buffer.decode("utf-8", "replace")
            self._buffer += octets
        raise Broken(f"sends more than {limit} octets")

    def _more(self) -> bytes:
        self._wait()
        try:
            return self._socket.recv(4096)
        except OSError as error:
            raise Broken(reason(error)) from None

    def say(self, text: str) -> None:
        """Send a line."""
        try:
            self._wait()
            self._socket.sendall(f"{text}\r\n".encode())
        except OSError as error:
            raise Broken(reason(error)) from None

    def smtp(self, command: str = "") -> tuple[int, list[str]]:
        """Send an SMTP command, if any; return code and lines of the reply. Spec: RFC 5321 4.2"""
        if command:
            self.say(command)
        lines: list[str] = []
        while len(lines) < MAX_LINES:
            line = self.line()
            if not line[:3].isdigit() or line[3:4] not in ("", " ", "-"):
                raise Broken(f"does not speak SMTP: it says {line[:80]!a}")
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), lines
        raise Broken("sends a reply without end")

    def _wait(self) -> None:
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise Broken("does not answer in time")
        self._socket.settimeout(left_s)


def reason(error: Exception) -> str:
    """Say in words why a connection failed."""
    if isinstance(error, TimeoutError):
        return "does not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "refuses the connection"
    if isinstance(error, ssl.SSLError):
        return f"TLS does not come about ({error.reason or error})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return str(error) or type(error).__name__
