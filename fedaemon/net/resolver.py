"""What mail asks of DNS, with a cache, for the reactor's thread.

Delivery asks the same few questions again and again (the MX of a large provider for every recipient there),
and asks many at once. Answers are kept as long as their zone allows, equal questions under way are joined,
and the waiting is done in threads of its own (``dns_query.py``), so that a dead name server holds up only who
asked. The answers that policies are built on say also whether DNSSEC authenticates them.

Standards: RFC 5321 5.1 (MX), RFC 7505 (null MX), RFC 2308 5 (negative caching), RFC 9520 (failures are
remembered for a moment), RFC 3596 (AAAA), RFC 6698 2.1 (TLSA), RFC 4035 4.9 (secure answers).
Invariants: all methods and all callbacks run in the reactor's thread; an answer is never kept longer than its
TTL (or ``MIN_TTL_S``).
Limits: ``CACHE_ENTRIES`` answers, the least recently used go first; *threads* questions at a time. A domain
whose servers are silent occupies a thread for several seconds, therefore there are many.
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

__all__ = [
    "AddressAnswer",
    "DnsTemporary",
    "Mx",
    "MxAnswer",
    "NoSuchName",
    "Resolver",
    "TlsaAnswer",
    "TlsaRecord",
]

THREADS = 64

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


@dataclass(frozen=True, slots=True)
class MxAnswer:
    """Mail exchangers, best preference first; *secure*: DNSSEC authenticates them, or that there are none."""

    records: tuple[Mx, ...]
    secure: bool


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """The addresses of a host, IPv6 and IPv4 by turns.

    *name* is where the host's aliases lead: the host itself when it is none. *secure*: DNSSEC authenticates
    the aliases and every address.
    """

    addresses: tuple[str, ...]
    name: str
    secure: bool


@dataclass(frozen=True, slots=True)
class TlsaRecord:
    """A TLSA record as it stands in DNS, whatever its numbers mean. Spec: RFC 6698 2.1"""

    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TlsaAnswer:
    """TLSA records; *secure*: DNSSEC authenticates them, or that there are none."""

    records: tuple[TlsaRecord, ...]
    secure: bool


class ResolverReactor(Protocol):
    """What is needed of the reactor."""

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:  # noqa: A002, N802
        """Run *callable* in the reactor's thread."""

    def seconds(self) -> float:
        """Return the time."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A cached result: an answer, or the error to fail with."""

    expires_s: float
    answer: Answer | None = None
    error: str = ""
    family: type[MailError] | None = None


class Resolver:
    """Looks up mail exchangers, addresses, texts and TLSA records.

    :param nameservers: (address, port) pairs; none for the system's.
    :param threads: how many questions may be under way; further ones wait.
    :param trust_ad: believe the name servers when they say that DNSSEC authenticates an answer; None: only when
        all of them are on this machine.
    """

    def __init__(
        self,
        reactor: ResolverReactor,
        nameservers: Sequence[Server] = (),
        threads: int = THREADS,
        trust_ad: bool | None = None,
    ) -> None:
        self._reactor = reactor
        self._query = DnsQuery(tuple(nameservers) or system_servers(), trust_ad)
        self._threads = WorkerThreads(reactor, threads, "the resolver")
        self._cache: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._asking: dict[tuple[str, str], list[Deferred[Answer]]] = {}

    def mx(self, domain: str) -> Deferred[list[Mx]]:
        """Return the mail exchangers of *domain*, best preference first; an empty list when it has none.

        Fails with ``NoSuchName`` or ``DnsTemporary``. Spec: RFC 5321 5.1.
        """
        return self.mx_answer(domain).addCallback(lambda answer: list(answer.records))

    def mx_answer(self, domain: str) -> Deferred[MxAnswer]:
        """Return the same as ``mx``, and whether it is secure."""
        return self._ask(domain, "MX").addCallback(_mx_answer)

    def addresses(self, host: str) -> Deferred[list[str]]:
        """Return the addresses of *host*, IPv6 and IPv4 by turns; an empty list when it has none.

        When only one of the two questions can be answered, its answer is enough if it has addresses. Fails
        with ``NoSuchName`` or ``DnsTemporary``.
        """
        return self.address_answer(host).addCallback(lambda answer: list(answer.addresses))

    def address_answer(self, host: str) -> Deferred[AddressAnswer]:
        """Return the same as ``addresses``, where aliases lead, and whether all of it is secure."""
        asked: list[Deferred[Any]] = [self._ask(host, kind).addErrback(_mail_error) for kind in ("AAAA", "A")]
        merged: Deferred[AddressAnswer] = gatherResults(asked).addCallback(_by_turns)
        return merged

    def alias_is_secure(self, host: str) -> Deferred[bool]:
        """Return True when *host* itself is an alias that DNSSEC authenticates, wherever it leads."""
        return self._ask(host, "CNAME").addCallback(lambda answer: bool(answer.records) and answer.secure)

    def tlsa(self, name: str) -> Deferred[TlsaAnswer]:
        """Return the TLSA records at *name* ("_25._tcp.HOST").

        A name that does not exist has none; fails with ``DnsTemporary``, also when DNSSEC finds the answer
        forged.

        Spec: RFC 6698 3
        """
        return self._ask(name, "TLSA").addCallbacks(_tlsa_answer, _no_tlsa)

    def txt(self, name: str) -> Deferred[list[bytes]]:
        """Return the TXT records at *name*, the strings of each joined; fails as ``mx``.

        Spec: RFC 7208 3.3.
        """
        return self._ask(name, "TXT").addCallback(
            lambda answer: [b"".join(record.strings) for record in answer.records]
        )

    def stop(self) -> None:
        """Fail what waits with ``Unavailable``; ask nothing more."""
        self._threads.stop()

    def _ask(self, name: str, kind: str) -> Deferred[Answer]:
        """Return the answer from the cache, from a question under way, or from a new one."""
        key = (name.rstrip(".").lower(), kind)
        waiter: Deferred[Answer] = Deferred()
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
            kept = _Kept(now + _within(result.ttl_s, longest), result)
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


def _fire(waiter: Deferred[Answer], kept: _Kept) -> None:
    if kept.answer is not None:
        waiter.callback(kept.answer)
    elif kept.family is not None:
        # A new exception for each: Deferreds add tracebacks to what they carry.
        waiter.errback(kept.family(kept.error))


def _within(ttl_s: int, longest_s: int) -> int:
    return max(MIN_TTL_S, min(ttl_s, longest_s))


def _host(name: Any) -> str:
    """Return a DNS name as mail writes it; the root stays "."."""
    text: str = name.to_text(omit_final_dot=True)
    return text.lower() or "."


def _mx_answer(answer: Answer) -> MxAnswer:
    found = [Mx(record.preference, _host(record.exchange)) for record in answer.records]
    return MxAnswer(tuple(sorted(found, key=lambda mx: mx.preference)), answer.secure)


def _tlsa_answer(answer: Answer) -> TlsaAnswer:
    found = (TlsaRecord(each.usage, each.selector, each.mtype, bytes(each.cert)) for each in answer.records)
    return TlsaAnswer(tuple(found), answer.secure)


def _no_tlsa(failure: Failure) -> TlsaAnswer:
    failure.trap(NoSuchName)
    # Whether the denial is secure makes no difference: either way nothing is demanded of the server.
    return TlsaAnswer((), secure=False)


def _mail_error(failure: Failure) -> MailError | Failure:
    """Turn an error that is an answer into a value, so that the other question can make up for it."""
    return failure.value if isinstance(failure.value, MailError) else failure


def _by_turns(results: list[Any]) -> AddressAnswer:
    """Merge the IPv6 and IPv4 answers; raise what is left to raise when there is no address."""
    answers: list[Answer] = [result for result in results if isinstance(result, Answer)]
    merged: list[str] = []
    for position in range(max((len(answer.records) for answer in answers), default=0)):
        merged.extend(
            answer.records[position].address for answer in answers if position < len(answer.records)
        )
    errors = [result for result in results if isinstance(result, MailError)]
    if not merged:
        # "Does not exist" is said about the name, whatever the type asked for; a failure alone proves nothing.
        for error in sorted(errors, key=lambda error: not isinstance(error, NoSuchName)):
            raise error
    # A name has one chain of aliases for both types; where a zone just changed, what has addresses counts.
    name = next((answer.name for answer in answers if answer.records), answers[0].name)
    return AddressAnswer(tuple(merged), name, all(answer.secure for answer in answers))
