"""A fedaemon that accepts and queues, for measuring.

Why: acceptance alone is measured, so delivery is paused and every message goes to a domain that is not
hosted here: it stays in the queue. The plain port is a submission listener that trusts loopback, because
smtp-source cannot log in; so even there fedaemon does a submission's header work and identity check, which
Postfix is spared.
Invariants: only settings that limit load are changed (rates, sessions, daily messages); durability is as
always.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.server import Processes, free_ports, run, wait_for_greeting

CONFIGURATION = """\
[server]
hostname = "mail.bench.test"
data_dir = "{directory}/data"

[tls]
certificate = "{certificate}"
private_key = "{private_key}"

[[listener]]
service = "submission"
address = "127.0.0.1"
port = {plain_port}
tls = "none"
trusted_networks = ["127.0.0.0/8"]

[[listener]]
service = "submission"
address = "127.0.0.1"
port = {submission_port}
tls = "starttls"

[delivery]
paused = true

[limits]
sessions = 10000
sessions_per_address = 10000
sessions_per_account = 10000
daily_messages_per_account = 0
"""


@dataclass
class Fedaemon:
    """A fedaemon with a plain port and a STARTTLS + AUTH port; running between enter and exit.

    Parameters as for ``bench.postfix.Postfix``.
    """

    directory: Path
    certificate: Path
    private_key: Path
    account: str
    password: str
    trace: Path | None = None
    name: str = field(default="fedaemon", init=False)
    note: str = field(
        default="delivery paused; the plain port does submission's checks and header work", init=False
    )
    version: str = field(default="", init=False)
    plain_port: int = field(default=0, init=False)
    submission_port: int = field(default=0, init=False)
    processes: Processes = field(init=False)

    def __enter__(self) -> Self:
        """Start it.

        :raises BenchError: when it does not come up, with the end of its log.
        """
        self.version = _installed_version()
        self.plain_port, self.submission_port = free_ports(2)
        self.directory.mkdir(parents=True)
        self._configuration.write_text(
            CONFIGURATION.format(
                directory=self.directory,
                certificate=self.certificate,
                private_key=self.private_key,
                plain_port=self.plain_port,
                submission_port=self.submission_port,
            )
        )
        self._control("domain", "add", self.account.rpartition("@")[2])
        self._control("account", "add", self.account, "--password-stdin", stdin=self.password + "\n")
        self.processes = Processes("fedaemon", self.trace)
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def queued(self) -> int:
        """How many messages are in the queue, asked beside the running daemon."""
        answer = json.loads(self._control("queue", "list", "--json"))
        return len(answer)

    @property
    def _configuration(self) -> Path:
        return self.directory / "fedaemon.toml"

    def _control(self, *arguments: str, stdin: str | None = None) -> str:
        return run([_program("fedaemonctl"), "-c", str(self._configuration), *arguments], stdin=stdin)

    def _start(self) -> None:
        log = self.directory / "log"
        command = [_program("twistd"), "-n", "--pidfile=", "fedaemon", "--config", str(self._configuration)]
        self.processes.spawn(command, log, cwd=self.directory)
        for port in (self.plain_port, self.submission_port):
            wait_for_greeting(self.processes, port, log)

    def _end(self) -> None:
        self.processes.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def _program(name: str) -> str:
    """A program of the environment that runs this, so that the same installation is measured."""
    return str(Path(sys.executable).parent / name)


def _installed_version() -> str:
    twisted, python = run(
        [
            sys.executable,
            "-c",
            "import twisted, platform; print(twisted.__version__, platform.python_version())",
        ]
    ).split()
    return f"Twisted {twisted}, Python {python}"
