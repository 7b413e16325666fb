"""An account of its own for a test with a real IMAP client, and what is truly in its mailboxes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from tests.daemon import CTL, PATIENCE_S, client_context
from tests.interop.conftest import Local
from tests.lab.imap_client import ImapClient, Literal

DATE: Final = "14-Nov-2023 22:13:20 +0000"
"""The internal date of what ``Account.put`` puts; a synchronizer is to keep it."""

ODD_NAMES: Final = {
    "Two Words": b'"Two Words"',
    "R&D": b"R&-D",
    "Täglich": b"T&AOQ-glich",
    "Deep/er/est": b"Deep/er/est",
    "Привет/日本語": b"&BB8EQAQ4BDIENQRC-/&ZeVnLIqe-",
}
"""Names of mailboxes that clients get wrong, as people see them and as IMAP4rev1 writes them (RFC 3501 5.1.3)."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as the server keeps it; *flags* without ``\\Recent``."""

    octets: bytes
    flags: frozenset[str]
    date: str


class Account:
    """An account in local mode that no other test knows.

    :ivar address: its user name.
    """

    def __init__(self, local: Local) -> None:
        self.local = local
        self.address = f"user-{uuid4().hex[:12]}@example.test"
        self.password = uuid4().hex
        self.ports: dict[str, int] = local.settings["ports"]
        self.ca_file = Path(local.settings["ca_file"])
        self.config = Path(local.settings["config"])
        subprocess.run(
            [*CTL, "-c", self.config, "account", "add", self.address, "--password-stdin"],
            input=self.password.encode(),
            check=True,
            capture_output=True,
            timeout=PATIENCE_S,
        )

    def session(self) -> ImapClient:
        """Return a strict client that is logged in."""
        return session(self.local, self.address, self.password)

    def put(self, mailbox: bytes, *subjects: str, flags: bytes = b"", body: bytes = b"text\r\n") -> None:
        """Append a message for each subject, with the date ``DATE``."""
        with self.session() as client:
            for subject in subjects:
                client.ok(
                    b'APPEND %b (%b) "%b" ' % (mailbox, flags, DATE.encode()), Literal(message(subject, body))
                )

    def mail(self, mailbox: bytes = b"INBOX") -> dict[str, Mail]:
        """Return the messages of a mailbox by their subjects; none twice."""
        with self.session() as client:
            client.ok(b"EXAMINE " + mailbox)
            fetched = client.ok(b"UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])").fetched().values()
        found: dict[str, Mail] = {}
        for items in fetched:
            octets, flags, date = items["BODY[]"], items["FLAGS"], items["INTERNALDATE"]
            assert isinstance(octets, bytes)
            assert isinstance(flags, list)
            assert isinstance(date, bytes)
            subject = octets.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()
            assert subject not in found
            kept = frozenset(str(flag) for flag in flags if flag != "\\Recent")
            found[subject] = Mail(octets, kept, date.decode())
        return found

    def flags(self, mailbox: bytes = b"INBOX") -> dict[str, set[str]]:
        """Return the flags of each message of a mailbox, by its subject."""
        return {subject: set(kept.flags) for subject, kept in self.mail(mailbox).items()}

    def names(self) -> set[bytes]:
        """Return the names of the mailboxes, as IMAP4rev1 writes them."""
        with self.session() as client:
            listed = client.ok(b'LIST "" "*"').named("LIST")
        names = (response.tokens[-1] for response in listed)
        return {name if isinstance(name, bytes) else str(name).encode() for name in names}


def session(local: Local, address: str, password: str) -> ImapClient:
    """Return a strict client that is logged in over TLS."""
    client = ImapClient(local.settings["ports"]["imaps"], client_context(Path(local.settings["ca_file"])))
    client.ok(b'LOGIN "%b" "%b"' % (address.encode(), password.encode()))
    return client


def message(subject: str, body: bytes = b"text\r\n") -> bytes:
    """Return a message with *subject*, whose ``Message-ID`` no other has."""
    return (
        "From: Alice <alice@example.test>\r\nTo: bob@example.test\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
        f"Message-ID: <{uuid4().hex}@example.test>\r\nSubject: {subject}\r\n\r\n"
    ).encode() + body


def run(*command: object, codes: tuple[int, ...] = (0,)) -> str:
    """Run a program and return all that it printed; fail unless it ends with one of *codes*."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    printed = done.stdout.decode("utf-8", "replace")
    assert done.returncode in codes, printed
    return printed


def run_on_terminal(*command: object, home: Path) -> None:
    """Run a program that wants a terminal, which is as wide as a screen; fail with what it drew unless it ends."""
    words = [str(part) for part in command]
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "HOME": str(home)}
        os.execvpe(words[0], words, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    drawn, end = bytearray(), time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 0.5)[0]:
                continue
            try:
                piece = os.read(terminal, 65_536)
            except OSError:
                break
            if not piece:
                break
            drawn += piece
        else:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(terminal)
        status = os.waitpid(pid, 0)[1]
    assert status == 0, drawn[-2000:].decode("utf-8", "replace")
