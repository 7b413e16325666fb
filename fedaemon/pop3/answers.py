"""What the engine asks: answered by the accounts and the store; and what it tells, for the log.

Standards: RFC 1939 4, 6, RFC 5034 4.
Invariants: who has left is not counted as logged in; a session ends with the password it began with.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from fedaemon.accounts.conversation import Conversation, Success
from fedaemon.accounts.records import Account
from fedaemon.accounts.sasl import Challenge
from fedaemon.errors import MailError
from fedaemon.logs import Logger
from fedaemon.net import tls
from fedaemon.net.sessions import FOREVER
from fedaemon.pop3 import events
from fedaemon.pop3.engine import ServerEngine
from fedaemon.pop3.service import Pop3Service
from fedaemon.store.interface import Content

if TYPE_CHECKING:
    from fedaemon.pop3.protocol import Pop3Protocol

SCOPE: Final = "pop3"
BLOCK: Final = 64 * 1024
"""Octets read of a file at a time; also what is written in one turn, about."""

log = Logger()


class Answers:
    """The answers for one connection; *account* is None before the log-in."""

    def __init__(self, service: Pop3Service, engine: ServerEngine, connection: Pop3Protocol) -> None:
        self.account: Account | None = None
        self._service = service
        self._engine = engine
        self._connection = connection
        self._conversation: Conversation | None = None
        self._mechanism = ""

    def to(self, event: events.Event) -> Deferred[None]:
        """Do what *event* asks for; fire when that is done, whatever came of it."""
        if isinstance(event, events.Retrieve):
            # Asked for each message: a coroutine would take 7 of its 100 µs.
            answered = self._retrieve(event)
        else:
            answered = Deferred.fromCoroutine(_ANSWERS[type(event)](self, event))
        return answered.addErrback(self._refuse)

    def _refuse(self, failure: Failure) -> None:
        error: BaseException = failure.value  # type: ignore[assignment]
        connection = self._connection
        if isinstance(error, MailError):
            connection.log_refusal(error)
        else:
            connection.log_defect(failure)
        self._engine.refuse(error)

    async def _login(self, event: events.Login) -> None:
        authenticator = self._service.authenticator
        self._mechanism = "USER"
        await self._enter(
            await authenticator.verify(event.login, event.password, SCOPE, self._connection.address)
        )

    async def _auth_start(self, event: events.AuthStart) -> None:
        # Only SCRAM looks at the channel; for the others the bindings would be work for nothing.
        scram = event.mechanism.startswith("SCRAM")
        bindings = tls.channel_bindings(self._connection.transport.getHandle()) if scram else {}
        self._mechanism = event.mechanism
        conversation = self._service.authenticator.converse(
            event.mechanism, bindings, SCOPE, self._connection.address
        )
        self._conversation = conversation
        await self._step(await conversation.start(event.initial))

    async def _auth_response(self, event: events.AuthResponse) -> None:
        assert self._conversation is not None
        await self._step(await self._conversation.respond(event.data))

    async def _step(self, step: Challenge | Success) -> None:
        if isinstance(step, Challenge):
            self._engine.auth_challenge(step.data)
        else:
            await self._enter(step.account)

    async def _auth_cancel(self, event: events.AuthCancel) -> None:
        self._conversation = None

    async def _enter(self, account: Account) -> None:
        """The client has logged in: open the maildrop."""
        self._conversation = None
        maildrop = await self._service.open_maildrop(account)
        if not self._connection.open:
            # Who has left already must not be counted: nobody would take it off again.
            return
        self._service.sessions.login(self._connection, account.address)
        self.account = account
        self._connection.log_login(self._mechanism)
        self._engine.logged_in(maildrop)

    def _retrieve(self, event: events.Retrieve) -> Deferred[None]:
        assert self.account is not None
        mailbox_id = self._engine.maildrop.mailbox_id
        return self._service.content(self.account, mailbox_id, event.uid).addCallback(self._found)

    def _found(self, content: Content | None) -> None:
        if content is None:
            self._engine.gone()
        else:
            self._engine.found(content.chunks(BLOCK))

    async def _update(self, event: events.Update) -> None:
        assert self.account is not None
        # However long the store takes, the client is not to blame.
        self._connection.deadline = FOREVER
        mailbox_id = self._engine.maildrop.mailbox_id
        removed = await self._service.remove(self.account, mailbox_id, event.uids)
        log.info(event="messages-removed", **self._connection.session_fields(), count=removed)
        self._engine.accept(removed)

    async def _abuse(self, event: events.Abuse) -> None:
        self._connection.log_cut_off(event.reason)


_ANSWERS: dict[type, Callable[[Answers, Any], Coroutine[Deferred[Any], Any, None]]] = {
    events.Login: Answers._login,
    events.AuthStart: Answers._auth_start,
    events.AuthResponse: Answers._auth_response,
    events.AuthCancel: Answers._auth_cancel,
    events.Update: Answers._update,
    events.Abuse: Answers._abuse,
}
