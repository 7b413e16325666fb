"""Signs what leaves this server: finds the keys for a message's author, and makes its DKIM-Signature fields.

Small messages are signed at once, in some 0.4 ms; whatever takes longer (a large body, a private key that is
read for the first time) is done in a thread. A message that goes to many destinations is signed once, also
when all of them ask at the same time.

To sign a message is to vouch for its author. Whoever calls must know that the author's domain is answered for
here: the message was submitted by one who may use the address, or is our own report. Mail that came from
other servers and is passed on (aliases) must not be signed: it would turn a forged sender into an
authenticated one.

Standards: RFC 6376 5 (signer actions), RFC 8463 3 (two signatures).
Invariants: what a message is never makes signing fail: it goes unsigned, and that is logged once; what fails
because of ourselves (store, disk, stop) is ``Unavailable``, since mail that should be signed had better wait
than be refused for want of a signature.
Limits: CACHED_BLOCKS and CACHED_S of signatures kept; CACHED_KEYS private keys in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from fedaemon.errors import BadSyntax, Unavailable
from fedaemon.logs import Logger
from fedaemon.mailauth.keys import DkimKey, has_keys, signing_keys
from fedaemon.mailauth.private_key import BadKey, PrivateKey, from_der
from fedaemon.mailauth.signature import hash_body, open_message, write_signatures
from fedaemon.store.interface import Content, Store

INLINE_OCTETS: Final = 128 * 1024
"""Larger contents are files, and take more than 2 ms."""
CACHED_BLOCKS: Final = 1000
"""As many as the queue has recipients under way."""
CACHED_S: Final = 3600.0
"""A later attempt gets a new signature, so that the next server has all of its life time."""
CACHED_KEYS: Final = 4000

RunInThread = Callable[[Callable[[], Any]], Deferred[Any]]
"""Runs a function in a thread and fires in the reactor's thread, as ``net.threads.WorkerThreads.run``
does."""

log = Logger()


@dataclass(frozen=True, slots=True)
class _Signed:
    """What became of a message; good for as long as *domain* signs with the same *keys*."""

    block: bytes
    domain: str
    keys: tuple[DkimKey, ...]
    at_s: float


class Signer:
    """Makes DKIM-Signature fields; all methods are for the reactor's thread.

    :param store: where the keys are.
    :param run_in_thread: see RunInThread.
    :param now_s: gives the time in seconds since the epoch.
    """

    def __init__(self, store: Store, run_in_thread: RunInThread, now_s: Callable[[], float]) -> None:
        self._store = store
        self._run_in_thread = run_in_thread
        self._now_s = now_s
        self._signed: OrderedDict[str, _Signed] = OrderedDict()
        self._waiting: dict[str, list[Deferred[bytes]]] = {}
        self._private: OrderedDict[bytes, PrivateKey | None] = OrderedDict()

    def sign(self, content: Content, *, cache_key: str) -> Deferred[bytes]:
        """Fire with the DKIM-Signature fields to be put before *content*.

        :param content: the message as it will be sent; it must not change any more.
        :param cache_key: names this content, such as by its queue id.
        :returns: whole lines; b"" when no key fits or the message cannot be signed. Fails with
            ``Unavailable`` when the store or the content cannot be read now.

        Spec: RFC 6376 5, RFC 8463 3
        """
        caller: Deferred[bytes] = Deferred()
        waiting = self._waiting.get(cache_key)
        if waiting is not None:
            waiting.append(caller)
            return caller
        self._waiting[cache_key] = [caller]
        Deferred.fromCoroutine(self._sign(content, cache_key)).addBoth(self._tell, cache_key)
        return caller

    def _tell(self, result: bytes | Failure, cache_key: str) -> None:
        """Give *result* to all who asked; a caller that cancelled hears nothing, and stops nobody else."""
        for caller in self._waiting.pop(cache_key):
            if isinstance(result, Failure):
                caller.errback(result)
            else:
                caller.callback(result)

    async def _sign(self, content: Content, cache_key: str) -> bytes:
        if not await self._store.read(has_keys):
            return b""
        known = self._signed.get(cache_key)
        fresh = known is not None and 0 <= self._now_s() - known.at_s < CACHED_S
        if known is not None and fresh and await self._keys(known.domain) == known.keys:
            self._signed.move_to_end(cache_key)
            return known.block
        try:
            signed = await self._make(content)
        except BadSyntax as error:
            log.info(
                "a message goes without DKIM signature", event="unsigned", id=cache_key, reason=error.text
            )
            signed = self._unsigned()
        except Unavailable:
            raise
        except Exception:
            log.failure("a message goes without DKIM signature", event="defect", id=cache_key)
            signed = self._unsigned()
        self._signed[cache_key] = signed
        self._signed.move_to_end(cache_key)
        if len(self._signed) > CACHED_BLOCKS:
            self._signed.popitem(last=False)
        return signed.block

    def _unsigned(self) -> _Signed:
        return _Signed(b"", "", (), self._now_s())

    async def _make(self, content: Content) -> _Signed:
        """Sign *content*."""
        threaded = content.size > INLINE_OCTETS
        opened = (
            await self._run_in_thread(partial(open_message, content)) if threaded else open_message(content)
        )
        keys = await self._keys(opened.domain)
        now_s = self._now_s()
        usable = [(key, private) for key in keys if (private := await self._private_key(key)) is not None]

        def work() -> bytes:
            return write_signatures(opened, hash_body(content, opened.body_at), usable, now_s)

        block = b""
        if usable:
            block = await self._run_in_thread(work) if threaded else work()
        return _Signed(block, opened.domain, keys, now_s)

    async def _keys(self, domain: str) -> tuple[DkimKey, ...]:
        return await self._store.read(lambda snapshot: signing_keys(snapshot, domain))

    async def _private_key(self, key: DkimKey) -> PrivateKey | None:
        """Return the private key of *key*, or None when its record is damaged."""
        if key.private in self._private:
            self._private.move_to_end(key.private)
            return self._private[key.private]
        private: PrivateKey | None = None
        try:
            private = await self._run_in_thread(partial(from_der, key.private))
        except BadKey as error:
            # The traceback would say where in a library, which helps nobody.
            log.error(  # noqa: TRY400
                "a DKIM key cannot be used, make a new one with fedaemonctl dkim rotate",
                event="dkim-key-unusable",
                domain=key.domain,
                selector=key.selector,
                reason=error.text,
            )
        self._private[key.private] = private
        if len(self._private) > CACHED_KEYS:
            self._private.popitem(last=False)
        return private
