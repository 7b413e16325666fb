"""Clients that send as fast as they can, and remember what was answered 250 under which queue id.

Each message has several recipients at two domains that share one MX host; some have one in a mailbox here and
one that is refused as well, and sizes go from a value in the store to a file and a spool file.
"""

from __future__ import annotations

import smtplib
import threading
import time
from itertools import count
from typing import Final

from tests.e2e.peers import ALICE, BOB, World

SENDERS: Final = 4
LINE: Final = b"x" * 76 + b"\r\n"
REMOTE: Final = ("carol@remote.test", "dave@remote.test", "erin@twin.test")
NOBODY: Final = "nobody@remote.test"


def recipients_of(mark: int) -> list[str]:
    """Return who gets message *mark*: each fifth has a local recipient and a refused one as well."""
    return [*REMOTE, BOB, NOBODY] if mark % 5 == 0 else list(REMOTE)


def body_of(mark: int) -> bytes:
    """Return a body: each tenth is large enough to be a file, each fortieth to be spooled in one."""
    if mark % 40 == 7:
        return LINE * 16_000
    return LINE * (2000 if mark % 10 == 0 else 20)


class Load:
    """The clients; *accepted* is the queue id of each message that was answered 250."""

    def __init__(self, world: World) -> None:
        self.accepted: dict[int, str] = {}
        self._world = world
        self._marks = count()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to send."""
        self._stop.clear()
        self._threads = [threading.Thread(target=self._send_all) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more; the daemon is gone, so nothing hangs."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _send_all(self) -> None:
        while not self._stop.is_set():
            try:
                with smtplib.SMTP("127.0.0.1", self._world.ports["trusted"], timeout=10) as client:
                    client.ehlo()
                    while not self._stop.is_set():
                        self._send_one(client)
            except (OSError, smtplib.SMTPException):
                # The daemon was killed under our hands: what it had not answered it need not have.
                time.sleep(0.01)

    def _send_one(self, client: smtplib.SMTP) -> None:
        mark = next(self._marks)
        head = f"From: {ALICE}\r\nSubject: load\r\nX-Mark: {mark}\r\n\r\n".encode()
        client.mail(ALICE)
        for recipient in recipients_of(mark):
            code, _ = client.rcpt(recipient)
            assert code == 250
        code, text = client.data(head + body_of(mark))
        assert code == 250, text
        self.accepted[mark] = text.decode().rpartition(" ")[2]
