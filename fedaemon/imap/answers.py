"""What the engine's commands wait for: answered by the accounts, the store and the connection.

Standards: RFC 9051 6.2.
Invariants: who has left is not counted as logged in; one content at a time is collected for a connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from fedaemon.accounts.conversation import Conversation, Success
from fedaemon.accounts.records import Account
from fedaemon.accounts.sasl import Challenge
from fedaemon.errors import MailError, Refused
from fedaemon.imap import operations as o
from fedaemon.imap.service import ImapService
from fedaemon.logs import Logger
from fedaemon.net import tls
from fedaemon.store.interface import Content
from fedaemon.submission.intake import Spool

if TYPE_CHECKING:
    from fedaemon.imap.protocol import ImapProtocol

SCOPE: Final = "imap"

log = Logger()


class Answers:
    """The answers for one connection; *account* is None before the log-in."""

    def __init__(self, service: ImapService, connection: ImapProtocol) -> None:
        self.account: Account | None = None
        self._service = service
        self._connection = connection
        self._conversation: Conversation | None = None
        self._mechanism = ""
        self._spool: Spool | None = None

    def to(self, operation: o.Operation[Any]) -> Deferred[Any]:
        """Do what *operation* asks for; fire with what comes of it, or fail with what it means."""
        return _ANSWERS[type(operation)](self, operation)

    def drop(self) -> None:
        """The connection is gone."""
        if self._spool is not None:
            self._spool.discard()
            self._spool = None

    # -- who it is

    def _verify(self, operation: o.Verify) -> Deferred[str]:
        return Deferred.fromCoroutine(self._verified(operation))

    async def _verified(self, operation: o.Verify) -> str:
        authenticator = self._service.authenticator
        address = self._connection.address
        self._mechanism = "LOGIN"
        return await self._enter(
            await authenticator.verify(operation.login, operation.password, SCOPE, address)
        )

    def _start(self, operation: o.Start) -> Deferred[bytes | str]:
        # Only SCRAM looks at the channel; for the others the bindings would be work for nothing.
        scram = operation.mechanism.startswith("SCRAM")
        bindings = tls.channel_bindings(self._connection.transport.getHandle()) if scram else {}
        self._mechanism = operation.mechanism
        self._conversation = self._service.authenticator.converse(
            operation.mechanism, bindings, SCOPE, self._connection.address
        )
        return Deferred.fromCoroutine(self._step(self._conversation.start(operation.initial)))

    def _respond(self, operation: o.Respond) -> Deferred[bytes | str]:
        assert self._conversation is not None
        return Deferred.fromCoroutine(self._step(self._conversation.respond(operation.data)))

    async def _step(self, waiting: Deferred[Challenge | Success]) -> bytes | str:
        step = await waiting
        if isinstance(step, Challenge):
            return step.data
        return await self._enter(step.account)

    async def _enter(self, account: Account) -> str:
        """The client has logged in."""
        self._conversation = None
        await self._service.provide(account)
        connection = self._connection
        if not connection.open:
            # Who has left already must not be counted: nobody would take it off again.
            raise Refused("the client has left")
        self._service.sessions.login(connection, account.address)
        self.account = account
        connection.log_login(self._mechanism)
        return account.address

    def _leave(self, operation: o.Leave) -> Deferred[None]:
        self._service.sessions.logout(self._connection)
        self.account = None
        return succeed(None)

    # -- the store

    def _read(self, operation: o.Read[Any]) -> Deferred[Any]:
        return self._service.store.read(operation.function)

    def _write(self, operation: o.Write[Any]) -> Deferred[Any]:
        return self._service.store.write(operation.function)

    def _in_thread(self, operation: o.InThread[Any]) -> Deferred[Any]:
        return self._service.run_in_thread(operation.function)

    def _write_later(self, operation: o.WriteLater) -> Deferred[None]:
        self._service.store.write(operation.function).addErrback(_not_written)
        return succeed(None)

    # -- contents

    def _block(self, operation: o.Block) -> Deferred[None]:
        if self._spool is None:
            self._service.check_space()
            self._spool = self._service.new_spool()
        return self._spool.write(operation.data) or succeed(None)

    def _collected(self, operation: o.Collected) -> Deferred[Content]:
        spool, self._spool = self._spool or self._service.new_spool(), None
        return spool.finish()

    def _stage(self, operation: o.Stage) -> Deferred[Any]:
        return self._service.store.stage(operation.content)

    def _discard(self, operation: o.Discard) -> Deferred[None]:
        return self._service.store.discard(operation.staged)

    def _make_shape(self, operation: o.MakeShape) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._service.shaper.shape(operation.content))


def _not_written(failure: Failure) -> None:
    error = failure.value
    if isinstance(error, MailError):
        log.info("a change that may be lost was not kept", event="not-kept", reason=error.text)
    else:
        log.failure("a change that may be lost was not kept", failure, event="defect")


_ANSWERS: dict[type, Callable[[Answers, Any], Deferred[Any]]] = {
    o.Verify: Answers._verify,
    o.Start: Answers._start,
    o.Respond: Answers._respond,
    o.Leave: Answers._leave,
    o.Read: Answers._read,
    o.Write: Answers._write,
    o.WriteLater: Answers._write_later,
    o.InThread: Answers._in_thread,
    o.Block: Answers._block,
    o.Collected: Answers._collected,
    o.Stage: Answers._stage,
    o.Discard: Answers._discard,
    o.MakeShape: Answers._make_shape,
}
