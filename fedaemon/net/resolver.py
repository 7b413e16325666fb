"""What mail asks of DNS, with a cache, for the reactor's thread.

Delivery asks the same few questions again and again (the MX of a large provider for every recipient there),
and asks many at once. Answers are kept as long as their zone allows, equal questions under way are joined,
and the waiting is done in threads of its own (``dns_query.py``), so that a dead name server holds up only who
asked.

Standards: RFC 5321 5.1 (MX), RFC 7505 (null MX), RFC 2308 5 (negative caching), RFC 9520 (failures are
remembered for a moment), RFC 3596 (AAAA).
Invariants: all methods and all callbacks run in the reactor's thread; an answer is never kept longer than its
TTL (or ``MIN_TTL_S``).
Limits: ``CACHE_ENTRIES`` answers, the least recently used go first; *threads* questions at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from fedaemon.errors import MailError, Unavailable
from fedaemon.net.dns_query import Answer, DnsQuery, DnsTemporary, Missing, NoSuchName, Server, system_servers
from fedaemon.net.threads import WorkerThreads

__all__ = ["DnsTemporary", "Mx", "NoSuchName", "Resolver"]

CACHE_ENTRIES = 10_000
MIN_TTL_S = 5
"""Below this a zone would make us ask for every recipient of one message."""
MAX_TTL_S = 86_400
MAX_NEGATIVE_TTL_S = 300
"""A domain that gets its records a moment too late should not wait longer than one retry."""
FAILURE_TTL_S = 5


@dataclass(frozen=True, slots=True)
class Mx:
    """A mail exchanger: *host* in lower-case A-labels without the final dot; "." takes no mail (RFC 7505)."""

    preference: int
    host: str


class ResolverReactor(Protocol):
    """What is needed of the reactor."""

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:  # noqa: A002, N802
        """Run *callable* in the reactor's thread."""

    def seconds(self) -> float:
        """Return the time."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A cached result: records, or the error to fail with."""

    expires_s: float
    records: tuple[Any, ...] = ()
    error: str = ""
    family: type[MailError] | None = None


class Resolver:
    """Looks up mail exchangers, addresses and texts.

    :param nameservers: (address, port) pairs; none for the system's.
    :param threads: how many questions may be under way; further ones wait.
    """

    def __init__(
        self, reactor: ResolverReactor, nameservers: Sequence[Server] = (), threads: int = 16
    ) -> None:
        self._reactor = reactor
        self._query = DnsQuery(tuple(nameservers) or system_servers())
        self._threads = WorkerThreads(reactor, threads, "the resolver")
        self._cache: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._asking: dict[tuple[str, str], list[Deferred[tuple[Any, ...]]]] = {}

    def mx(self, domain: str) -> Deferred[list[Mx]]:
        """Return the mail exchangers of *domain*, best preference first; an empty list when it has none.

        Fails with ``NoSuchName`` or ``DnsTemporary``. Spec: RFC 5321 5.1.
        """
        return self._records(domain, "MX").addCallback(
            lambda records: sorted(
                (Mx(record.preference, _host(record.exchange)) for record in records),
                key=lambda mx: mx.preference,
            )
        )

    def addresses(self, host: str) -> Deferred[list[str]]:
        """Return the addresses of *host*, IPv6 and IPv4 by turns; an empty list when it has none.

        When only one of the two questions can be answered, its answer is enough if it has addresses. Fails
        with ``NoSuchName`` or ``DnsTemporary``.
        """
        asked: list[Deferred[Any]] = [
            self._records(host, kind).addCallbacks(_addresses_of, _mail_error) for kind in ("AAAA", "A")
        ]
        merged: Deferred[list[str]] = gatherResults(asked).addCallback(_by_turns)
        return merged

    def txt(self, name: str) -> Deferred[list[bytes]]:
        """Return the TXT records at *name*, the strings of each joined; fails as ``mx``.

        Spec: RFC 7208 3.3.
        """
        return self._records(name, "TXT").addCallback(
            lambda records: [b"".join(record.strings) for record in records]
        )

    def stop(self) -> None:
        """Fail what waits with ``Unavailable``; ask nothing more."""
        self._threads.stop()

    def _records(self, name: str, kind: str) -> Deferred[tuple[Any, ...]]:
        """Return the records from the cache, from a question under way, or from a new one."""
        key = (name.rstrip(".").lower(), kind)
        waiter: Deferred[tuple[Any, ...]] = Deferred()
        kept = self._cache.get(key)
        if kept is not None and kept.expires_s > self._reactor.seconds():
            self._cache.move_to_end(key)
            _fire(waiter, kept)
            return waiter
        if key in self._asking:
            self._asking[key].append(waiter)
            return waiter
        self._asking[key] = [waiter]
        question = self._threads.run(lambda: self._query.ask(*key))
        question.addBoth(self._keep, key)
        return waiter

    def _keep(self, result: Answer | Missing | Failure, key: tuple[str, str]) -> None:
        """Remember the result and give it to all who wait."""
        now = self._reactor.seconds()
        name, kind = key
        if isinstance(result, Answer):
            longest = MAX_TTL_S if result.records else MAX_NEGATIVE_TTL_S
            kept = _Kept(now + _within(result.ttl_s, longest), records=result.records)
        elif isinstance(result, Missing):
            text = f"the domain {name} does not exist (DNS says NXDOMAIN)"
            kept = _Kept(now + _within(result.ttl_s, MAX_NEGATIVE_TTL_S), error=text, family=NoSuchName)
        elif isinstance(result.value, Unavailable):
            family = type(result.value)
            kept = _Kept(now + FAILURE_TTL_S, error=str(result.value), family=family)
        else:
            # A bug, ours or dnspython's, made to fail by some zone's contents: temporary as all of ours.
            kept = _Kept(
                now + FAILURE_TTL_S,
                error=f"DNS answer for {name} {kind}: {result.value!r}",
                family=DnsTemporary,
            )
        self._cache[key] = kept
        self._cache.move_to_end(key)
        if len(self._cache) > CACHE_ENTRIES:
            self._cache.popitem(last=False)
        for waiter in self._asking.pop(key):
            _fire(waiter, kept)


def _fire(waiter: Deferred[tuple[Any, ...]], kept: _Kept) -> None:
    if kept.family is None:
        waiter.callback(kept.records)
    else:
        # A new exception for each: Deferreds add tracebacks to what they carry.
        waiter.errback(kept.family(kept.error))


def _within(ttl_s: int, longest_s: int) -> int:
    return max(MIN_TTL_S, min(ttl_s, longest_s))


def _host(name: Any) -> str:
    """Return a DNS name as mail writes it; the root stays "."."""
    text: str = name.to_text(omit_final_dot=True)
    return text.lower() or "."


def _addresses_of(records: tuple[Any, ...]) -> list[str]:
    return [record.address for record in records]


def _mail_error(failure: Failure) -> MailError | Failure:
    """Turn an error that is an answer into a value, so that the other question can make up for it."""
    return failure.value if isinstance(failure.value, MailError) else failure


def _by_turns(results: list[Any]) -> list[str]:
    """Merge the IPv6 and IPv4 answers; raise what is left to raise when there is no address."""
    lists = [result for result in results if isinstance(result, list)]
    merged: list[str] = []
    for position in range(max(map(len, lists), default=0)):
        merged.extend(addresses[position] for addresses in lists if position < len(addresses))
    if merged:
        return merged
    errors = [result for result in results if isinstance(result, MailError)]
    # "Does not exist" is said about the name, whatever the type asked for; a failure alone proves nothing.
    for error in sorted(errors, key=lambda error: not isinstance(error, NoSuchName)):
        raise error
    return []
