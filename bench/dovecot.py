"""An isolated Dovecot, for comparison: IMAP and POP3 on ports with TLS.

Why: the system's own instance must not be touched, so this one has its own configuration, mail and ports.
Everything not named in CONFIGURATION is Debian's default.
Invariants: durability is Dovecot's default (``mail_fsync = optimized``: what was appended is on the disk before
the reply); a mailbox is a directory with a file per message (sdbox). After ``with`` no process of it is left and
nothing of its directory.
Known gaps: needs root, because Dovecot's master starts its services as other users. Passwords are compared in
plain, so that no hash is counted. The settings are those of version 2.3.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from bench.imap_server import ImapServer
from bench.server import BenchError, run

PROGRAM: Final = Path("/usr/sbin/dovecot")
IMAP: Final = Path("/usr/lib/dovecot/imap")
POP3: Final = Path("/usr/lib/dovecot/pop3")
FIRST_USER_ID: Final = 40_000
"""Each account is a user of the system, as Linux lets each of them wait for changes of 128 mailboxes at a time."""

CONFIGURATION: Final = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
protocols = imap pop3
listen = 127.0.0.1
ssl = required
ssl_cert = <{certificate}
ssl_key = <{private_key}
mail_location = sdbox:~/mail
mail_max_userip_connections = 0
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = passwd-file
  args = {directory}/users
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {pop3_port}
  }}
}}
"""

MANY: Final = """\
default_client_limit = 30000
service imap-login {
  process_limit = 12000
}
service imap {
  process_limit = 12000
}
"""
"""Limits raised, and nothing else: two processes for each session under TLS."""

HIBERNATING: Final = (
    MANY
    + """\
service imap-login {
  service_count = 0
  process_min_avail = 4
  client_limit = 30000
  vsz_limit = 4 G
}
imap_hibernate_timeout = 2 s
service imap {
  unix_listener imap-master {
    user = $default_internal_user
  }
}
service imap-hibernate {
  unix_listener imap-hibernate {
    mode = 0666
  }
  vsz_limit = 4 G
}
"""
)
"""What its documentation advises for many sessions: four processes for all TLS, one that holds all idle ones."""


@dataclass
class Dovecot(ImapServer):
    """A Dovecot.

    :param settings: further lines of its configuration.
    """

    name: ClassVar[str] = "Dovecot"

    settings: str = ""

    def _check_installed(self) -> str:
        if os.geteuid() != 0:
            raise BenchError("Dovecot's master needs root")
        if not all(path.exists() for path in (PROGRAM, IMAP, POP3)):
            raise BenchError("Dovecot is not installed: apt-get install dovecot-imapd dovecot-pop3d")
        if len(str(self.directory)) > 70:
            raise BenchError(f"{self.directory}: too long for the names of Dovecot's sockets")
        return run([str(PROGRAM), "--version"]).strip()

    def _configure(self) -> None:
        home = self.directory / "home"
        home.mkdir(parents=True)
        self.directory.chmod(0o755)
        with (self.directory / "users").open("w") as users:
            for user_id, account in enumerate(self.accounts, FIRST_USER_ID):
                users.write(f"{account}::{user_id}:{user_id}::{home / account}::\n")
                (home / account).mkdir()
                os.chown(home / account, user_id, user_id)
        text = CONFIGURATION.format(
            directory=self.directory,
            certificate=self.certificate,
            private_key=self.private_key,
            password=self.password,
            port=self.port,
            pop3_port=self.pop3_port,
        )
        (self.directory / "dovecot.conf").write_text(text + self.settings)

    def _command(self) -> list[str]:
        return [str(PROGRAM), "-F", "-c", str(self.directory / "dovecot.conf")]
