"""IMAP clients that share a mailbox, and one that sends mail into it, all as fast as they can.

Each keeps the ledger: before a command is sent what it may do is written down, and when it is answered, what
it did.
"""

from __future__ import annotations

import smtplib
import threading
import time
from abc import ABC, abstractmethod
from functools import partial
from random import Random
from typing import Final

from tests.crash.imap_ledger import BOXES, DELETED, FLAGS, NOWHERE, Ledger, Message, Place
from tests.crash.imap_session import (
    APPENDUID,
    COPYUID,
    MODSEQ,
    UID,
    Session,
    append,
    argument,
    content_of,
    uid_set,
    uids_of,
)
from tests.daemon import PATIENCE_S
from tests.e2e.imap_wire import ImapWorld
from tests.e2e.peers import ALICE

UPLOADERS: Final = 2
FULL: Final = 1500
"""With so many messages in a mailbox nothing is added to it, and many are expunged at once."""
MANY: Final = 200
REFUSED: Final = (
    TimeoutError,
    smtplib.SMTPSenderRefused,
    smtplib.SMTPRecipientsRefused,
    smtplib.SMTPDataError,
)
"""Errors of a connection that are none of a daemon that dies."""


class Client(ABC):
    """What one thread does until it is stopped; *error* is what it did not expect."""

    def __init__(self, world: ImapWorld, ledger: Ledger, random: Random, stop: threading.Event) -> None:
        self.world, self.ledger, self.random = world, ledger, random
        self.error: BaseException | None = None
        self._stop = stop

    def run(self) -> None:
        """Work, on a new connection whenever the last one was cut."""
        try:
            while not self._stop.is_set():
                try:
                    self.work()
                except REFUSED:
                    raise
                except OSError:
                    # The daemon died under our hands.
                    time.sleep(0.01)
        except Exception as error:  # noqa: BLE001, RUF100 - the test raises it
            self.error = error

    @abstractmethod
    def work(self) -> None:
        """Connect, and work until the connection is cut or *busy* says no."""

    @property
    def busy(self) -> bool:
        """Whether to go on."""
        return not self._stop.is_set()

    def full(self, box: str) -> bool:
        """Whether there is enough in a mailbox."""
        return len(self.ledger.known(box)) > FULL


class Sender(Client):
    """Sends mail to the account whose mailbox it is."""

    def work(self) -> None:
        """See ``Client``."""
        with smtplib.SMTP("127.0.0.1", self.world.ports["trusted"], timeout=PATIENCE_S) as client:
            client.ehlo()
            while self.busy:
                (message,) = self.ledger.begin_append([()], queued=True)
                client.sendmail(ALICE, [ALICE], content_of(message.mark))
                self.ledger.delivered(message)


class Uploader(Client):
    """Appends to INBOX in every way there is."""

    def work(self) -> None:
        """See ``Client``."""
        with Session(self.world) as session:
            session.log_in()
            while self.busy:
                if self.full("INBOX"):
                    time.sleep(0.02)
                    continue
                way = self.random.choice((self.waiting, self.at_once, self.pipelined))
                way(session, self.random.choice((1, 1, self.random.randint(2, 8))))

    def waiting(self, session: Session, count: int) -> None:
        """One APPEND of *count* messages; each literal waits until it is asked for."""
        messages = self.begin(count)
        tag = session.tag()
        session.send(tag + b" APPEND INBOX")
        for message in messages:
            session.send(argument(message, b""))
            line = session.line()
            while line.startswith(b"* "):
                line = session.line()
            assert line.startswith(b"+ "), line
            session.send(content_of(message.mark))
        session.send(b"\r\n")
        self.end(session, tag, messages)

    def at_once(self, session: Session, count: int) -> None:
        """One APPEND of *count* messages, with literals that do not wait."""
        messages = self.begin(count)
        tag = session.tag()
        session.send(append(tag, messages))
        self.end(session, tag, messages)

    def pipelined(self, session: Session, count: int) -> None:
        """Several APPENDs at once, which overlap."""
        sets = [self.begin(self.random.choice((1, 1, 1, 3))) for _ in range(count + 1)]
        tags = [session.tag() for _ in sets]
        session.send(b"".join(map(append, tags, sets)))
        for tag, messages in zip(tags, sets, strict=True):
            self.end(session, tag, messages)

    def begin(self, count: int) -> list[Message]:
        """Note messages with some flags."""
        flags = [self.random.sample(FLAGS, self.random.choice((0, 0, 1, 2))) for _ in range(count)]
        return self.ledger.begin_append(flags)

    def end(self, session: Session, tag: bytes, messages: list[Message]) -> None:
        """Note where they are."""
        *_, answer = session.answers(tag)
        match = APPENDUID(answer)
        assert match is not None, answer
        first = int(match[2])
        assert int(match[3] or first) == first + len(messages) - 1, answer
        self.ledger.appended(messages, int(match[1]), first)


class Changer(Client):
    """Changes one flag, moves and expunges.

    :param flag: nobody else changes it.
    """

    def __init__(
        self, world: ImapWorld, ledger: Ledger, random: Random, stop: threading.Event, flag: str
    ) -> None:
        super().__init__(world, ledger, random, stop)
        self._flag = flag

    def work(self) -> None:
        """See ``Client``: a while in one mailbox, on a connection of its own."""
        box, other = self.random.choice((BOXES, BOXES, BOXES[::-1]))
        with Session(self.world) as session:
            session.log_in()
            doomed = self.ledger.doomed(box)
            self.said(session, box, b"SELECT %b (CONDSTORE)" % box.encode())
            if doomed:
                self.said(session, box, b"EXPUNGE")
                self.ledger.expunged(doomed)
            for _ in range(self.random.randint(2, 10)):
                known = self.ledger.known(box)
                self.said(session, box, b"NOOP")
                self.change(session, box, other, known)

    def change(self, session: Session, box: str, other: str, known: list[Message]) -> None:
        """Do some things with messages that the session knows."""
        expunge = partial(self.expunge, session, box, known, MANY if self.full(box) else 3)
        things = (
            (6, partial(self.store, session, box, known)),
            (2, partial(self.move, session, box, other, known)),
            (1, expunge),
            (1, partial(self.expunge, session, box, known, MANY // 4)),
        )
        for thing in self.random.choices([each for _, each in things], [weight for weight, _ in things], k=8):
            if self.busy:
                thing()
        if self.full(box):
            expunge()

    def store(self, session: Session, box: str, known: list[Message]) -> None:
        """Set or remove the flag."""
        value = self.random.random() < 0.6
        some = self.ledger.begin_store(box, known, self.random, self._flag, value)
        if not some:
            return
        item = ("+" if value else "-") + "FLAGS" + self.random.choice(("", ".SILENT"))
        command = f"UID STORE {uid_set(uid for _, uid, _ in some)} {item} ({self._flag})"
        self.said(session, box, command.encode())
        self.ledger.stored(some, self._flag, value)

    def move(self, session: Session, box: str, other: str, known: list[Message]) -> None:
        """Move some to the other mailbox."""
        told = self.ledger.take(box, known, self.random, 4, Place(other, 0))
        if not told:
            return
        tag = session.tag()
        session.send(tag + f" UID MOVE {uid_set(uid for _, uid in told)} {other}\r\n".encode())
        for line in session.answers(tag):
            if match := COPYUID(line):
                uids = dict(zip(uids_of(match[2]), uids_of(match[3]), strict=True))
                self.ledger.moved(told, other, int(match[1]), uids)
                told = []
            self.hear(box, line)
        assert not told, "MOVE without COPYUID"

    def expunge(self, session: Session, box: str, known: list[Message], most: int) -> None:
        """Expunge some, in one write or step by step."""
        told = self.ledger.take(box, known, self.random, most, NOWHERE)
        if not told:
            return
        uids = uid_set(uid for _, uid in told)
        first, second = session.tag(), session.tag()
        store = first + f" UID STORE {uids} +FLAGS.SILENT ({DELETED})\r\n".encode()
        expunge = second + f" UID EXPUNGE {uids}\r\n".encode()
        together = self.random.random() < 0.5
        session.send(store + expunge if together else store)
        for line in session.answers(first):
            self.hear(box, line)
        self.ledger.marked(told)
        if not together:
            session.send(expunge)
        for line in session.answers(second):
            self.hear(box, line)
        self.ledger.expunged(message for message, _ in told)

    def said(self, session: Session, box: str, command: bytes) -> None:
        """Send a command and note the mod-sequences that are told."""
        for line in session.say(command):
            self.hear(box, line)

    def hear(self, box: str, line: bytes) -> None:
        """Note a mod-sequence that is told."""
        if match := MODSEQ(line):
            uid = UID(line)
            self.ledger.heard(Place(box, int(uid[1]) if uid else 0), int(match[1] or match[2]))


class Crowd:
    """All clients."""

    def __init__(self, world: ImapWorld, ledger: Ledger, random: Random) -> None:
        self._stop = threading.Event()
        rest = world, ledger
        uploaders = [Uploader(*rest, Random(random.random()), self._stop) for _ in range(UPLOADERS)]
        changers = [Changer(*rest, Random(random.random()), self._stop, flag) for flag in FLAGS]
        self._clients = [Sender(*rest, Random(random.random()), self._stop), *uploaders, *changers]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        self._stop.clear()
        self._threads = [threading.Thread(target=client.run) for client in self._clients]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[BaseException]:
        """End; the daemon is gone, so nothing hangs. Returns what clients met that should not be."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        return [client.error for client in self._clients if client.error is not None]


def fill(world: ImapWorld, ledger: Ledger, random: Random, count: int) -> None:
    """Append *count* messages, 50 at a time."""
    uploader = Uploader(world, ledger, random, threading.Event())
    with Session(world) as session:
        session.log_in()
        for _ in range(0, count, 50):
            uploader.at_once(session, 50)
