"""A small internet on loopback: a DNS server, two MX hosts that do as they are told, and a fedaemon.

The hosts listen on addresses of their own (127.0.0.2, 127.0.0.3) and all on one port, as MX hosts do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from fedaemon.net.selfsigned import make_local_ca
from tests.daemon import Daemon, DnsServer, free_port

DOMAIN = "example.test"
ALICE = f"alice@{DOMAIN}"
BOB = f"bob@{DOMAIN}"
PASSWORD = "correct horse battery staple"


@dataclass
class Received:
    """A message as an MX host got it."""

    sender: str
    recipients: list[str]
    content: bytes
    options: list[str]


@dataclass
class Mx:
    """One MX host. *rcpt* and *data* give the reply to a recipient or to the content; "" accepts."""

    address: str
    port: int
    rcpt: Callable[[str], str] = lambda recipient: ""
    data: Callable[[Received], str] = lambda message: ""
    messages: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    controller: Any = None

    def start(self) -> None:
        """Begin to listen."""
        self.controller = Controller(
            self,
            hostname=self.address,
            port=self.port,
            decode_data=False,
            enable_SMTPUTF8=True,
            data_size_limit=60 * 1024 * 1024,
        )
        self.controller.start()

    def stop(self) -> None:
        """Stop listening; connections are refused from then on."""
        if self.controller is not None:
            self.controller.stop()
            self.controller = None

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = self.rcpt(address)
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = Received(
            envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content, list(envelope.mail_options)
        )
        refusal = self.data(message)
        if refusal:
            return refusal
        with self.lock:
            self.messages.append(message)
        return "250 2.0.0 Ok"


class World:
    """The test's internet. Attributes: daemon, dns, mx1 (preferred), mx2, ports, ca_file."""

    def __init__(self, directory: Path, *, extra: str = "") -> None:
        port = free_port("127.0.0.2")
        self.mx1, self.mx2 = Mx("127.0.0.2", port), Mx("127.0.0.3", port)
        self.dns = DnsServer(
            {
                ("remote.test", "MX"): ["10 mx1.remote.test.", "20 mx2.remote.test."],
                ("mx1.remote.test", "A"): ["127.0.0.2"],
                ("mx2.remote.test", "A"): ["127.0.0.3"],
                ("noserver.test", "MX"): ["0 ."],
                ("implicit.test", "A"): ["127.0.0.2"],
            }
        )
        files = make_local_ca(directory / "tls", ("localhost", "127.0.0.1"))
        self.ca_file = files.ca_file
        self.ports = {name: free_port() for name in ("submissions", "submission", "mx", "trusted")}
        self.daemon = Daemon(
            directory,
            f"""
[server]
hostname = "mail.example.test"
data_dir = "{directory}/data"
postmaster = "{ALICE}"
[tls]
certificate = "{files.certificate}"
private_key = "{files.private_key}"
[[listener]]
service = "submission"
address = "127.0.0.1"
port = {self.ports["submissions"]}
tls = "implicit"
[[listener]]
service = "submission"
address = "127.0.0.1"
port = {self.ports["submission"]}
tls = "starttls"
[[listener]]
service = "submission"
address = "127.0.0.1"
port = {self.ports["trusted"]}
tls = "none"
trusted_networks = ["127.0.0.0/8"]
[[listener]]
service = "mx"
address = "127.0.0.1"
port = {self.ports["mx"]}
tls = "starttls"
[dns]
nameservers = ["127.0.0.1:{self.dns.port}"]
[delivery]
mx_port = {port}
{extra}
""",
        )
        self.daemon.ctl("domain", "add", DOMAIN)
        for address in (ALICE, BOB):
            self.daemon.ctl("account", "add", address, "--password-stdin", stdin=PASSWORD + "\n")

    def close(self) -> None:
        """End everything that was started."""
        process = self.daemon.process
        if process is not None and process.poll() is None:
            self.daemon.kill()
        self.mx1.stop()
        self.mx2.stop()
        self.dns.close()
