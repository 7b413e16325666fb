"""A Postfix of its own beside the system's: the MX host of post.test, strict about MIME, with mailboxes.

Why: reports are made to travel and be understood elsewhere, so the other side must be one that nobody here
wrote. This one takes mail for its mailboxes, bounces what goes to one that is gone, holds what a test wants to
look at, and refuses messages whose MIME structure is not as the standards have it.

Standards: RFC 3461 (DSN, which Postfix offers), RFC 2045 6.4 (encodings of composite types).
Invariants: the system's configuration and queue are not touched; everything is in one directory, removed at
the end.
Known gaps: needs root, because Postfix's master starts its services as other users.
"""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.daemon import PATIENCE_S, wait_until

DAEMONS: Final = Path("/usr/lib/postfix/sbin")
DOMAIN: Final = "post.test"
NOBODY_ID: Final = 65534

MAIN_CF: Final = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {directory}/log
maillog_file_prefixes = {directory}
myhostname = mx.post.test
mydestination =
mynetworks =
relay_domains =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
disable_dns_lookups = yes
notify_classes =
biff = no
virtual_mailbox_domains = post.test
virtual_mailbox_base = {directory}/mail
virtual_mailbox_maps = inline:{{ {{ carol@post.test = carol/ }}, {{ held@post.test = held/ }} }}
virtual_alias_maps = inline:{{ {{ gone@post.test = removed@post.test }} }}
virtual_uid_maps = static:{nobody}
virtual_gid_maps = static:{nobody}
transport_maps = inline:{{ {{ example.test = smtp:[127.0.0.1]:{home_port} }} }}
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ held@post.test = HOLD }} }}
strict_8bitmime = yes
strict_mime_encoding_domain = yes
strict_rfc821_envelopes = yes
"""

MASTER_CF: Final = """\
{address}:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
"""


class Postfix:
    """A Postfix at *address*, port *port*, that sends mail for example.test to *home_port* on 127.0.0.1."""

    def __init__(self, address: str, port: int, home_port: int) -> None:
        # A short path: the names of its sockets must fit into 107 octets.
        self.directory = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.directory.chmod(0o755)
        self.address, self.port = address, port
        values = {
            "directory": self.directory,
            "daemons": DAEMONS,
            "address": address,
            "port": port,
            "home_port": home_port,
            "nobody": NOBODY_ID,
        }
        self.conf = self.directory / "conf"
        for name in ("conf", "queue", "data", "mail"):
            (self.directory / name).mkdir(mode=0o755)
        shutil.chown(self.directory / "data", "postfix", "postfix")
        os.chown(self.directory / "mail", NOBODY_ID, NOBODY_ID)
        (self.conf / "main.cf").write_text(MAIN_CF.format(**values))
        (self.conf / "master.cf").write_text(MASTER_CF.format(**values))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has logged so far."""
        file = self.directory / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def start(self) -> None:
        """Start it, and return when it greets."""
        # Makes the directories of the queue with the owners and modes that Postfix wants.
        self.run("postfix", "check")
        self.process = subprocess.Popen(
            [str(DAEMONS / "master"), "-c", str(self.conf), "-d"], stdin=subprocess.DEVNULL
        )
        wait_until(self._greets, "Postfix to greet")

    def _greets(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            with smtplib.SMTP(self.address, self.port, timeout=PATIENCE_S) as client:
                return client.noop()[0] == 250
        except OSError:
            return False

    def run(self, program: str, *arguments: str) -> str:
        """Run one of its programs on this instance and return what it printed."""
        done = subprocess.run(
            [program, "-c", str(self.conf), *arguments], capture_output=True, timeout=PATIENCE_S, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(errors="replace")

    def mailbox(self, user: str) -> list[bytes]:
        """Return the messages that were delivered to *user*, as they lie in the Maildir."""
        files = (self.directory / "mail" / user / "new").glob("*")
        return [file.read_bytes() for file in sorted(files)]

    def close(self) -> None:
        """End it with all its processes, and remove everything."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
        shutil.rmtree(self.directory, ignore_errors=True)
