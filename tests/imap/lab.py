"""A store with an account, and clients that talk to IMAP engines on it, without sockets."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from fedaemon.accounts.login import BadCredentials
from fedaemon.imap.engine import Request, ServerEngine
from fedaemon.imap.operations import (
    Block,
    Collected,
    Compress,
    Discard,
    InThread,
    Leave,
    MakeShape,
    Read,
    Room,
    Stage,
    StartTls,
    Turn,
    Verify,
    Write,
    WriteLater,
)
from fedaemon.imap.session import EngineSettings
from fedaemon.mailbox import adding, mailboxes, shaping
from fedaemon.mailbox.live import LiveMailboxes
from fedaemon.store.content import MemoryContent
from fedaemon.store.group import Call, Group
from fedaemon.store.interface import Transaction
from fedaemon.store.lmdb_engine import LmdbEngine

T = TypeVar("T")
ACCOUNT = "a@example.org"
NOW_S = 1_700_000_000


class Lab:
    """The store; *account* has the standard mailboxes. ``now_s`` is what the clock says."""

    def __init__(self, directory: Path, account: str = ACCOUNT) -> None:
        self.store = LmdbEngine.open(directory, reserve_octets=0)
        self.live = LiveMailboxes()
        self.account = account
        self.now_s = float(NOW_S)
        self.writes = 0
        self.write(lambda transaction: mailboxes.provide(transaction, account, NOW_S * 1000))

    def close(self) -> None:
        self.store.close()

    def write(self, function: Callable[[Transaction], T]) -> T:
        """Run *function* in a transaction, and tell the open mailboxes, as ``AsyncStore`` does."""
        group, announced = Group(), list[Hashable]()
        group.calls = [Call(function)]
        transaction = self.store.begin()
        group.calls[0].run(transaction)
        call = group.calls[0]
        if call.error is not None:
            self.store.abort(transaction)
            raise call.error
        announced += transaction.announced
        self.store.commit(transaction)
        self.writes += 1
        if announced:
            self.live.changed(set(announced))
        value: T = call.value
        return value

    def mailbox_id(self, name: str = "INBOX", account: str = "") -> str:
        return self.store.view(lambda snapshot: mailboxes.need(snapshot, account or self.account, name)).id

    def deliver(
        self, *messages: bytes, name: str = "INBOX", flags: tuple[str, ...] = (), prefix: bytes = b""
    ) -> None:
        """Add messages, with their shapes, all in one transaction."""
        mailbox_id = self.mailbox_id(name)
        staged = [self.store.blobs.stage(MemoryContent(message)) for message in messages]

        def append(transaction: Transaction) -> None:
            mails = [
                shaping.new_mail(
                    self.account,
                    self.store.blobs.add(transaction, each),
                    len(message),
                    prefix,
                    int(self.now_s),
                    shaping.read_shaped(MemoryContent(message)),
                    flags,
                )
                for message, each in zip(messages, staged, strict=True)
            ]
            adding.append(transaction, mailbox_id, mails, int(self.now_s))

        self.write(append)

    def client(self, *, log_in: bool = True, select: str = "", **settings: Any) -> Client:
        """Return a new client, logged in unless told otherwise, with *select* selected."""
        client = Client(self, settings)
        if log_in:
            assert client.tagged(b"LOGIN %s secret" % self.account.encode()).startswith(b"OK ")
        if select:
            assert client.tagged(b"SELECT " + select.encode()).startswith(b"OK ")
        return client


def modern(lab: Lab, enable: bytes = b"IMAP4rev2", **settings: Any) -> Client:
    """Return a client that has enabled something, with INBOX selected."""
    client = lab.client(**settings)
    assert client.tagged(b"ENABLE " + enable).startswith(b"OK ")
    assert client.tagged(b"SELECT INBOX").startswith(b"OK ")
    return client


class Client:
    """One client; tags are a1, a2 and so on."""

    def __init__(self, lab: Lab, settings: dict[str, Any]) -> None:
        self.lab = lab
        self.largest_queue = 0
        self.said: list[bytes] = []
        self._number = 0
        self._content: list[bytes] = []
        self.engine = ServerEngine(
            EngineSettings(
                "mx.example",
                lab.store.blobs,
                lab.live,
                lambda: lab.now_s,
                auth_mechanisms=("PLAIN",),
                **settings,
            )
        )
        self.engine.tls_started()

    def raw(self, data: bytes) -> bytes:
        """Send octets; return the octets that come back."""
        self.engine.receive(data)
        return self.go_on()

    def go_on(self) -> bytes:
        """Do what there is to do; return what the engine says."""
        while (request := self.engine.next_request()) is not None:
            self.largest_queue = max(self.largest_queue, self.engine.queued)
            try:
                value = self._carry_out(request)
            except Exception as error:  # noqa: BLE001, RUF100 - the engine decides what it means
                self.engine.fail(request, error)
            else:
                self.engine.answer(request, value)
        bugs = self.engine.bugs
        if bugs:
            raise bugs.pop()
        self.said.append(self.engine.take_output())
        said = b"".join(self.said)
        self.said.clear()
        return said

    def send(self, command: bytes) -> list[bytes]:
        """Send a command without its tag; return the answers, the last without its tag.

        Answers are split at line ends, those inside literals not.
        """
        self._number += 1
        tag = b"a%d " % self._number
        lines = split(self.raw(tag + command + b"\r\n"))
        assert lines and lines[-1].startswith(tag), lines
        return [*lines[:-1], lines[-1][len(tag) :]]

    def tagged(self, command: bytes) -> bytes:
        """Send a command; return the last answer only."""
        return self.send(command)[-1]

    def _carry_out(self, request: Request) -> object:
        operation, store = request.operation, self.lab.store
        match operation:
            case Read():
                return store.view(operation.function)
            case Write() | WriteLater():
                return self.lab.write(operation.function)
            case Room():
                self.said.append(self.engine.take_output())
            case Turn() | StartTls() | Compress() | Leave() | Discard():
                pass
            case Verify(password="secret"):
                return operation.login
            case Verify():
                raise BadCredentials("wrong")
            case Block():
                self._content.append(operation.data)
            case Collected():
                content, self._content = MemoryContent(b"".join(self._content)), []
                return content
            case Stage():
                return store.blobs.stage(operation.content)
            case InThread():
                return operation.function()
            case MakeShape():
                return shaping.read_shaped(operation.content)
            case _:
                raise AssertionError(operation)
        return None


def split(data: bytes) -> list[bytes]:
    """Return the answers in *data*, without their CR LF; literals stay in theirs."""
    answers, start, at = [], 0, 0
    while at < len(data):
        end = data.index(b"\r\n", at)
        line = data[at:end]
        at = end + 2
        if line.endswith(b"}") and b"{" in line:
            size = line[line.rindex(b"{") + 1 : -1]
            if size.isdigit():
                at += int(size)
                continue
        answers.append(data[start:end])
        start = at
    return answers
