"""Submission load: STARTTLS, AUTH PLAIN and messages, as many sessions at once as wanted.

Why: smtp-source has no TLS. Each session is a process of its own with a blocking socket, because that costs
the least CPU per message that Python can do: no event loop, no lock shared between sessions. Commands are
not pipelined, as with smtp-source and most client libraries.
Invariants: every connection makes a full TLS 1.3 handshake (no session is ever offered for resumption;
checked), with key exchange X25519. The certificate is not verified, so that the load stays light.
Limits: about MAX_SESSIONS processes.
Standards: RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 5321.
"""

from __future__ import annotations

import argparse
import base64
import gc
import json
import os
import signal
import socket
import ssl
import sys
import time
from dataclasses import asdict, dataclass
from email.utils import formatdate

MAX_SESSIONS = 500
TIMEOUT_S = 60  # for one message, connection included
_LINE = b"The quick brown fox jumps over the lazy dog, and so on until the line is full.\r\n"


class LoadError(Exception):
    """The server did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to send, to whom, and how.

    ``size_octets`` is the length of the message's body; ``keep_alive`` sends all messages of a session over
    one connection instead of one connection each.
    """

    port: int
    sessions: int
    messages: int
    size_octets: int
    keep_alive: bool
    account: str
    password: str
    sender: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Result:
    """What it took: wall-clock time, our own CPU time, and the TLS parameters that were agreed."""

    messages: int
    elapsed_s: float
    cpu_s: float
    tls: str


class Session:
    """One connection, from the greeting to QUIT."""

    def __init__(self, load: Load, context: ssl.SSLContext) -> None:
        self._load = load
        # Blocking without a timeout spares a poll per read; the process's alarm ends what hangs.
        plain = socket.socket()
        plain.connect(("127.0.0.1", load.port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket: socket.socket = plain
        self._expect(b"220")
        self._command(b"EHLO client.bench.test", b"250")
        self._command(b"STARTTLS", b"220")
        tls = context.wrap_socket(plain)
        if tls.session_reused:
            raise LoadError("the TLS session was resumed; only full handshakes count")
        self._socket = tls
        self._command(b"EHLO client.bench.test", b"250")
        credentials = base64.b64encode(f"\0{load.account}\0{load.password}".encode())
        self._command(b"AUTH PLAIN " + credentials, b"235")

    def send(self, content: bytes) -> None:
        """Hand over one message; returns when the server has taken charge of it."""
        self._command(b"MAIL FROM:<" + self._load.sender.encode() + b">", b"250")
        self._command(b"RCPT TO:<" + self._load.recipient.encode() + b">", b"250")
        self._command(b"DATA", b"354")
        self._socket.sendall(content + b".\r\n")
        self._expect(b"250")

    def quit(self) -> None:
        """Leave properly."""
        self._command(b"QUIT", b"221")
        self._socket.close()

    def tls(self) -> str:
        """Protocol version and cipher in use."""
        assert isinstance(self._socket, ssl.SSLSocket)
        cipher = self._socket.cipher()
        return f"{self._socket.version()} {cipher[0] if cipher else '?'}"

    def _command(self, line: bytes, code: bytes) -> None:
        self._socket.sendall(line + b"\r\n")
        self._expect(code)

    def _expect(self, code: bytes) -> None:
        reply = self._socket.recv(4096)
        # A reply is complete when its last line has a blank after the code.
        while not (reply.endswith(b"\r\n") and reply[reply.rfind(b"\n", 0, -1) + 4 :][:1] == b" "):
            more = self._socket.recv(4096)
            if not more:
                raise LoadError(f"connection closed after {reply!r}")
            reply += more
        if not reply.startswith(code):
            raise LoadError(f"expected {code.decode()}, got {reply!r}")


def run_load(load: Load) -> Result:
    """Send all messages.

    :raises LoadError: when any session failed (its reason is on stderr).
    :raises OSError: when the first connection fails.
    """
    context = _tls_context()
    # One session before all others finds a wrong setting, and fills OpenSSL's caches once for all.
    first = Session(load, context)
    tls = first.tls()
    first.quit()
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page that it shares with us
    tokens, feed = os.pipe()
    pids: list[int] = []
    try:
        for number in range(load.sessions):
            pid = os.fork()
            if pid == 0:
                os.close(feed)
                _session_process(load, context, number, tokens)
            pids.append(pid)
        os.close(tokens)
        began = time.monotonic()
        _feed_tokens(feed, load.messages)
        cpu_s, failed = _wait_for(pids)
        elapsed_s = time.monotonic() - began
    except BaseException:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise
    if failed:
        raise LoadError(f"{failed} of {load.sessions} sessions failed")
    return Result(load.messages, elapsed_s, cpu_s, tls)


def _feed_tokens(feed: int, messages: int) -> None:
    """One octet in the pipe is the right to send one message; its end is the end of the work."""
    left = messages
    try:
        while left:
            left -= os.write(feed, b"x" * min(left, 4096))
    except BrokenPipeError:
        pass  # every session has failed, as their exit codes tell
    os.close(feed)


def _wait_for(pids: list[int]) -> tuple[float, int]:
    """CPU time of all sessions, and how many failed; the list is empty afterwards."""
    cpu_s = 0.0
    failed = 0
    while pids:
        _, status, usage = os.wait4(pids[-1], 0)
        pids.pop()
        cpu_s += usage.ru_utime + usage.ru_stime
        failed += status != 0
    return cpu_s, failed


def _session_process(load: Load, context: ssl.SSLContext, number: int, tokens: int) -> None:
    """Send while there are tokens, then end the process."""
    try:
        _send_all(load, context, number, tokens)
    except (LoadError, OSError) as error:
        print(f"session {number}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def _send_all(load: Load, context: ssl.SSLContext, number: int, tokens: int) -> None:
    body = (_LINE * (load.size_octets // len(_LINE) + 1))[: load.size_octets - 2] + b"\r\n"
    session: Session | None = None
    count = 0
    while os.read(tokens, 1):
        signal.alarm(TIMEOUT_S)
        count += 1
        if session is None:
            session = Session(load, context)
        session.send(_header(load, number, count) + body)
        if not load.keep_alive:
            session.quit()
            session = None
    if session is not None:
        session.quit()


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_ecdh_curve("X25519")
    return context


def _header(load: Load, number: int, count: int) -> bytes:
    """A header that needs no repair, with a Message-ID of its own so that nothing counts as sent twice."""
    return (
        f"From: {load.sender}\r\nTo: {load.recipient}\r\nSubject: load\r\nDate: {formatdate()}\r\n"
        f"Message-ID: <{os.getpid()}.{time.time_ns()}.{number}.{count}@client.bench.test>\r\n\r\n"
    ).encode()


def main() -> int:
    """Command line; prints the result as JSON."""
    parser = argparse.ArgumentParser(
        description="Submission load on a loopback port: STARTTLS and AUTH PLAIN."
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--sessions", type=int, default=10, help=f"at once, at most {MAX_SESSIONS}")
    parser.add_argument("--messages", type=int, default=1000, help="in all sessions together")
    parser.add_argument("--size", type=int, default=5000, help="octets of each body")
    parser.add_argument(
        "--keep-alive", action="store_true", help="one connection per session, not per message"
    )
    parser.add_argument("--account", required=True, help="login name")
    parser.add_argument("--password", default=os.environ.get("BENCH_PASSWORD", ""), help="or $BENCH_PASSWORD")
    parser.add_argument("--sender", help="default: the account")
    parser.add_argument("--recipient", default="someone@remote.test")
    options = parser.parse_args()
    if not 1 <= options.sessions <= MAX_SESSIONS or options.size < 2 or options.messages < 1:
        parser.error(f"sessions 1..{MAX_SESSIONS}, messages from 1, size from 2")
    load = Load(
        port=options.port,
        sessions=min(options.sessions, options.messages),
        messages=options.messages,
        size_octets=options.size,
        keep_alive=options.keep_alive,
        account=options.account,
        password=options.password,
        sender=options.sender or options.account,
        recipient=options.recipient,
    )
    try:
        result = run_load(load)
    except (LoadError, OSError) as error:
        print(f"submit_load: {error}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
