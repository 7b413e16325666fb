"""A connection to a POP3 server in memory: a store with two accounts, a clock, a transport that can block."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from fedaemon.mailbox import keeping, reading
from fedaemon.mailbox.adding import NewMail, append
from fedaemon.mailbox.mailboxes import INBOX, find, need, provide
from fedaemon.net.sessions import Sessions
from fedaemon.pop3.protocol import Pop3Factory, Pop3Protocol
from fedaemon.pop3.service import Pop3Service
from fedaemon.store.blobs import Blobs, StagedBytes
from fedaemon.store.interface import Transaction
from fedaemon.store.layout import Layout
from fedaemon.store.spaces import MAIL_PURGE
from fedaemon.store.statistics import Statistics
from tests.accounts.world import ALICE, World, make_account
from tests.fakes import MemoryStore
from tests.net.memory_connection import MemoryConnection

LOG_IN = f"USER {ALICE}\r\nPASS alice's secret\r\n".encode()
NOW_MS = 1_750_000_000_000
UNDELETE_S = 3600


class Server:
    """The service, its store and its clock."""

    def __init__(self, **settings: Any) -> None:
        self.world = World()
        self.world.put(make_account(apps={"old": ("app secret", frozenset({"pop3"}))}))
        self.store = MemoryStore(self.world.engine)
        self.blobs = Blobs(Layout(Path("unused")), Statistics(), None)
        self.clock = self.world.clock
        limits = {name: settings.pop(name, 0) for name in ("per_address", "per_account")}
        self.sessions = Sessions(self.clock, **limits)
        self.sessions.start()
        self.service = Pop3Service(
            store=self.store,
            blobs=self.blobs,
            authenticator=self.world.authenticator,
            sessions=self.sessions,
            clock=self.clock,
            tls=cast(Any, type("ServerTls", (), {"factory": "the factory"})()),
            hostname="mail.example.test",
            undelete_s=UNDELETE_S,
            now_ms=lambda: NOW_MS,
            **settings,
        )

    def append(self, octets: bytes, owner: str = ALICE) -> int:
        """Put a message into the INBOX; of any size without a file."""

        def write(transaction: Transaction) -> int:
            blob_id = self.blobs.add(transaction, StagedBytes(octets))
            provide(transaction, owner, NOW_MS)
            inbox = need(transaction, owner, INBOX)
            uid, _ = append(transaction, inbox.id, [NewMail(blob_id, len(octets), 10**9)], 10**9)
            return uid

        return self.world.engine.transact(write)

    def purge(self) -> None:
        """Release the contents of what was removed."""

        def write(transaction: Transaction) -> None:
            for _, due_s, mailbox_id, modseq in [key for key, _ in transaction.scan((MAIL_PURGE,))]:
                keeping.purge(transaction, self.blobs, int(due_s), str(mailbox_id), int(modseq))

        self.world.engine.transact(write)

    def uids(self) -> list[int]:
        """Return the UIDs in the INBOX of alice."""

        def read(snapshot: Any) -> list[int]:
            found = find(snapshot, ALICE, INBOX)
            return [] if found is None else [row.uid for row in reading.rows(snapshot, found.id)]

        return self.world.engine.view(read)

    def connect(self, *, tls: bool = True) -> Connection:
        """Return a new connection, under TLS unless said otherwise."""
        return Connection(self, tls)


class Connection(MemoryConnection):
    """A client's end."""

    def __init__(self, server: Server, tls: bool) -> None:
        factory = Pop3Factory()
        factory.service = server.service
        self.server = server
        self.protocol: Pop3Protocol = factory.buildProtocol(None)
        super().__init__(self.protocol, server.clock, b"STLS\r\n" if tls else None)

    def log_in(self) -> bytes:
        """Log in as alice and return the answers."""
        return self.say(LOG_IN)
