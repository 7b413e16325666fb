"""A Debian server as its administrator sees it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.debian.building import Built
from tests.debian.container import Container
from tests.debian.roots import PROJECT

SETTINGS = "/etc/fedaemon/fedaemon.toml"
STORE = "/var/lib/fedaemon"
CA = f"{STORE}/tls/ca.pem"
HOST, ACCOUNT, PASSWORD = "mail.example.org", "alice@example.org", "a long password"

SEND = """
import smtplib, ssl, sys
host, ca_file, login, password, recipient = sys.argv[1:]
with smtplib.SMTP_SSL(host, 465, context=ssl.create_default_context(cafile=ca_file)) as smtp:
    smtp.login(login, password)
    smtp.sendmail(login, [recipient], f"From: {login}\\r\\n\\r\\nHello\\r\\n")
"""


class Server(Container):
    """A booted Debian; nothing is installed yet."""

    def __init__(self, root: Path) -> None:
        shutil.copytree(PROJECT / "debian" / "tests", root / "root" / "tests")
        (root / "root" / "password").write_text(PASSWORD)
        super().__init__(root)

    def install(self, built: Built) -> str:
        """Install as the handbook says; what the package depends on comes from bookworm's archive alone."""
        shutil.copy(built.deb, self.root / "root")
        return self.shell(f"apt-get -y --no-install-recommends install ./{built.deb.name}")

    def show(self, name: str) -> str:
        """Return a property of the service, as systemd has it."""
        return self.run("systemctl", "show", "--property", name, "--value", "fedaemon").strip()

    def status(self, code: int = 0) -> str:
        """Return what people are shown of the service."""
        return self.run("systemctl", "status", "--no-pager", "--full", "fedaemon", code=code)

    def process(self, file: str) -> str:
        """Return a file of the service in /proc."""
        return self.run("cat", f"/proc/{self.show('MainPID')}/{file}")

    @property
    def settings(self) -> str:
        """The settings file's text; the file keeps its owner and mode when it is set."""
        return (self.root / SETTINGS[1:]).read_text()

    @settings.setter
    def settings(self, text: str) -> None:
        (self.root / SETTINGS[1:]).write_text(text)

    def has_store(self) -> bool:
        """Whether the mail is there."""
        return (self.root / STORE[1:] / "store" / "data.mdb").exists()

    def round_trip(self) -> None:
        """Send over 465 and 587 and read over IMAP and POP3; fail unless all of it arrives."""
        who = f"{ACCOUNT} /root/password"
        self.shell(f"/root/tests/round-trip {HOST} {CA} {who} {who}")

    def send(self, recipient: str) -> None:
        """Submit one message."""
        self.python(SEND, HOST, CA, ACCOUNT, PASSWORD, recipient)

    def fate(self, recipient: str) -> str:
        """Return the status of the one message to *recipient*."""
        listed = self.run("fedaemonctl", "queue", "list", "--recipient", recipient, "--json")
        (message,) = json.loads(listed)
        status: str = message["status"]
        return status

    def listens(self, port: int) -> bool:
        """Whether anybody listens on *port*."""
        sockets = self.run("cat", "/proc/net/tcp", "/proc/net/tcp6")
        return any(f":{port:04X} " in line and " 0A " in line for line in sockets.splitlines())

    def left_over(self) -> list[str]:
        """Return what bears the package's name where packages and administrators put things."""
        found = self.shell(
            "find /etc /lib /usr /var/lib /run -xdev -name '*fedaemon*' -not -path '/var/lib/*/*'"
        )
        return found.splitlines()
