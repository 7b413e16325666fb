"""One mail server under measurement: its own directory, settings and processes, and a sure end.

Why: what is compared must be started and ended in the same way. Which server it is, and what becomes of the
mail that it takes, is all that its class and its ``Fate`` add.
Invariants: after ``with`` no process of it is left and nothing of its directory.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from bench.server import Processes, free_ports, wait_for_greeting


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the mail that a server takes.

    :param settings: lines of the server's own configuration.
    :param note: the same for the reader of the figures.
    """

    settings: str
    note: str


@dataclass
class MeasuredServer(ABC):
    """A server with a plain port and a STARTTLS + AUTH port; running between enter and exit.

    :param directory: where it may put everything; made on enter, removed on exit; a short path.
    :param certificate: PEM chain for STARTTLS.
    :param private_key: its key, PEM.
    :param account: login name allowed to submit.
    :param password: its password.
    :param fate: what becomes of its mail.
    :param trace: file for strace's record, None for none.
    """

    name: ClassVar[str]

    directory: Path
    certificate: Path
    private_key: Path
    account: str
    password: str
    fate: Fate
    trace: Path | None = None
    version: str = field(default="", init=False)
    plain_port: int = field(default=0, init=False)
    submission_port: int = field(default=0, init=False)
    processes: Processes = field(init=False)

    def __enter__(self) -> Self:
        """Start it.

        :raises BenchError: when something is missing, or it does not come up, with the end of its log.
        """
        try:
            self.prepare()
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            self._remove()

    def prepare(self) -> None:
        """Make the directory with everything that the server needs, and choose its ports."""
        self.version = self._check_installed()
        self.plain_port, self.submission_port = free_ports(2)
        self._configure()

    def start(self) -> None:
        """Start the processes and return when both ports greet; also again, after ``stop``."""
        self.processes = Processes(self.name.lower(), self.trace)
        try:
            for command in self._commands():
                self.processes.spawn(command, self.log, cwd=self.directory)
            for port in (self.plain_port, self.submission_port):
                wait_for_greeting(self.processes, port, self.log)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the processes."""
        self.processes.stop()

    def _remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def log(self) -> Path:
        """What the processes wrote."""
        return self.directory / "log"

    @abstractmethod
    def queued(self) -> int:
        """How many messages wait in the queue."""

    @abstractmethod
    def _check_installed(self) -> str:
        """Return the version; raise ``BenchError`` when it cannot be measured here."""

    @abstractmethod
    def _configure(self) -> None:
        """Make the directory and write the configuration."""

    @abstractmethod
    def _commands(self) -> Sequence[Sequence[str]]:
        """The command lines of its processes, in the order in which they are to be started."""
