"""One SASL exchange with everything it needs: the mechanism, the accounts, and the counting of failures.

SMTP, IMAP and POP3 all do the same with it: ``start`` once, ``respond`` for each line the client sends
(both after base64), until ``Success`` or a refusal; "*" ends it on their side.

Standards: RFC 4422 3, RFC 4954 4 (the server's last data goes in a challenge that is answered with an empty
line).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from fedaemon.accounts.login import NOT_AN_ADDRESS, BadCredentials, login_key
from fedaemon.accounts.records import Account
from fedaemon.accounts.sasl import Challenge, Mechanism, NeedPassword, NeedScram, Proved, ScramSha256, Step
from fedaemon.errors import BadSyntax

if TYPE_CHECKING:
    from fedaemon.accounts.authenticator import Authenticator


@dataclass(frozen=True, slots=True)
class Success:
    """The client has logged in."""

    account: Account


class Conversation:
    """One exchange; made by ``Authenticator.converse``."""

    def __init__(self, authenticator: Authenticator, mechanism: Mechanism, scope: str, peer: str) -> None:
        self._authenticator = authenticator
        self._mechanism = mechanism
        self._scope = scope
        self._peer = peer
        self._login = ""
        self._admitted: Account | None = None

    def start(self, initial: bytes | None) -> Deferred[Challenge | Success]:
        """Begin, with the initial response if there was one ("=" is the empty one).

        The Deferred fails with ``BadSyntax`` (501), ``BadCredentials`` (535), ``Refused`` or
        ``Unavailable`` (454).
        """
        return Deferred.fromCoroutine(self._start(initial))

    def respond(self, data: bytes) -> Deferred[Challenge | Success]:
        """Go on with the client's answer to the last challenge; fails as ``start`` does."""
        return Deferred.fromCoroutine(self._go_on(data))

    async def _start(self, initial: bytes | None) -> Challenge | Success:
        return await self._follow(self._mechanism.start(initial))

    async def _go_on(self, data: bytes) -> Challenge | Success:
        if self._admitted is not None:
            if data:
                raise BadSyntax("the answer to the server's last SCRAM message must be empty")
            return Success(self._admitted)
        if self._login:
            # Asked again right before a SCRAM proof is looked at: exchanges begun side by side are guesses,
            # too.
            self._authenticator.check_lockout(self._peer, self._login)
        try:
            step = self._mechanism.respond(data)
        except BadCredentials as error:
            await self._authenticator.refuse(self._peer, self._login, error.text, None)
        return await self._follow(step)

    async def _follow(self, step: Step) -> Challenge | Success:
        """Do what the mechanism asks for."""
        match step:
            case Challenge():
                return step
            case NeedPassword():
                account = await self._authenticator.verify(step.login, step.password, self._scope, self._peer)
                return Success(account)
            case NeedScram():
                return await self._scram(step.login)
            case Proved():
                self._admitted = await self._authenticator.admit(
                    step.login, step.hash, self._scope, self._peer
                )
                return Challenge(step.data)

    async def _scram(self, login: str) -> Challenge:
        self._authenticator.check_lockout(self._peer, login)
        if login_key(login) is None:
            await self._authenticator.refuse(self._peer, login, NOT_AN_ADDRESS, None)
        self._login = login
        found = await self._authenticator.scram_secrets(login)
        assert isinstance(self._mechanism, ScramSha256)
        return self._mechanism.secrets(found)
