"""A real fedaemon in a directory of its own, for end-to-end, interop and crash tests.

Everything is on loopback: the daemon's ports, the DNS server it asks, and the servers it delivers to.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
TWISTD = [sys.executable, str(BIN / "twistd")]
CTL = [sys.executable, "-m", "fedaemon.ctl.main"]
PATIENCE_S = 30.0
"""How long a condition may take on a busy machine before the test fails."""


def _ports() -> Iterator[int]:
    """Yield ports, none twice, below those that the system gives to outgoing connections.

    Each worker of pytest-xdist has five thousand of its own, and begins somewhere among them.
    """
    worker = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or 0)
    first, count = 12_000 + worker % 4 * 5_000, 5_000
    begin = os.getpid() * 37
    for number in itertools.count(begin):
        yield first + number % count


_next_port = _ports()


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port on which nobody listens at *address*, and that was given to nobody before."""
    for port in _next_port:
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise AssertionError


def wait_until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Return the first true value of *condition*, asked again and again; fail naming *what* was awaited."""
    end = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience_s:.0f} s in vain for {what}")
        time.sleep(0.02)


class Daemon:
    """One fedaemon: its settings, its process, and the command line beside it."""

    def __init__(self, directory: Path, settings: str) -> None:
        self.directory = directory
        self.config = directory / "fedaemon.toml"
        self.config.write_text(settings)
        self.log = directory / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = dict(os.environ)
        self.twistd_options: tuple[str, ...] = ()

    def start(self) -> None:
        """Start the daemon and return when systemd would call it ready."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            address = self.directory / "notify"
            address.unlink(missing_ok=True)
            ready.bind(str(address))
            ready.settimeout(0.2)
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [
                        *TWISTD,
                        "-n",
                        "--pidfile=",
                        *self.twistd_options,
                        "fedaemon",
                        "--config",
                        str(self.config),
                    ],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env={**self.environment, "NOTIFY_SOCKET": str(address)},
                    cwd=self.directory,
                )
            end = time.monotonic() + PATIENCE_S
            while time.monotonic() < end:
                if self.process.poll() is not None:
                    raise AssertionError(f"the daemon ended at once:\n{self.log.read_text()}")
                try:
                    if b"READY=1" in ready.recv(4096):
                        return
                except TimeoutError:
                    continue
            raise AssertionError(f"the daemon did not get ready:\n{self.log.read_text()}")

    def kill(self) -> None:
        """End the daemon as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """End the daemon in order and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def hang_up(self) -> None:
        """Tell the daemon to read its settings again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def ctl(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """Run fedaemonctl and return what it printed; fail unless it ends with *code*."""
        done = subprocess.run(
            [*CTL, "-c", str(self.config), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 2,
            cwd=self.directory,
            check=False,
        )
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stdout + done.stderr

    def ctl_json(self, *arguments: str) -> Any:
        """Run fedaemonctl with --json and return what it printed."""
        return json.loads(self.ctl(*arguments, "--json"))

    def mailbox(self, address: str) -> list[bytes]:
        """Return the messages in an account's INBOX, as they were stored, in their order."""
        target = self.directory / f"export-{address}-{time.monotonic_ns()}"
        self.ctl("mailbox", "export", address, str(target), "--mailbox", "INBOX", "--eml")
        return [path.read_bytes() for path in sorted(target.rglob("*.eml"))]


def client_context(ca_file: Path) -> ssl.SSLContext:
    """Return a TLS context that trusts *ca_file* alone and checks names."""
    return ssl.create_default_context(cafile=str(ca_file))


@contextmanager
def submission(
    port: int, ca_file: Path, login: str, password: str, *, implicit: bool = True
) -> Iterator[smtplib.SMTP]:
    """A logged-in smtplib connection to a submission port."""
    context = client_context(ca_file)
    client: smtplib.SMTP
    if implicit:
        client = smtplib.SMTP_SSL("localhost", port, context=context, timeout=PATIENCE_S)
    else:
        client = smtplib.SMTP("localhost", port, timeout=PATIENCE_S)
        client.starttls(context=context)
    with client:
        client.login(login, password)
        yield client


class DnsServer:
    """An authoritative server on loopback for the zones of a test; unknown names do not exist."""

    def __init__(self, records: dict[tuple[str, str], list[str]]) -> None:
        self.records = records
        self.broken: set[str] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rdatatype
        import dns.rrset

        while True:
            try:
                data, client = self._socket.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(data)
            question = query.question[0]
            name = question.name.to_text(omit_final_dot=True).lower()
            kind = dns.rdatatype.to_text(question.rdtype)
            response = dns.message.make_response(query)
            response.flags |= dns.flags.AA | dns.flags.RA
            if name in self.broken:
                response.set_rcode(dns.rcode.SERVFAIL)
            elif (name, kind) in self.records:
                texts = self.records[name, kind]
                response.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, texts))
            elif not any(known == name for known, _ in self.records):
                response.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(response.to_wire(), client)

    def close(self) -> None:
        """Stop answering."""
        self._socket.close()
