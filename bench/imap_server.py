"""A server that people read their mail from, under measurement: IMAP and POP3 under TLS, and a sure end.

Why: what is compared must be started, stopped and started again in the same way. TLS from the first octet is
what mail programs use, and fedaemon takes no password without it.
Invariants: after ``with`` no process of it is left and nothing of its directory. What it stores outlives ``stop``,
so that the first command after a start meets a server that remembers nothing.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from bench.server import POLL_S, START_LIMIT_S, BenchError, Processes, free_ports, run

QUIET_S: Final = 3.0
QUIET_CPU_S: Final = 0.05
QUIET_LIMIT_S: Final = 600.0
"""Servers put background work off for seconds, and while it goes on it takes more than QUIET_CPU_S of QUIET_S."""

_CONFIGURATION: Final = """\
[server]
hostname = "mail.bench.test"
data_dir = "{directory}/data"

[tls]
certificate = "{certificate}"
private_key = "{private_key}"

[[listener]]
service = "imap"
address = "127.0.0.1"
port = {port}
tls = "implicit"

[[listener]]
service = "pop3"
address = "127.0.0.1"
port = {pop3_port}
tls = "implicit"

[limits]
sessions = 0
sessions_per_address = 0
sessions_per_account = 0

"""


@cache
def tls_context() -> ssl.SSLContext:
    """Return what a client needs; certificates are not verified, so that the load stays light.

    Sessions are only resumed where a client names one, which none of ours does.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


@dataclass
class ImapServer(ABC):
    """A server with IMAP and POP3 under TLS on 127.0.0.1; running between enter and exit.

    :param directory: where it may put everything; made on enter, removed on exit; a short path.
    :param certificate: PEM chain, *private_key* its key.
    :param accounts: names that can log in with *password*.
    """

    name: ClassVar[str]

    directory: Path
    certificate: Path
    private_key: Path
    password: str
    accounts: Sequence[str] = ("alice@bench.test",)
    version: str = field(default="", init=False)
    port: int = field(default=0, init=False)
    pop3_port: int = field(default=0, init=False)
    processes: Processes = field(init=False)

    def __enter__(self) -> Self:
        """Start it.

        :raises BenchError: when something is missing, or it does not come up, with the end of its log.
        """
        try:
            self.version = self._check_installed()
            self.port, self.pop3_port = free_ports(2)
            self._configure()
            self.start()
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start the processes and return when both ports greet; also again, after ``stop``."""
        self.processes = Processes(self.name.lower())
        try:
            self.processes.spawn(self._command(), self.log, cwd=self.directory)
            for port in (self.port, self.pop3_port):
                self._wait_for_greeting(port)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the processes."""
        self.processes.stop()

    def settle(self) -> None:
        """Return when it has been nearly idle for QUIET_S: what it does in the background is not measured.

        :raises BenchError: when it never is.
        """
        deadline = time.monotonic() + QUIET_LIMIT_S
        used_s, before_s = self.processes.cpu_s(), -1.0
        while used_s - before_s > QUIET_CPU_S:
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name} is still busy after {QUIET_LIMIT_S:.0f} s without a client")
            time.sleep(QUIET_S)
            before_s, used_s = used_s, self.processes.cpu_s()

    def last_words(self) -> str:
        """Return the end of the log, for the reader of an error."""
        return f"its log ends:\n{self.log.read_text(errors='replace')[-2000:]}"

    @property
    def log(self) -> Path:
        """What the processes wrote."""
        return self.directory / "log"

    def _wait_for_greeting(self, port: int) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while not _greets(port):
            self.processes.check_alive(self.log)
            if time.monotonic() > deadline:
                raise BenchError(
                    f"no greeting on port {port} after {START_LIMIT_S:.0f} s; {self.last_words()}"
                )
            time.sleep(POLL_S)

    @abstractmethod
    def _check_installed(self) -> str:
        """Return the version; raise ``BenchError`` when it cannot be measured here."""

    @abstractmethod
    def _configure(self) -> None:
        """Make the directory and write the configuration."""

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line that runs it in the foreground."""


class Fedaemon(ImapServer):
    """A fedaemon of the installation that runs this; only limits on sessions are changed."""

    name: ClassVar[str] = "fedaemon"

    def _check_installed(self) -> str:
        program = "import twisted, platform; print(twisted.__version__, platform.python_version())"
        twisted, python = run([sys.executable, "-c", program]).split()
        return f"Twisted {twisted}, Python {python}"

    def _configure(self) -> None:
        self.directory.mkdir(parents=True)
        self._settings.write_text(
            _CONFIGURATION.format(
                directory=self.directory,
                certificate=self.certificate,
                private_key=self.private_key,
                port=self.port,
                pop3_port=self.pop3_port,
            )
        )
        for domain in sorted({account.rpartition("@")[2] for account in self.accounts}):
            self._control("domain", "add", domain)
        for account in self.accounts:
            self._control("account", "add", account, "--password-stdin", stdin=self.password + "\n")

    def _control(self, *arguments: str, stdin: str | None = None) -> None:
        run([_program("fedaemonctl"), "-c", str(self._settings), *arguments], stdin=stdin)

    def _command(self) -> list[str]:
        return [_program("twistd"), "-n", "--pidfile=", "fedaemon", "--config", str(self._settings)]

    @property
    def _settings(self) -> Path:
        return self.directory / "fedaemon.toml"


def _program(name: str) -> str:
    """A program of the environment that runs this, so that the same installation is measured."""
    return str(Path(sys.executable).parent / name)


def _greets(port: int) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        tls_context().wrap_socket(plain) as probe,
    ):
        return probe.recv(512).startswith((b"* OK", b"+OK"))
    return False
