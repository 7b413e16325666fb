"""A connection to an IMAP server in memory: a store with an account, a clock, a transport that can block."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred, execute, succeed

from fedaemon.accounts.directory import get_account, put_account
from fedaemon.accounts.records import MAIN
from fedaemon.imap.protocol import ImapFactory, ImapProtocol
from fedaemon.imap.service import ImapService
from fedaemon.mailbox.adding import NewMail, append
from fedaemon.mailbox.live import LiveMailboxes
from fedaemon.mailbox.mailboxes import INBOX, need, provide
from fedaemon.mailbox.shaping import Shaper
from fedaemon.net.sessions import SWEEP_INTERVAL_S, Sessions
from fedaemon.store.blobs import Blobs, StagedBytes
from fedaemon.store.content import MemoryContent
from fedaemon.store.interface import Content, StagedContent, Transaction
from fedaemon.store.layout import Layout
from fedaemon.store.statistics import Statistics
from tests.accounts.world import ALICE, World, make_account
from tests.fakes import MemoryStore
from tests.net.memory_connection import MemoryConnection

LOG_IN = f'l LOGIN {ALICE} "alice\'s secret"\r\n'.encode()
NOW_S = 1_750_000_000


class Spool:
    """Collects a content in memory."""

    def __init__(self) -> None:
        self.data = b""
        self.discarded = False

    def write(self, data: bytes) -> Deferred[None] | None:
        self.data += data
        return None

    def finish(self) -> Deferred[Content]:
        return succeed(MemoryContent(self.data))

    def discard(self) -> None:
        self.discarded = True


class Store(MemoryStore):
    """A store in memory that also takes contents."""

    def stage(self, content: Content) -> Deferred[StagedContent]:
        return succeed(StagedBytes(b"".join(content.chunks())))


class Server:
    """The service, its store and its clock; *spools* are those that were made."""

    def __init__(self, **settings: Any) -> None:
        self.world = World()
        self.world.put(make_account(apps={"old": ("app secret", frozenset({"imap"}))}))
        self.store = Store(self.world.engine)
        self.blobs = Blobs(Layout(Path("unused")), Statistics(), None)
        self.clock = self.world.clock
        self.live = LiveMailboxes()
        self.store.on_commit(self.live.changed)
        self.spools: list[Spool] = []
        limits = {name: settings.pop(name, 0) for name in ("total", "per_address", "per_account")}
        self.sessions = Sessions(self.clock, **limits)
        self.sessions.start()
        self.service = ImapService(
            store=self.store,
            blobs=self.blobs,
            live=self.live,
            authenticator=self.world.authenticator,
            sessions=self.sessions,
            shaper=Shaper(lambda *_: succeed(None)),
            clock=self.clock,
            now_s=lambda: float(NOW_S),
            new_spool=self._new_spool,
            check_space=lambda: None,
            run_in_thread=execute,
            tls=cast(Any, type("ServerTls", (), {"factory": "the factory"})()),
            hostname="mail.example.test",
            **settings,
        )

    def _new_spool(self) -> Spool:
        self.spools.append(Spool())
        return self.spools[-1]

    def append(self, octets: bytes, count: int = 1) -> None:
        """Put a message into the INBOX, as often as *count* says."""

        def write(transaction: Transaction) -> None:
            blob_id = self.blobs.add(transaction, StagedBytes(octets))
            provide(transaction, ALICE, NOW_S * 1000)
            inbox = need(transaction, ALICE, INBOX)
            mails = [NewMail(blob_id, len(octets), NOW_S) for _ in range(count)]
            append(transaction, inbox.id, mails, NOW_S)

        self.world.engine.transact(write)

    def connect(self, *, tls: bool = True, log_in: bool = False) -> Connection:
        """Return a new connection, under TLS and logged in as is said."""
        connection = Connection(self, tls)
        if log_in:
            assert b"\r\nl OK [CAPABILITY" in b"\r\n" + connection.say(LOG_IN)
        return connection


class Connection(MemoryConnection):
    """A client's end."""

    def __init__(self, server: Server, tls: bool) -> None:
        factory = ImapFactory()
        factory.service = server.service
        self.server = server
        self.protocol: ImapProtocol = factory.buildProtocol(None)
        super().__init__(self.protocol, server.clock, b"s STARTTLS\r\n" if tls else None)


def pass_time(server: Server, seconds: float) -> None:
    """Let the sweep look at deadlines so long."""
    server.clock.pump([SWEEP_INTERVAL_S] * round(seconds / SWEEP_INTERVAL_S))


def change_account(server: Server, how: str) -> None:
    """Change the account as *how* says."""

    def change(transaction: Transaction) -> None:
        account = get_account(transaction, ALICE)
        assert account is not None
        if how == "removed app password":
            account = replace(account, passwords=tuple(p for p in account.passwords if p.name == MAIN))
            assert account.passwords
        else:
            account = (
                make_account(main="another secret") if how == "password" else replace(account, disabled=True)
            )
        put_account(transaction, account)

    server.world.engine.transact(change)
