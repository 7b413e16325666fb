"""A Dovecot of its own, as the server that mail programs were written for: IMAP and POP3, plain and with TLS.

Why: where the standards say nothing, clients expect what Dovecot does. What is compared with it must be asked of
it there and then, not remembered.

Standards: RFC 3501 (IMAP4rev1, which Dovecot speaks), RFC 1939 (POP3).
Invariants: the system's configuration and mail are not touched; everything is in one directory, removed at the
end. Any name logs in with ``PASSWORD`` and has mailboxes of its own (sdbox).
Known gaps: needs root, because Dovecot's master starts its services as other users. The settings are those of
version 2.3.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.daemon import PATIENCE_S, free_port, wait_until
from tests.lab.imap_client import ImapClient
from tests.lab.imap_tokens import ImapError

PROGRAM: Final = "/usr/sbin/dovecot"
MODULES: Final = Path("/usr/lib/dovecot")
PASSWORD: Final = "correct-horse"
NOBODY_ID: Final = 65534

CONFIGURATION: Final = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{directory}/certificate.pem
ssl_key = <{directory}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
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
  separator = /
}}
service imap-login {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = {pop3s_port}
  }}
}}
"""


class Dovecot:
    """A Dovecot on four ports of 127.0.0.1.

    :ivar certificate: that of "localhost", which clients are to trust.
    """

    def __init__(self) -> None:
        # A short path: the names of its sockets must fit into 107 octets.
        self.directory = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.directory.chmod(0o755)
        self.certificate = self.directory / "certificate.pem"
        self.imap_port, self.imaps_port, self.pop3_port, self.pop3s_port = (free_port() for _ in range(4))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has logged so far."""
        file = self.directory / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def start(self) -> None:
        """Start it, and return when it greets."""
        self._make_certificate()
        home = self.directory / "home"
        home.mkdir()
        os.chown(home, NOBODY_ID, NOBODY_ID)
        configuration = self.directory / "dovecot.conf"
        configuration.write_text(
            CONFIGURATION.format(
                directory=self.directory,
                nobody=NOBODY_ID,
                password=PASSWORD,
                imap_port=self.imap_port,
                imaps_port=self.imaps_port,
                pop3_port=self.pop3_port,
                pop3s_port=self.pop3s_port,
            )
        )
        with (self.directory / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [PROGRAM, "-F", "-c", str(configuration)],
                stdin=subprocess.DEVNULL,
                # It writes and searches dates in the zone of the machine.
                env={**os.environ, "TZ": "UTC"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._greets, "Dovecot to greet")

    def _make_certificate(self) -> None:
        files = ["-keyout", str(self.directory / "key.pem"), "-out", str(self.certificate)]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        command = ["openssl", "req", "-x509", *key, *files, "-days", "2", *name]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)

    def _greets(self) -> bool:
        assert self.process is not None
        output = (self.directory / "output").read_text(errors="replace")
        assert self.process.poll() is None, output + self.log
        try:
            with ImapClient(self.imap_port) as client:
                return client.greeting.name == "OK"
        except (OSError, ImapError):
            return False

    @contextmanager
    def imap(self, user: str) -> Iterator[ImapClient]:
        """A connection without TLS, logged in as *user*, who need not have existed before."""
        with ImapClient(self.imap_port) as client:
            client.ok(f"LOGIN {user} {PASSWORD}".encode())
            yield client

    def close(self) -> None:
        """End it with all its processes, and remove everything."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
        shutil.rmtree(self.directory, ignore_errors=True)


def missing() -> str | None:
    """Return why it cannot be started here, or None."""
    if os.geteuid() != 0:
        return "Dovecot's master starts its services as other users: needs root"
    if not all(Path(file).exists() for file in (PROGRAM, MODULES / "imap", MODULES / "pop3")):
        return "dovecot-imapd and dovecot-pop3d are not installed: tests/prepare says how"
    return None


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A Dovecot for all tests, skipped by name where there can be none; in CI nothing may be missing."""
    reason = missing()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and CI skips nothing")
        pytest.skip(reason)
    server = Dovecot()
    try:
        server.start()
        yield server
    finally:
        server.close()
