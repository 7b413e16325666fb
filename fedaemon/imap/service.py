"""What the IMAP connections of one listener share, and what they ask of the store.

Standards: RFC 9051 5.4 (autologout).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from fedaemon.accounts.authenticator import Authenticator
from fedaemon.accounts.records import Account
from fedaemon.accounts.sasl import MECHANISMS
from fedaemon.imap.session import EngineSettings
from fedaemon.mailbox import mailboxes
from fedaemon.mailbox.live import LiveMailboxes
from fedaemon.mailbox.shaping import Shaper
from fedaemon.net import tls
from fedaemon.net.sessions import Sessions
from fedaemon.store.blobs import Blobs
from fedaemon.store.interface import Snapshot, Store
from fedaemon.submission.intake import Spool


@dataclass(frozen=True, slots=True)
class ImapService:
    """What all connections of one listener share.

    *clock* gives each connection its turns (a reactor), *now_s* the time since the epoch. *tls* is None where no
    certificate is configured: then nobody can log in. *login_timeout_s* is how long a client may take to log in,
    *idle_timeout_s* how long it may be silent then (RFC 9051 5.4: at least 30 minutes).
    """

    store: Store
    blobs: Blobs
    live: LiveMailboxes
    authenticator: Authenticator
    sessions: Sessions
    shaper: Shaper
    clock: Any
    now_s: Callable[[], float]
    new_spool: Callable[[], Spool]
    check_space: Callable[[], None]
    run_in_thread: Callable[..., Deferred[Any]]
    tls: tls.ServerTls | None
    hostname: str
    implicit_tls: bool = False
    proxy_protocol: bool = False
    login_timeout_s: float = 180.0
    idle_timeout_s: float = 1860.0
    errors_per_session: int = 20
    max_message_octets: int = 50 * 1024 * 1024
    undelete_s: int = 7 * 86400
    quota_octets: int | None = None

    def engine_settings(self) -> EngineSettings:
        """Return what the engines are told."""
        return EngineSettings(
            hostname=self.hostname,
            blobs=self.blobs,
            live=self.live,
            clock=self.now_s,
            tls_available=self.tls is not None and not self.implicit_tls,
            auth_mechanisms=tuple(MECHANISMS),
            errors_per_session=self.errors_per_session,
            max_message_octets=self.max_message_octets,
            undelete_s=self.undelete_s,
            quota_octets=self.quota_octets,
        )

    async def provide(self, account: Account) -> None:
        """Make those of the standard mailboxes of *account* that it never had."""

        def lacks(snapshot: Snapshot) -> bool:
            return mailboxes.lacks_standard(snapshot, account.address)

        if await self.store.read(lacks):
            now_ms = int(self.now_s() * 1000)
            await self.store.write(
                lambda transaction: mailboxes.provide(transaction, account.address, now_ms)
            )
