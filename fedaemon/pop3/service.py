"""What the POP3 connections of one listener share, and what they ask of the store.

Standards: RFC 1939 4, 6.
Invariants: messages are removed in one transaction, all or none; nobody reads or removes anything with a
password that is no longer valid.
Limits: a maildrop is read ``SLICE`` messages in a turn of the reactor.
Known gaps: one transaction removes all that was marked, however much it is: some 10 ms for a thousand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from fedaemon.accounts.authenticator import Authenticator
from fedaemon.accounts.directory import current
from fedaemon.accounts.records import Account
from fedaemon.accounts.sasl import MECHANISMS
from fedaemon.mailbox import store as mail
from fedaemon.net import tls
from fedaemon.net.sessions import Sessions
from fedaemon.pop3.maildrop import Maildrop
from fedaemon.pop3.session import EngineSettings
from fedaemon.store.blobs import Blobs
from fedaemon.store.interface import Content, Snapshot, Store, Transaction

SLICE: Final = 2000


@dataclass(frozen=True, slots=True)
class Pop3Service:
    """What all connections of one listener share.

    *clock* gives each connection its turns (a reactor). *tls* is None where no certificate is configured:
    then nobody can log in.
    """

    store: Store
    blobs: Blobs
    authenticator: Authenticator
    sessions: Sessions
    clock: Any
    tls: tls.ServerTls | None
    hostname: str
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
        found = await self.store.read(lambda snapshot: mail.find(snapshot, account.address, mail.INBOX))
        if found is None:
            return Maildrop()
        maildrop = Maildrop(found.id, found.uidvalidity)
        while True:
            listed = await self.store.read(partial(_slice, found.id, maildrop.last_uid()))
            maildrop.extend(listed)
            if len(listed) < SLICE:
                return maildrop
            await deferLater(self.clock, 0, lambda: None)

    def content(self, account: Account, mailbox_id: str, uid: int) -> Deferred[Content | None]:
        """Fire with a message's octets, None when it was removed.

        Fails with ``BadCredentials`` when the password of the session is no longer valid, with ``StoreError``
        when the content is missing. What it fires with is to be opened in the same turn.
        """
        return self.store.read(partial(_content, self.blobs, account, mailbox_id, uid))

    def remove(self, account: Account, mailbox_id: str, uids: tuple[int, ...]) -> Deferred[int]:
        """Remove messages in one transaction; fire with how many were still there. Fails as ``content``."""
        return self.store.write(partial(_remove, self.blobs, account, mailbox_id, uids))


def _slice(mailbox_id: str, after_uid: int, snapshot: Snapshot) -> list[tuple[int, int]]:
    return list(mail.sizes(snapshot, mailbox_id, after_uid, SLICE))


def _content(blobs: Blobs, account: Account, mailbox_id: str, uid: int, snapshot: Snapshot) -> Content | None:
    current(snapshot, account)
    found = mail.get_mail(snapshot, mailbox_id, uid)
    return None if found is None else mail.content(snapshot, blobs, found)


def _remove(
    blobs: Blobs, account: Account, mailbox_id: str, uids: tuple[int, ...], transaction: Transaction
) -> int:
    current(transaction, account)
    return mail.expunge(transaction, blobs, mailbox_id, uids)
