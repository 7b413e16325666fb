"""An isolated Dovecot, for comparison: IMAP on a plain and on a TLS port.

Why: the system's own instance must not be touched, so this one has its own configuration, mail and ports.
Everything not named in CONFIGURATION is Debian's default.
Invariants: durability is Dovecot's default (``mail_fsync = optimized``: what was appended is on the disk before
the reply); a mailbox is a directory with a file per message (sdbox). After ``with`` no process of it is left and
nothing of its directory.
Known gaps: needs root, because Dovecot's master starts its services as other users. Passwords are compared in
plain, so that no hash is counted. The settings are those of version 2.3.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from bench.server import POLL_S, START_LIMIT_S, BenchError, Processes, free_ports, run

PROGRAM: Final = Path("/usr/sbin/dovecot")
IMAP: Final = Path("/usr/lib/dovecot/imap")
NOBODY_ID: Final = 65534

CONFIGURATION: Final = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{private_key}
disable_plaintext_auth = no
mail_location = sdbox:~/mail
first_valid_uid = {nobody}
last_valid_uid = {nobody}
first_valid_gid = {nobody}
last_valid_gid = {nobody}
mail_max_userip_connections = 0
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={nobody} gid={nobody} home={directory}/home/%u
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
"""


@dataclass
class Dovecot:
    """A Dovecot, running between enter and exit.

    :param directory: where it may put everything; made on enter, removed on exit; a short path.
    :param certificate: PEM chain for TLS, *private_key* its key.
    :param password: with which any name logs in.
    """

    name: ClassVar[str] = "Dovecot"
    note: ClassVar[str] = "sdbox, mail_fsync = optimized; passwords in plain"

    directory: Path
    certificate: Path
    private_key: Path
    password: str
    version: str = field(default="", init=False)
    port: int = field(default=0, init=False)
    tls_port: int = field(default=0, init=False)
    processes: Processes = field(init=False)

    def __enter__(self) -> Self:
        """Start it.

        :raises BenchError: when something is missing, or it does not come up, with the end of its log.
        """
        try:
            self._configure()
            self.processes = Processes(self.name.lower())
            self._start()
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.processes.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _configure(self) -> None:
        if os.geteuid() != 0:
            raise BenchError("Dovecot's master needs root")
        if not (PROGRAM.exists() and IMAP.exists()):
            raise BenchError("Dovecot is not installed: apt-get install dovecot-imapd")
        if len(str(self.directory)) > 70:
            raise BenchError(f"{self.directory}: too long for the names of Dovecot's sockets")
        self.version = run([str(PROGRAM), "--version"]).strip()
        self.port, self.tls_port = free_ports(2)
        home = self.directory / "home"
        home.mkdir(parents=True)
        self.directory.chmod(0o755)
        os.chown(home, NOBODY_ID, NOBODY_ID)
        (self.directory / "dovecot.conf").write_text(
            CONFIGURATION.format(
                directory=self.directory,
                certificate=self.certificate,
                private_key=self.private_key,
                nobody=NOBODY_ID,
                password=self.password,
                port=self.port,
                tls_port=self.tls_port,
            )
        )

    def _start(self) -> None:
        log = self.directory / "log"
        try:
            self.processes.spawn([str(PROGRAM), "-F", "-c", str(self.directory / "dovecot.conf")], log)
            self._wait_for_greeting(log)
        except BaseException:
            self.processes.stop()
            raise

    def _wait_for_greeting(self, log: Path) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while not _greets(self.port):
            self.processes.check_alive(log)
            if time.monotonic() > deadline:
                raise BenchError(f"no greeting on port {self.port} after {START_LIMIT_S:.0f} s")
            time.sleep(POLL_S)


def _greets(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
        return probe.recv(512).startswith(b"* OK")
    return False
