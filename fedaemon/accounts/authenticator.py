"""Checks who logs in: a user name and a password, or the keys for SCRAM, against the accounts of the store.

Theory of operation: ``verify`` asks the lockout, reads the account, and has the password hashed in a thread
(``hashqueue.py``). A password that proved right is remembered for five minutes as a digest keyed with a
secret of this process, so that an application which logs in for each message pays for one hash in five
minutes. What is remembered is only "this password is the one with that hash": the account is read anew at
each login, so a removed password, a disabled account or a changed scope counts at once.

Standards: RFC 4954 (535 5.7.8, 454 4.7.0), RFC 5802.
Invariants: a user who does not exist costs and answers the same as a wrong password; no password is kept,
logged or part of an exception; the reactor never hashes.
Limits: 10,000 remembered logins; waiting hashes as in ``hashqueue.py``.
Known gaps: an account keeps its SCRAM iteration count until it is made anew; when the default has been
raised since, the count that SCRAM shows tells old accounts from those that do not exist.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from fedaemon.accounts.conversation import Conversation
from fedaemon.accounts.directory import get_account
from fedaemon.accounts.hashqueue import HashQueue, RunInThread
from fedaemon.accounts.lockout import Lockout, networks_of
from fedaemon.accounts.login import (
    DISABLED,
    MAX_LOGIN,
    NOT_AN_ADDRESS,
    PLACEHOLDER,
    WRONG,
    BadCredentials,
    login_key,
)
from fedaemon.accounts.passwords import COST, SALT_OCTETS, Cost, find_password, prepare
from fedaemon.accounts.records import Account
from fedaemon.accounts.sasl import ScramKey, ScramSecrets, new_mechanism
from fedaemon.errors import Refused
from fedaemon.store.interface import Store, Transaction
from fedaemon.store.spaces import SECRET

REMEMBERED_S = 300.0
MAX_REMEMBERED = 10_000
SECRET_KEY = (SECRET, "scram-stand-in")
SECRET_OCTETS = 32

EXAMPLES = frozenset(
    {"password", "your-password", "your_password", "yourpassword", "your-generated-password", "changeme"}
)
"""Passwords that are copied from guides; the hint is given whoever the user is."""


class Clock(Protocol):
    """A reactor, or ``twisted.internet.task.Clock``."""

    def seconds(self) -> float:
        """Return the time in seconds."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: A002, N802
        """Call *callable* in *delay* seconds."""


class Authenticator:
    """Checks passwords of accounts.

    :param store: where the accounts are.
    :param run_in_thread: runs a function in the thread pool for hashes and fires with its result.
    :param clock: the time, and a way to wait.
    :param lockout: counts failed logins; it should have the same clock.
    :param threads: size of the thread pool.
    :param cost: how much work a guess is, where it is not an account's own.
    """

    def __init__(
        self,
        store: Store,
        run_in_thread: RunInThread,
        clock: Clock,
        lockout: Lockout,
        *,
        threads: int = 2,
        cost: Cost = COST,
    ) -> None:
        self._store = store
        self._clock = clock
        self._lockout = lockout
        self._cost = cost
        self._hashes = HashQueue(run_in_thread, threads)
        self._key = os.urandom(32)
        self._remembered: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._secret: bytes | None = None
        # A hash of no password: as much work as a real one, and its result is thrown away.
        empty = base64.b64encode(bytes(SALT_OCTETS)).decode("ascii")
        self._stand_in_hash = f"$scrypt$ln={cost.scrypt_log2_n},r=8,p=1${empty}${empty}"

    def converse(self, mechanism: str, bindings: Mapping[str, bytes], scope: str, peer: str) -> Conversation:
        """Begin a SASL exchange.

        :param mechanism: its name as the client gave it.
        :param bindings: the TLS channel's bindings by type; none: SCRAM-SHA-256-PLUS is not to be had.
        :param scope: "smtp", "imap" or "pop3".
        :param peer: the client's IP address in text form.
        :raises Refused: 504 5.5.4, an unknown mechanism.
        """
        return Conversation(self, new_mechanism(mechanism, bindings), scope, peer)

    def verify(self, login: str, password: str, scope: str, peer: str) -> Deferred[Account]:
        """Fire with the account that *login* and *password* are of; parameters as in ``converse``.

        :raises BadCredentials: 535; the text does not tell whether the account exists.
        :raises Refused: 454 4.7.0, too many failures (``Lockout``).
        :raises Unavailable: 454 4.7.0, too many logins at once; or a fault of the store.
        """
        return Deferred.fromCoroutine(self._verify(login, password, scope, peer))

    async def _verify(self, login: str, password: str, scope: str, peer: str) -> Account:
        key = login_key(login)
        name = key or login[:MAX_LOGIN]
        check = partial(self._lockout.check, peer, name)
        check()
        try:
            prepared = prepare(password)
        except Refused:
            # No account can have such a password: the same cheap answer for everybody.
            prepared = ""
        guess = hmac.digest(self._key, f"{name}\0{prepared}".encode("utf-8", "surrogatepass"), "sha256")
        if key is None or not prepared:
            await self.refuse(peer, name, NOT_AN_ADDRESS if key is None else WRONG, guess)
        assert key is not None
        account = await self.account(key)
        used = self._recall(guess)
        if used is None or not _has(account, used):
            compute = partial(find_password, prepared, account, self._stand_in_hash)
            used = await self._hashes.submit(guess, networks_of(peer)[0][0], check, compute)
            account = await self.account(key)
            if used is None or not _has(account, used):
                await self.refuse(peer, name, PLACEHOLDER if prepared in EXAMPLES else WRONG, guess)
            assert used is not None
            self._remember(guess, used)
        return self._admit(account, used, scope, peer)

    async def admit(self, login: str, used: str, scope: str, peer: str) -> Account:
        """Return the account *login* for a client that proved to know its password with the hash *used*.

        Raises as ``verify`` does.
        """
        account = await self.account(login_key(login) or login)
        if not _has(account, used):
            raise BadCredentials(WRONG, login=account.address)
        return self._admit(account, used, scope, peer)

    def _admit(self, account: Account, used: str, scope: str, peer: str) -> Account:
        """Let somebody in who knows the password *used*, or tell what is in the way."""
        self._lockout.succeeded(peer, account.address)
        if account.disabled:
            raise BadCredentials(DISABLED, login=account.address, status="5.7.13")
        for password in account.passwords:
            if password.hash == used and scope in password.scopes:
                return replace(account, logged_in_with=used)
        raise BadCredentials(
            f"This password is not for {scope}: make one that is with: "
            f"fedaemonctl password add {account.address} --name NAME --scope {scope}",
            login=account.address,
        )

    async def account(self, key: str) -> Account:
        """Return the account *key*, or for nobody a stand-in without passwords and with a constant salt."""
        found = await self._store.read(lambda snapshot: get_account(snapshot, key))
        if found is not None:
            return found
        if self._secret is None:
            self._secret = await self._store.read(lambda snapshot: snapshot.get(SECRET_KEY))
        if self._secret is None:
            self._secret = await self._store.write(_make_secret)
        salt = hmac.digest(self._secret, key.encode("utf-8", "surrogatepass"), "sha256")[:SALT_OCTETS]
        return Account(key, scram_salt=salt, scram_iterations=self._cost.iterations)

    def scram_secrets(self, login: str) -> Deferred[ScramSecrets]:
        """Fire with the SCRAM keys of *login*; for nobody with a stand-in that no client can prove."""
        return Deferred.fromCoroutine(self._scram_secrets(login))

    async def _scram_secrets(self, login: str) -> ScramSecrets:
        account = await self.account(login_key(login) or login)
        keys = tuple(
            ScramKey(password.hash, password.stored_key, password.server_key)
            for password in account.passwords
        )
        nobody = ScramKey("", os.urandom(32), os.urandom(32))
        return ScramSecrets(account.scram_salt, account.scram_iterations, keys or (nobody,))

    def check_lockout(self, peer: str, login: str) -> None:
        """Raise ``Refused`` 454 4.7.0 while *peer* or *login* is locked out."""
        self._lockout.check(peer, login_key(login) or login[:MAX_LOGIN])

    async def refuse(self, peer: str, login: str, text: str, guess: bytes | None) -> NoReturn:
        """Count a failed login, hold the answer back as the lockout says, and raise ``BadCredentials``."""
        delay_s = self._lockout.failed(peer, login_key(login) or login[:MAX_LOGIN], guess)
        if delay_s > 0:
            await deferLater(self._clock, delay_s, lambda: None)  # type: ignore[arg-type]
        raise BadCredentials(text, login=login_key(login) or "")

    def _recall(self, guess: bytes) -> str | None:
        found = self._remembered.get(guess)
        if found is None:
            return None
        used, until_s = found
        if self._clock.seconds() >= until_s:
            del self._remembered[guess]
            return None
        return used

    def _remember(self, guess: bytes, used: str) -> None:
        self._remembered[guess] = (used, self._clock.seconds() + REMEMBERED_S)
        self._remembered.move_to_end(guess)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)


def _has(account: Account, used: str) -> bool:
    return any(password.hash == used for password in account.passwords)


def _make_secret(transaction: Transaction) -> bytes:
    """Return the secret of the stand-in salts, made when there is none yet."""
    secret = transaction.get(SECRET_KEY)
    if secret is None:
        secret = os.urandom(SECRET_OCTETS)
        transaction.put(SECRET_KEY, secret)
    return secret
