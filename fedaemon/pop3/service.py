"""What the POP3 connections of one listener share, and what they ask of the store.

Standards: RFC 1939 4, 6.
Invariants: nobody reads or removes anything with a password that is no longer valid; a client hears that its
messages are removed when all of them are.
Limits: a maildrop is read, and what was marked is removed, in the slices of ``inbox``, each in a turn of its own.
Known gaps: when the store fails between two slices, only the messages of the first are removed: RFC 1939 6 has
-ERR for that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from fedaemon.accounts.authenticator import Authenticator
from fedaemon.accounts.directory import current
from fedaemon.accounts.records import Account
from fedaemon.accounts.sasl import MECHANISMS
from fedaemon.mailbox import reading
from fedaemon.net import tls
from fedaemon.net.sessions import Sessions
from fedaemon.pop3 import inbox
from fedaemon.pop3.maildrop import Maildrop
from fedaemon.pop3.session import EngineSettings
from fedaemon.store.blobs import Blobs
from fedaemon.store.interface import Content, Snapshot, Store, Transaction


def _wall_clock_ms() -> int:
    return int(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class Pop3Service:
    """What all connections of one listener share.

    *clock* gives each connection its turns (a reactor). *tls* is None where no certificate is configured:
    then nobody can log in. *undelete_s* is how long removed messages can be restored; *now_ms* returns the time in
    milliseconds since the epoch.
    """

    store: Store
    blobs: Blobs
    authenticator: Authenticator
    sessions: Sessions
    clock: Any
    tls: tls.ServerTls | None
    hostname: str
    undelete_s: int
    now_ms: Callable[[], int] = _wall_clock_ms
    implicit_tls: bool = False
    proxy_protocol: bool = False
    idle_timeout_s: float = 600.0
    errors_per_session: int = 20

    def engine_settings(self) -> EngineSettings:
        """Return what the engines are told."""
        return EngineSettings(
            hostname=self.hostname,
            tls_available=self.tls is not None and not self.implicit_tls,
            auth_mechanisms=tuple(MECHANISMS),
            errors_per_session=self.errors_per_session,
        )

    async def open_maildrop(self, account: Account) -> Maildrop:
        """Return what is in the INBOX of *account* now. Spec: RFC 1939 4"""
        found = await self.store.read(lambda snapshot: inbox.inbox_of(snapshot, account.address))
        if found is None:
            return Maildrop()
        maildrop = Maildrop(found.mailbox_id, found.uidvalidity)
        after_uid = 0
        while True:
            listed = await self.store.read(
                partial(inbox.list_mails, mailbox_id=found.mailbox_id, after_uid=after_uid)
            )
            maildrop.extend(listed.uids, listed.sizes)
            if listed.after_uid is None:
                return maildrop
            after_uid = listed.after_uid
            await deferLater(self.clock, 0, lambda: None)

    def content(self, account: Account, mailbox_id: str, uid: int) -> Deferred[Content | None]:
        """Fire with a message's octets, None when it is purged.

        What another session removes can be read on until then.

        Fails with ``BadCredentials`` when the password of the session is no longer valid, with ``StoreError``
        when the content is missing. What it fires with is to be opened in the same turn.
        """
        return self.store.read(partial(_content, self.blobs, account, mailbox_id, uid))

    async def remove(self, account: Account, mailbox_id: str, uids: tuple[int, ...]) -> int:
        """Remove messages, a slice a transaction; return how many were still there.

        :raises BadCredentials: the password of the session is no longer valid.
        :raises Refused: the mailbox was deleted.
        :raises StoreError: the store cannot write.
        """
        seen = removed = 0
        while seen < len(uids):
            remove = partial(_remove, account, mailbox_id, uids[seen:], self.now_ms(), self.undelete_s)
            part, gone = await self.store.write(remove)
            seen += part
            removed += gone
        return removed


def _content(blobs: Blobs, account: Account, mailbox_id: str, uid: int, snapshot: Snapshot) -> Content | None:
    current(snapshot, account)
    found = reading.mail(snapshot, mailbox_id, uid)
    return None if found is None else reading.content(snapshot, blobs, found)


def _remove(
    account: Account,
    mailbox_id: str,
    uids: tuple[int, ...],
    now_ms: int,
    undelete_s: int,
    transaction: Transaction,
) -> tuple[int, int]:
    current(transaction, account)
    return inbox.remove(transaction, mailbox_id, uids, now_ms, undelete_s)
