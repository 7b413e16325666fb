"""An isolated Postfix, for comparison.

Why: the system's own instance must not be touched. So the instance has its own configuration, queue and
ports. Where acceptance alone is measured, every message is put on hold (``KEEP``), which spares Postfix the
queue manager's work; else all of it goes to one next hop (``pass_on``). Everything not named in MAIN_CF is
Debian's default; what is named there is either needed to run beside the system's instance or spares Postfix
work that is not acceptance or delivery (name look-ups, rate counting, flow control).
Invariants: durability is Postfix's default: a file per message, fsynced before the reply. The system's
configuration in /etc/postfix is only read. With no /dev/log, logging costs next to nothing.
Known gaps: needs root, because Postfix's master starts its services as other users. AUTH goes to a Dovecot
auth process (plain-text passwd-file and cache on, so that no hash is counted), whose CPU time counts as
Postfix's.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import ClassVar

from bench.measured import Fate, MeasuredServer
from bench.server import BenchError, run

DAEMONS = Path("/usr/lib/postfix/sbin")

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.bench.test
mydestination =
mynetworks =
relay_domains = remote.test
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
biff = no
in_flow_delay = 0
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {private_key}
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
"""

KEEP = Fate(
    "smtpd_recipient_restrictions = check_client_access static:HOLD\n",
    "messages go on hold; AUTH by a Dovecot auth process, which is counted",
)

QUEUES = ("maildrop", "incoming", "active", "deferred", "hold")


def pass_on(port: int) -> Fate:
    """Return the settings by which all mail goes to a port of loopback."""
    return Fate(
        f"relayhost = [127.0.0.1]:{port}\n",
        "one relayhost, at most 20 connections; no flow control, no syslog",
    )


MASTER_CF = """\
127.0.0.1:{plain_port} inet n - n - - smtpd
127.0.0.1:{submission_port} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_tls_auth_only=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""

DOVECOT_CONF = """\
base_dir = {directory}/dovecot
state_dir = {directory}/dovecot
log_path = {directory}/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain
auth_cache_size = 1M
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {directory}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
service auth {{
  unix_listener {directory}/queue/private/auth {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
"""


class Postfix(MeasuredServer):
    """A Postfix instance, with the Dovecot auth process that it asks."""

    name: ClassVar[str] = "Postfix"

    def queued(self) -> int:
        """How many messages are in any of the queues, those on hold included."""
        return sum(
            path.is_file() for queue in QUEUES for path in (self.directory / "queue" / queue).rglob("*")
        )

    def _check_installed(self) -> str:
        _check_programs()
        return run(["postconf", "-dh", "mail_version"]).strip()

    def _configure(self) -> None:
        if len(str(self.directory)) > 70:
            raise BenchError(
                f"{self.directory}: too long for the names of Postfix's sockets; choose another --dir"
            )
        configuration = self.directory / "conf"
        for name in ("conf", "queue", "data", "dovecot"):
            each = self.directory / name
            each.mkdir(parents=True)
            each.chmod(0o755)
        shutil.chown(self.directory / "data", "postfix", "postfix")
        values = {
            "directory": self.directory,
            "daemons": DAEMONS,
            "certificate": self.certificate,
            "private_key": self.private_key,
            "plain_port": self.plain_port,
            "submission_port": self.submission_port,
        }
        (configuration / "main.cf").write_text(MAIN_CF.format(**values) + self.fate.settings)
        (configuration / "master.cf").write_text(MASTER_CF.format(**values))
        (self.directory / "dovecot.conf").write_text(DOVECOT_CONF.format(**values))
        users = self.directory / "users"
        users.write_text(f"{self.account}:{self.password}\n")
        users.chmod(0o640)
        shutil.chown(users, "root", "dovecot")
        # Makes the directories of the queue with the owners and modes that Postfix wants.
        run(["postfix", "-c", str(configuration), "check"])

    def _commands(self) -> list[list[str]]:
        return [
            ["dovecot", "-F", "-c", str(self.directory / "dovecot.conf")],
            [str(DAEMONS / "master"), "-c", str(self.directory / "conf")],
        ]


def _check_programs() -> None:
    if os.geteuid() != 0:
        raise BenchError("Postfix can only be started by root; use --server fedaemon to measure without it")
    for program, package in (("postfix", "postfix"), ("dovecot", "dovecot-core")):
        if shutil.which(program) is None:
            raise BenchError(
                f"{program} is not installed; apt-get install {package}, or use --server fedaemon"
            )
