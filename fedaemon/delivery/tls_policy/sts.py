"""Finds a domain's MTA-STS policy: announced in DNS, fetched over HTTPS, and kept until it expires.

Theory of operation: a policy that is kept is good while DNS still announces its id; it is fetched again when
the id changes, and, without anybody waiting for it, when half its time or a day has passed. Whoever can keep us
from DNS and from the policy host can thereby not make us forget a policy that we have: it holds until its
max_age is over. For a domain without a policy, DNS is asked (and cached by the resolver), and nothing else.

Standards: RFC 8461 3.1 to 3.3, 5.1, 10.2.
Invariants: one fetch at a time for a domain; all who need it wait for the same one. A lookup never fails because
of what DNS or the policy host say.
Limits: ``FETCH_S`` for a fetch, ``MAX_OCTETS`` for a policy; a policy of one id is not fetched again for
``FRESH_S``, whatever its max_age, after a failure not for ``FAILURE_S``; this is remembered for ``MAX_RECENT``
domains.
Known gaps: a policy is renewed only when mail goes to its domain.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from twisted.internet.defer import Deferred, succeed

from fedaemon.delivery.tls_policy.sts_policy import StsPolicy, announced_id, parse_policy
from fedaemon.errors import BadSyntax, MailError
from fedaemon.logs import Logger
from fedaemon.net.https import BadPeer, FetchFailed, Response
from fedaemon.store.interface import Snapshot, Store, Transaction
from fedaemon.store.records import decode, encode
from fedaemon.store.spaces import STS_POLICY
from fedaemon.store.turns import in_background

FETCH_S: Final = 60.0
MAX_OCTETS: Final = 65_536
FAILURE_S: Final = 300.0
FRESH_S: Final = 60.0
MAX_RECENT: Final = 10_000
REFRESH_MS: Final = 86_400_000
PRUNED_AT_ONCE: Final = 100

FETCH_ERROR: Final = "sts-policy-fetch-error"
INVALID: Final = "sts-policy-invalid"
WEBPKI_INVALID: Final = "sts-webpki-invalid"

_log = Logger()


class TextResolver(Protocol):
    """What is asked of DNS (``net/resolver.py``)."""

    def txt(self, name: str) -> Deferred[list[bytes]]:
        """Fire with the TXT records at *name*."""


class PolicyHosts(Protocol):
    """What is asked of HTTPS (``net/https.py``)."""

    def get(self, host: str, path: str, *, limit_octets: int, timeout_s: float) -> Deferred[Response]:
        """Fetch a document; fail with ``FetchFailed``."""


@dataclass(frozen=True, slots=True)
class StsAnswer:
    """What is known of a domain's policy: *policy* None for none.

    *failure* is why an announced policy cannot be had, as a result type of RFC 8460 4.3, and *why* in words.
    """

    policy: StsPolicy | None = None
    failure: str = ""
    why: str = ""


NO_POLICY: Final = StsAnswer()


@dataclass(frozen=True, slots=True)
class _Recent:
    """What a fetch brought, and until when there is no other for the same id."""

    policy_id: str
    answer: StsAnswer
    until_ms: int


class NoPolicies:
    """Stands where nobody is to be asked."""

    def find(self, domain: str) -> Deferred[StsAnswer]:
        """Fire with no policy."""
        return succeed(NO_POLICY)


class StsPolicies:
    """Policies of domains.

    :param now_ms: returns the time in milliseconds since the epoch.
    """

    def __init__(
        self, resolver: TextResolver, https: PolicyHosts, store: Store, now_ms: Callable[[], int]
    ) -> None:
        self._resolver = resolver
        self._https = https
        self._store = store
        self._now_ms = now_ms
        self._fetching: dict[str, list[Deferred[StsAnswer]]] = {}
        self._recent: OrderedDict[str, _Recent] = OrderedDict()

    def find(self, domain: str) -> Deferred[StsAnswer]:
        """Fire with what holds for *domain* (lower-case A-labels) now.

        Fails only when the store cannot be read: what it would say is then not known.

        Spec: RFC 8461 3.1, 3.3, 5.1
        """
        return Deferred.fromCoroutine(self._find(domain))

    async def _find(self, domain: str) -> StsAnswer:
        now_ms = self._now_ms()
        kept = await self._store.read(lambda snapshot: load(snapshot, domain))
        if kept is not None and kept.expires_ms <= now_ms:
            kept = None
        try:
            announced = announced_id(await self._resolver.txt(f"_mta-sts.{domain}"))
        except MailError:
            announced = None
        if announced is None:
            # RFC 8461 3.1: to take the record away is not enough to end a policy, or an attacker could.
            return StsAnswer(kept) if kept else NO_POLICY
        if kept is None or kept.id != announced:
            fetched = await self._fetched(domain, announced)
            return fetched if fetched.policy or not kept else StsAnswer(kept)
        if now_ms - kept.fetched_ms >= min(kept.max_age_s * 500, REFRESH_MS):
            self._fetched(domain, announced)
        return StsAnswer(kept)

    def _fetched(self, domain: str, policy_id: str) -> Deferred[StsAnswer]:
        """Fetch the policy, unless that is under way or was done just now; never fails."""
        recent = self._recent.get(domain)
        if recent is not None and recent.policy_id == policy_id and recent.until_ms > self._now_ms():
            return succeed(recent.answer)
        waiter: Deferred[StsAnswer] = Deferred()
        waiting = self._fetching.setdefault(domain, [])
        waiting.append(waiter)
        if len(waiting) == 1:
            in_background(self._fetch(domain, policy_id), "fetching an MTA-STS policy")
        return waiter

    async def _fetch(self, domain: str, policy_id: str) -> None:
        answer = StsAnswer(failure=FETCH_ERROR, why="the policy cannot be fetched")
        try:
            answer = await self._ask(domain, policy_id)
        finally:
            self._remember(domain, policy_id, answer)
            for waiter in self._fetching.pop(domain):
                waiter.callback(answer)

    def _remember(self, domain: str, policy_id: str, answer: StsAnswer) -> None:
        pause_s = FRESH_S if answer.policy else FAILURE_S
        self._recent.pop(domain, None)
        self._recent[domain] = _Recent(policy_id, answer, self._now_ms() + int(pause_s * 1000))
        if len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)

    async def _ask(self, domain: str, policy_id: str) -> StsAnswer:
        """Fetch, read and store the policy."""
        host = f"mta-sts.{domain}"
        now_ms = self._now_ms()
        try:
            response = await self._https.get(
                host, "/.well-known/mta-sts.txt", limit_octets=MAX_OCTETS, timeout_s=FETCH_S
            )
            if response.status != 200:
                raise FetchFailed(f"{host} answers with status {response.status}")
            if response.media_type != "text/plain":
                raise BadSyntax(f"{host} gives the policy as {response.media_type[:60]!a}, not as text/plain")
            policy = parse_policy(response.body, policy_id, now_ms)
        except MailError as error:
            _log.info(
                "an MTA-STS policy cannot be had",
                event="sts-policy-unavailable",
                domain=domain,
                reason=error.text,
            )
            return StsAnswer(failure=_result_type(error), why=error.text)
        try:
            await self._store.write(lambda transaction: save(transaction, domain, policy, now_ms))
        except MailError as error:
            # It holds for this delivery all the same.
            _log.warn(
                "an MTA-STS policy cannot be stored",
                event="sts-policy-unwritten",
                domain=domain,
                reason=error.text,
            )
        return StsAnswer(policy)


def _result_type(error: MailError) -> str:
    """Return the result type of RFC 8460 4.3 for a policy that cannot be had."""
    if isinstance(error, BadPeer):
        return WEBPKI_INVALID
    return FETCH_ERROR if isinstance(error, FetchFailed) else INVALID


def load(snapshot: Snapshot, domain: str) -> StsPolicy | None:
    """Return the stored policy of *domain*, which may have expired."""
    value = snapshot.get((STS_POLICY, domain))
    return None if value is None else StsPolicy.from_record(decode(value))


def load_all(snapshot: Snapshot) -> list[tuple[str, StsPolicy]]:
    """Return all stored policies by their domains."""
    return [
        (str(key[1]), StsPolicy.from_record(decode(value))) for key, value in snapshot.scan((STS_POLICY,))
    ]


def save(transaction: Transaction, domain: str, policy: StsPolicy, now_ms: int) -> None:
    """Store a policy, and remove some others that have expired.

    Only the next ones in the order of names are looked at, which is little work each time and enough to keep the
    number of policies near that of the domains that mail goes to.
    """
    transaction.put((STS_POLICY, domain), encode(policy.to_record()))
    neighbours = list(transaction.scan((STS_POLICY, domain), (STS_POLICY, "\x7f"), limit=PRUNED_AT_ONCE))
    for key, value in neighbours:
        other = StsPolicy.from_record(decode(value))
        if other.expires_ms <= now_ms and key[1] != domain:
            transaction.delete(key)
