"""A fedaemon to be measured.

Why: the plain port is a submission listener that trusts loopback, because smtp-source cannot log in; so even
there fedaemon does a submission's header work and identity check, which Postfix is spared. Where acceptance
alone is measured, delivery is paused (``KEEP``): every message goes to a domain that is not hosted here, and
stays in the queue. Where it passes mail on, all of it has one route (``pass_on``).
Invariants: only settings that limit load are changed (rates, sessions, daily messages); durability, and the
connections to other servers, are as always.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

from bench.measured import Fate, MeasuredServer
from bench.server import run

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

[limits]
sessions = 10000
sessions_per_address = 10000
sessions_per_account = 10000
daily_messages_per_account = 0

"""

_PLAIN_PORT = "the plain port does submission's checks and header work"

KEEP = Fate("[delivery]\npaused = true\n", f"delivery paused; {_PLAIN_PORT}")


def pass_on(port: int) -> Fate:
    """Return the settings by which all mail goes to a port of loopback."""
    route = f'[[route]]\ndomain = "*"\nhost = "127.0.0.1"\nport = {port}\n'
    return Fate(
        route, f"one route, at most 20 connections; writes a log line for each delivery; {_PLAIN_PORT}"
    )


class Fedaemon(MeasuredServer):
    """A fedaemon of the installation that runs this."""

    name: ClassVar[str] = "fedaemon"

    @property
    def data_dir(self) -> Path:
        """Where its store is."""
        return self.directory / "data"

    def control(self, *arguments: str, stdin: str | None = None) -> str:
        """Run fedaemonctl, beside the daemon or without, and return its output."""
        return run([_program("fedaemonctl"), "-c", str(self._configuration), *arguments], stdin=stdin)

    def stats(self) -> dict[str, Any]:
        """The numbers of ``fedaemonctl queue stats``, asked beside the running daemon."""
        stats: dict[str, Any] = json.loads(self.control("queue", "stats", "--json"))
        return stats

    def queued(self) -> int:
        """How many recipients wait, one for each message."""
        waiting: int = self.stats()["waiting"]
        return waiting

    def _check_installed(self) -> str:
        program = "import twisted, platform; print(twisted.__version__, platform.python_version())"
        twisted, python = run([sys.executable, "-c", program]).split()
        return f"Twisted {twisted}, Python {python}"

    def _configure(self) -> None:
        self.directory.mkdir(parents=True)
        text = CONFIGURATION.format(
            directory=self.directory,
            certificate=self.certificate,
            private_key=self.private_key,
            plain_port=self.plain_port,
            submission_port=self.submission_port,
        )
        self._configuration.write_text(text + self.fate.settings)
        self.control("domain", "add", self.account.rpartition("@")[2])
        self.control("account", "add", self.account, "--password-stdin", stdin=self.password + "\n")

    def _commands(self) -> list[list[str]]:
        configuration = ["--config", str(self._configuration)]
        return [[_program("twistd"), "-n", "--pidfile=", "fedaemon", *configuration]]

    @property
    def _configuration(self) -> Path:
        return self.directory / "fedaemon.toml"


def _program(name: str) -> str:
    """A program of the environment that runs this, so that the same installation is measured."""
    return str(Path(sys.executable).parent / name)
