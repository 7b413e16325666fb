"""Run by test_poplib in its own process: a POP3 server on real sockets and a real store, until it is killed.

Prints its two ports: with STLS, and with implicit TLS. Arguments: a directory, the certificate, the key.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, execute

from fedaemon.accounts import directory
from fedaemon.accounts.authenticator import Authenticator
from fedaemon.accounts.lockout import Lockout
from fedaemon.accounts.records import Domain
from fedaemon.mailbox.adding import NewMail, append
from fedaemon.mailbox.mailboxes import INBOX, need, provide
from fedaemon.net.listeners import open_listeners
from fedaemon.net.sessions import Sessions
from fedaemon.net.tls import ServerTls
from fedaemon.pop3.protocol import Pop3Factory
from fedaemon.pop3.service import Pop3Service
from fedaemon.store.async_store import AsyncStore
from fedaemon.store.content import MemoryContent
from fedaemon.store.interface import Transaction
from fedaemon.store.lmdb_engine import LmdbEngine
from tests.accounts.world import ALICE, CHEAP, make_account
from tests.pop3.messages import MESSAGES

reactor: Any = global_reactor


class Place:
    address = "127.0.0.1"
    port = 0


def fill(transaction: Transaction) -> None:
    """Make an account with the messages of the test."""
    directory.add_domain(transaction, Domain("example.org"))
    directory.put_account(transaction, make_account())
    provide(transaction, ALICE, 10**12)
    inbox = need(transaction, ALICE, INBOX)
    for octets, stage in staged:
        blob_id = engine.blobs.add(transaction, stage)
        append(transaction, inbox.id, [NewMail(blob_id, len(octets), 10**9)], 10**9)


def now(function: Any) -> Deferred[Any]:
    """Hash at once: the test's hashes are cheap."""
    return execute(function)


engine = LmdbEngine.open(Path(sys.argv[1]), reserve_octets=0)
staged = [(octets, engine.blobs.stage(MemoryContent(octets))) for octets in MESSAGES]
engine.transact(fill)
store = AsyncStore(engine, reactor)
store.start()
sessions = Sessions(reactor)
factories = []
for implicit in (False, True):
    factory = Pop3Factory()
    factory.service = Pop3Service(
        store=store,
        blobs=engine.blobs,
        authenticator=Authenticator(store, now, reactor, Lockout(reactor.seconds, 10), cost=CHEAP),
        sessions=sessions,
        clock=reactor,
        tls=ServerTls(Path(sys.argv[2]), Path(sys.argv[3])),
        hostname="localhost",
        undelete_s=0,
        implicit_tls=implicit,
    )
    factories.append(factory)
listeners = open_listeners(reactor, [Place(), Place()], factories)
reactor.callWhenRunning(lambda: print(*(port for _, port in listeners.ports()), flush=True))
reactor.callLater(120, reactor.stop)
reactor.run()
